//! Containers outlive whoever made them, and are found again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use wharfd::runtime::{ExecSpec, Exit, ProcessRef, Runtime as _};

use crate::support::{self, OUTPUT, World, bounded, eventually, log, process, read_all, unframe};

/// Not a test of its own: what a killed "daemon" does, in a process of its own.
#[tokio::test]
async fn the_one_that_gets_killed() {
    let Some(folder) = std::env::var_os("WHARF_TEST_KILLED") else { return };
    let world = World::over(Path::new(&folder));
    let script = "echo before; read x; echo after $x; exit 9";
    let mut bundle = world.bundle("a", &["sh", "-c", script]);
    bundle.open_stdin = true;
    let id = bundle.id.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    println!("\nmade {id} {}", shim.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_container_is_found_after_its_maker_was_killed() {
    let Some(world) = World::new() else { return };
    let mut maker = Command::new(std::env::current_exe().unwrap())
        .args(["survive::the_one_that_gets_killed", "--exact", "--nocapture"])
        .env("WHARF_TEST_KILLED", world.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(maker.stdout.take().unwrap()).lines();
    let made = lines.map_while(Result::ok).find(|line| line.starts_with("made ")).unwrap();
    maker.kill().unwrap();
    maker.wait().unwrap();

    let mut made = made.split(' ').skip(1);
    let (id, pid) = (made.next().unwrap(), made.next().unwrap().parse::<i32>().unwrap());
    let dir = world.folder.path().join("containers/a");
    let shim = bounded(world.runtime.find(id, &dir)).await.unwrap().expect("it lives");
    assert_eq!(shim.pid(), pid);
    assert_eq!(world.runtime.exit_record(&dir).unwrap(), None);
    eventually("its log goes on", || log(&dir).contains("before")).await;
    let exec = ExecSpec { id: "e".into(), process: process(&["echo", "in"]), size: None, streams: OUTPUT };
    let mut stream = shim.exec(exec).await.unwrap().stream.unwrap();
    assert_eq!(unframe(&read_all(&mut stream).await).0, "in\n");

    let mut stream = shim.attach(support::ALL).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"word\n").await.unwrap();
    assert_eq!(unframe(&read_all(&mut stream).await).0, "after word\n");
    let exit = bounded(shim.wait(ProcessRef::Init)).await.unwrap();
    assert_eq!(exit.code, 9);
    assert_eq!(world.runtime.exit_record(&dir).unwrap(), Some(exit));
    shim.delete().await.unwrap();
    assert!(bounded(world.runtime.find(id, &dir)).await.unwrap().is_none());
    assert_eq!(world.runtime.exit_record(&dir).unwrap().unwrap().code, 9, "the record stays");
}

#[tokio::test]
async fn what_a_killed_shim_leaves_is_taken_away() {
    let Some(world) = World::new() else { return };
    let bundle = world.bundle("a", &["sleep", "1000"]);
    let (id, dir) = (bundle.id.clone(), bundle.dir.clone());
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    let record = std::fs::read(world.folder.path().join("exec/shim").join(&id).join("shim.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let shim_pid = i32::try_from(record["shim"]["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim_pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let gone = shim.wait(ProcessRef::Init).await.unwrap_err();
    assert!(matches!(gone, wharfd::runtime::Error::Gone(_)), "{gone:?}");

    assert!(bounded(world.runtime.find(&id, &dir)).await.unwrap().is_none());
    assert_eq!(world.runtime.exit_record(&dir).unwrap().unwrap().code, Exit::unknown().code);
    let container = format!("/proc/{}/cmdline", shim.pid());
    eventually("the container is dead", || std::fs::read(&container).unwrap_or_default().is_empty()).await;
    for folder in ["exec/shim", "exec/runtime"] {
        assert_eq!(std::fs::read_dir(world.folder.path().join(folder)).unwrap().count(), 0);
    }
}
