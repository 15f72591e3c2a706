//! Killed at any moment, by anybody: what is seen is true, and after `rm` nothing is left.

use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use wharf_driver::{Power, State};
use wharf_driver_local::Resource;

use crate::world::{World, processes, trial, until};

#[expect(clippy::too_many_lines, reason = "a list of tests, each of them short")]
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_killed_qemu_is_seen_as_stopped", async |world| {
            let made = world.create().await.unwrap();
            kill(qemu(&world));
            until("stopped", async || world.state(&made).await == State::Stopped).await;
            until("alone", async || processes(&world.folder()).is_empty()).await;
            world.power(&made, Power::On).await;
            assert_eq!(world.state(&made).await, State::Running);
            world.remove(&made).await;
        }),
        trial("a_killed_supervisor_is_replaced_by_the_next_command", async |world| {
            let made = world.create().await.unwrap();
            let (before, machine) = (supervisor(&world), qemu(&world));
            kill(before);
            until("its end", async || !processes(&world.folder()).contains(&before)).await;
            until("another one", async || {
                assert_eq!(world.state(&made).await, State::Running);
                some(&world, "supervise").iter().any(|pid| *pid != before)
            })
            .await;
            assert_eq!(qemu(&world), machine);
            world.power(&made, Power::Off).await;
            assert_eq!(world.state(&made).await, State::Stopped);
            world.remove(&made).await;
        }),
        trial("a_machine_without_its_supervisor_is_stopped_gently", async |world| {
            let made = world.create().await.unwrap();
            kill(supervisor(&world));
            world.power(&made, Power::Off).await;
            until("alone", async || processes(&world.folder()).is_empty()).await;
            world.remove(&made).await;
        }),
        trial("both_killed_is_stopped", async |world| {
            let made = world.create().await.unwrap();
            kill(supervisor(&world));
            kill(qemu(&world));
            until("stopped", async || world.state(&made).await == State::Stopped).await;
            world.remove(&made).await;
        }),
        trial("a_deaf_guest_is_unplugged", async |world| {
            std::fs::File::create(world.folder().join("fake-deaf")).unwrap();
            let made = world.create().await.unwrap();
            let mut cx = world.cx("power");
            cx.deadline = std::time::Instant::now() + Duration::from_secs(45);
            wharf_driver::Driver::power(&world.driver, &made, Power::Off, &cx).await.unwrap();
            assert_eq!(world.state(&made).await, State::Stopped);
            world.remove(&made).await;
        }),
        trial("removed_without_a_supervisor_nothing_is_left", async |world| {
            let made = world.create().await.unwrap();
            kill(supervisor(&world));
            world.remove(&made).await;
            assert_eq!(processes(&world.folder()), []);
            assert!(!world.folder().exists());
        }),
        trial("removed_twice_at_once_nothing_is_left", async |world| {
            let made = world.create().await.unwrap();
            tokio::join!(world.remove(&made), world.remove(&made));
            assert!(!world.folder().exists());
        }),
    ];
    // The victim takes some 150 ms; every 7 ms of it is a moment to be killed at, and some after it.
    trials.extend((0..28).map(|step| {
        let moment = Duration::from_millis(step * 7);
        trial(&format!("create_killed_after_{}_ms_then_removed", moment.as_millis()), async move |world| {
            killed_create(&world, moment).await;
            let mut made = world.settle().await;
            if made.is_empty() {
                made.push(Resource::Disk { folder: world.folder(), name: String::new() });
            }
            world.remove(&made).await;
            // Whatever was still on its way when it was removed must find nothing to do.
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(processes(&world.folder()), []);
        })
    }));
    trials.extend((0..14).map(|step| {
        let moment = Duration::from_millis(step * 14);
        trial(&format!("create_killed_after_{}_ms_then_resumed", moment.as_millis()), async move |world| {
            killed_create(&world, moment).await;
            let made = world.create().await.unwrap();
            assert_eq!(world.state(&made).await, State::Running);
            assert_eq!(processes(&world.folder()).len(), 2, "one supervisor and one QEMU");
            world.remove(&made).await;
            assert!(!world.folder().exists());
        })
    }));
    trials
}

pub(crate) async fn killed_create(world: &World, moment: Duration) {
    let home = world.folder().join("../../..").canonicalize().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .arg("make")
        .arg(home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(moment).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
}

pub(crate) fn qemu(world: &World) -> Pid {
    one(world, "-qmp")
}

pub(crate) fn supervisor(world: &World) -> Pid {
    one(world, "supervise")
}

fn one(world: &World, word: &str) -> Pid {
    let found = some(world, word);
    assert_eq!(found.len(), 1, "one process with {word}");
    found[0]
}

fn some(world: &World, word: &str) -> Vec<Pid> {
    let runs = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    processes(&world.folder()).into_iter().filter(runs).collect()
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}
