//! Many containers: nothing stays behind, and many at once don't disturb each other.
//!
//! Other tests of this file's neighbours run at the same time, so what is counted belongs to this test's own world.

use std::time::Instant;

use wharfd::runtime::ProcessRef;

use crate::support::{OUTPUT, World, bounded, eventually, read_all, unframe};

/// What could leak, of one world.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    mounts: usize,
    cgroups: usize,
    processes: usize,
    files: usize,
}

fn traces(world: &World) -> Traces {
    let name = world.folder.path().file_name().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = text.lines().filter(|line| line.contains(name)).count();
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path());
    let groups =
        hierarchies.chain(["/sys/fs/cgroup".into()]).filter_map(|h| std::fs::read_dir(h.join("wharf")).ok());
    let cgroups =
        groups.flatten().flatten().filter(|e| e.file_name().to_str().unwrap().starts_with(name)).count();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of_ours = |pid: &std::fs::DirEntry| {
        let line = std::fs::read(pid.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    };
    let folders = ["exec/shim", "exec/runtime"].map(|folder| world.folder.path().join(folder));
    let files = folders.iter().map(|folder| std::fs::read_dir(folder).unwrap().count()).sum();
    Traces { mounts, cgroups, processes: processes.filter(of_ours).count(), files }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn three_hundred_lives_leave_nothing() {
    let Some(world) = World::new() else { return };
    world.run(world.bundle("warm", &["true"])).await;
    eventually("the first shim is gone", || traces(&world).processes == 0).await;
    let (before, open) = (traces(&world), descriptors());
    let mut times = Vec::new();
    for number in 0..300 {
        let bundle = world.bundle(&format!("c{}", number % 7), &["true"]);
        let begun = Instant::now();
        let shim = world.create(bundle).await;
        shim.start().await.unwrap();
        let exit = bounded(shim.wait(ProcessRef::Init)).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(exit.code, 0);
        shim.delete().await.unwrap();
    }
    times.sort_unstable();
    println!("create to exit: min {:?}, median {:?}, max {:?}", times[0], times[150], times[299]);
    eventually("the last shim is gone", || traces(&world).processes == 0).await;
    assert_eq!(traces(&world), before);
    // Other tests of this process open and close theirs at the same time.
    eventually("no descriptors are left", || descriptors() <= open + 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_do_not_disturb_each_other() {
    let Some(world) = World::new() else { return };
    let world = std::sync::Arc::new(world);
    let lives: Vec<_> = (0..50)
        .map(|number| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let script = format!("echo I am {number}; exit {number}");
                let shim = world.create(world.bundle(&format!("c{number}"), &["sh", "-c", &script])).await;
                let mut stream = shim.attach(OUTPUT).await.unwrap();
                shim.start().await.unwrap();
                assert_eq!(unframe(&read_all(&mut stream).await).0, format!("I am {number}\n"));
                assert_eq!(bounded(shim.wait(ProcessRef::Init)).await.unwrap().code, number);
                shim.delete().await.unwrap();
            })
        })
        .collect();
    for life in lives {
        life.await.unwrap();
    }
    eventually("every shim is gone", || traces(&world).processes == 0).await;
    assert_eq!(traces(&world), Traces { mounts: 0, cgroups: 0, processes: 0, files: 0 });
}

/// The memory that a process has to itself, in KiB: not the executable's, which all of them share.
fn own_memory(pid: u64) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_idle_shim_is_small() {
    let Some(world) = World::new() else { return };
    let mut sizes = Vec::new();
    for number in 0..5 {
        let bundle = world.bundle(&format!("c{number}"), &["sleep", "1000"]);
        let id = bundle.id.clone();
        let shim = world.create(bundle).await;
        shim.start().await.unwrap();
        let record = std::fs::read(world.folder.path().join("exec/shim").join(id).join("shim.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        sizes.push(own_memory(record["shim"]["pid"].as_u64().unwrap()));
        shim.delete().await.unwrap();
    }
    println!("memory of idle shims: {sizes:?} KiB each");
    // An unoptimised build, linked dynamically, has more to relocate than what ships.
    assert!(sizes.iter().all(|size| *size < 4 << 10), "{sizes:?}");
}
