//! Limits that the kernel enforces, and what is reported when it does.

use oci_spec::runtime::{
    LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources,
    LinuxResourcesBuilder, PosixRlimitBuilder, PosixRlimitType,
};
use wharfd::runtime::{Bundle, ExecSpec, ProcessRef};

use crate::support::{OUTPUT, World, bounded, process, read_all, unframe};

fn limited(mut bundle: Bundle, resources: LinuxResources) -> Bundle {
    bundle.spec.linux_mut().as_mut().unwrap().set_resources(Some(resources));
    bundle
}

fn controlled(controller: &str) -> bool {
    let here = std::fs::read_to_string("/proc/self/cgroup").unwrap().contains(&format!(":{controller}:"))
        || std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|c| c.contains(controller));
    if !here {
        crate::support::skipped(&format!("no {controller} controller here"));
    }
    here
}

#[tokio::test]
async fn running_out_of_memory_is_told() {
    let Some(world) = World::new() else { return };
    if !controlled("memory") {
        return;
    }
    let memory = LinuxMemoryBuilder::default().limit(8i64 << 20).swap(8i64 << 20).build().unwrap();
    let resources = LinuxResourcesBuilder::default().memory(memory).build().unwrap();
    let bundle = world.bundle("a", &["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]);
    let (exit, text) = world.run(limited(bundle, resources)).await;
    assert_eq!((exit.signal, exit.oom), (Some(9), true), "{text}");
}

#[tokio::test]
async fn the_number_of_processes_is_limited_in_execs_too() {
    let Some(world) = World::new() else { return };
    if !controlled("pids") {
        return;
    }
    let resources = LinuxResourcesBuilder::default();
    let resources = resources.pids(LinuxPidsBuilder::default().limit(8).build().unwrap()).build().unwrap();
    let shim = world.create(limited(world.bundle("a", &["sleep", "1000"]), resources)).await;
    shim.start().await.unwrap();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done";
    let exec =
        ExecSpec { id: "e".into(), process: process(&["sh", "-c", script]), size: None, streams: OUTPUT };
    let mut stream = shim.exec(exec).await.unwrap().stream.unwrap();
    let (_, errors) = unframe(&read_all(&mut stream).await);
    assert!(errors.contains("can't fork"), "{errors}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn devices_are_closed_but_for_the_usual_ones() {
    let Some(world) = World::new() else { return };
    let none = LinuxDeviceCgroupBuilder::default().allow(false).typ(LinuxDeviceType::A).access("rwm").build();
    let resources = LinuxResourcesBuilder::default().devices(vec![none.unwrap()]).build().unwrap();
    let script = "cat /dev/null && echo null; busybox mknod /tmp/fuse c 10 229 && cat /tmp/fuse";
    let bundle = world.bundle("a", &["sh", "-c", script]);
    let (exit, text) = world.run(limited(bundle, resources)).await;
    assert!(text.contains("null\n") && text.contains("Operation not permitted"), "{text}");
    assert_eq!(exit.code, 1);
}

#[tokio::test]
async fn limits_of_a_process_hold_in_container_and_exec() {
    let Some(world) = World::new() else { return };
    let limit = PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(77u64).hard(88u64);
    let limits = Some(vec![limit.build().unwrap()]);
    let script = "ulimit -n; ulimit -Hn; [ \"$1\" ] || sleep 1000";
    let mut bundle = world.bundle("a", &["sh", "-c", script]);
    bundle.spec.process_mut().as_mut().unwrap().set_rlimits(limits.clone());
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    crate::support::eventually("it told", || crate::support::log(&dir).contains("77\n88\n")).await;
    let mut exec = process(&["sh", "-c", script, "sh", "exec"]);
    exec.set_rlimits(limits);
    let exec = ExecSpec { id: "e".into(), process: exec, size: None, streams: OUTPUT };
    let mut stream = shim.exec(exec).await.unwrap().stream.unwrap();
    assert_eq!(unframe(&read_all(&mut stream).await).0, "77\n88\n");
    shim.delete().await.unwrap();
    bounded(shim.wait(ProcessRef::Init)).await.unwrap_err();
}

#[tokio::test]
async fn a_limit_that_cannot_be_granted_is_lowered() {
    let Some(world) = World::new() else { return };
    let limit =
        PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(1u64 << 30).hard(1u64 << 30);
    let mut bundle = world.bundle("a", &["sh", "-c", "ulimit -Hn"]);
    let process = bundle.spec.process_mut().as_mut().unwrap();
    process.set_rlimits(Some(vec![limit.build().unwrap()])).set_oom_score_adj(Some(-900));
    let (exit, text) = world.run(bundle).await;
    assert_eq!(exit.code, 0, "{text}");
}
