//! Shares by virtiofs: which server is used, and that each lives exactly as long as its QEMU, whoever is killed.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use wharf_driver::{Driver as _, Kind, Power, State};
use wharf_driver_local::{Share, Virtiofsd};

use crate::kill::{killed_create, qemu, supervisor};
use crate::world::{World, processes, trial, until};

#[expect(clippy::too_many_lines, reason = "a list of tests, each of them short")]
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("each_share_has_a_server_as_long_as_its_qemu", async |mut world| {
            share(&mut world);
            let made = world.create().await.unwrap();
            let (docs, src) = (server(&world, "docs"), server(&world, "src"));
            let [read, write] = [docs, src].map(line);
            assert!(read.contains("\0--readonly\0") && read.contains("\0--sandbox=namespace\0"), "{read}");
            assert!(!write.contains("--readonly"), "{write}");
            let machine = line(qemu(&world));
            for argument in [
                "-machine\0q35,memory-backend=memory\0",
                "memory-backend-memfd,id=memory,size=256M,share=on\0",
                "vhost-user-fs-pci,chardev=server0,tag=share0\0",
                "vhost-user-fs-pci,chardev=server1,tag=share1\0",
                "virtio-9p-pci,fsdev=share1,mount_tag=share1\0",
            ] {
                assert!(machine.contains(argument), "{argument} is not in {machine}");
            }
            world.power(&made, Power::Restart).await;
            assert_ne!(server(&world, "docs"), docs);
            assert_eq!(world.observe(&made).await.warnings, Vec::<String>::new());
            world.power(&made, Power::Off).await;
            assert_eq!(servers(&world), []);
            world.remove(&made).await;
        }),
        trial("a_server_that_dies_is_said_and_comes_back_with_a_restart", async |mut world| {
            let [docs, src] = share(&mut world);
            let made = world.create().await.unwrap();
            kill(server(&world, "docs"));
            until("a warning", async || !world.observe(&made).await.warnings.is_empty()).await;
            // Also by a supervisor that did not start it.
            kill(supervisor(&world));
            kill(server(&world, "src"));
            until("another", async || world.observe(&made).await.warnings.len() > 1).await;
            let seen = world.observe(&made).await;
            assert_eq!(seen.state, State::Running);
            for folder in [docs, src] {
                let said = |warning: &String| warning.starts_with(&format!("{} is lost", folder.display()));
                assert!(seen.warnings.iter().any(said), "{:?}", seen.warnings);
            }
            world.power(&made, Power::Restart).await;
            assert_eq!(servers(&world).len(), 2);
            assert_eq!(world.observe(&made).await.warnings, Vec::<String>::new());
            world.remove(&made).await;
        }),
        trial("a_killed_qemu_takes_its_servers_along", async |mut world| {
            share(&mut world);
            let made = world.create().await.unwrap();
            kill(supervisor(&world));
            kill(qemu(&world));
            until("alone", async || servers(&world).is_empty()).await;
            assert_eq!(world.state(&made).await, State::Stopped);
            world.power(&made, Power::On).await;
            assert_eq!(servers(&world).len(), 2);
            world.remove(&made).await;
        }),
        trial("a_server_that_hangs_is_ended_by_whoever_comes_next", async |mut world| {
            share(&mut world);
            let hung = world.folder().join("fake-hung");
            let made = world.create().await.unwrap();
            fs::File::create(&hung).unwrap();
            world.power(&made, Power::Off).await;
            assert_eq!(servers(&world), []);
            fs::remove_file(&hung).unwrap();
            world.power(&made, Power::On).await;
            fs::File::create(&hung).unwrap();
            kill(supervisor(&world));
            kill(qemu(&world));
            until("stopped", async || world.state(&made).await == State::Stopped).await;
            assert_eq!(servers(&world).len(), 2);
            world.remove(&made).await;
            assert_eq!(servers(&world), []);
        }),
        trial("where_nobody_may_make_namespaces_servers_run_without", async |mut world| {
            share(&mut world);
            fs::File::create(world.folder().join("fake-unconfined")).unwrap();
            let made = world.create().await.unwrap();
            assert!(line(server(&world, "docs")).contains("\0--sandbox=none\0"));
            world.remove(&made).await;
        }),
        trial("a_server_that_does_not_run_leaves_9p_and_a_word", async |mut world| {
            share(&mut world);
            fs::File::create(world.folder().join("fake-unserved")).unwrap();
            let made = world.create().await.unwrap();
            let seen = world.observe(&made).await;
            assert_eq!((seen.state, seen.warnings.len()), (State::Running, 1), "{:?}", seen.warnings);
            assert!(seen.warnings[0].contains("9p alone"), "{:?}", seen.warnings);
            assert!(seen.warnings[0].contains("fake: operation not permitted"), "{:?}", seen.warnings);
            let machine = line(qemu(&world));
            assert!(!machine.contains("vhost-user-fs") && !machine.contains("memory-backend"), "{machine}");
            assert!(machine.contains("virtio-9p-pci"), "{machine}");
            world.remove(&made).await;
        }),
        trial("a_server_that_cannot_hold_a_guest_to_reading_is_refused", async |mut world| {
            share(&mut world);
            let old = program(&world, "virtiofsd-old");
            for (program, why) in [(old, "no `--readonly`"), ("/nowhere/virtiofsd".into(), "No such file")] {
                world.configure(|config| config.virtiofsd = Virtiofsd::At(program));
                let error = world.create().await.unwrap_err();
                assert_eq!(error.kind(), Kind::Refused);
                assert!(error.to_string().contains(why), "{error}");
                assert!(error.advice().unwrap().contains("--local-virtiofsd none"), "{error}");
            }
            let (qemu, server) = (program(&world, "qemu-without-fs"), program(&world, "virtiofsd"));
            world.configure(|config| (config.qemu, config.virtiofsd) = (qemu, Virtiofsd::At(server)));
            assert!(world.create().await.unwrap_err().to_string().contains("has no virtiofs"));
            for without in [Virtiofsd::Any, Virtiofsd::None] {
                world.configure(|config| config.virtiofsd = without);
                let plan = world.driver.plan(&world.spec(), None, &world.cx("plan")).await.unwrap();
                let vm = serde_json::to_value(&plan.steps[1].action).unwrap();
                assert_eq!(vm["virtiofsd"], serde_json::Value::Null, "{vm}");
            }
        }),
    ];
    // Some of these moments are between the servers' start and QEMU's.
    trials.extend((4..16).map(|step| {
        let moment = std::time::Duration::from_millis(step * 9);
        let name = format!("create_with_servers_killed_after_{}_ms_then_supervisor", moment.as_millis());
        trial(&name, async move |mut world| {
            share(&mut world);
            killed_create(&world, moment).await;
            for pid in processes(&world.folder()).into_iter().filter(|pid| line(*pid).contains("supervise")) {
                kill_process(pid, Signal::KILL).ok();
            }
            // Without a QEMU, nobody is left to serve.
            until("balance", async || servers(&world).is_empty() || !processes(&world.folder()).is_empty())
                .await;
            let mut made = world.settle().await;
            if made.is_empty() {
                let name = String::new();
                made.push(wharf_driver_local::Resource::Disk { folder: world.folder(), name });
            }
            world.remove(&made).await;
            until("alone", async || servers(&world).is_empty()).await;
        })
    }));
    trials
}

/// The victim shares what was shared here.
pub(crate) fn share_as_before(world: &mut World) {
    if world.shared("programs").join("virtiofsd").exists() {
        share(world);
    }
}

/// Two folders, one to be read and one to be written to, served by a server that is played.
fn share(world: &mut World) -> [PathBuf; 2] {
    let (docs, src) = (world.shared("docs"), world.shared("src"));
    let share = |path: &PathBuf, writable| Share { path: path.clone(), writable, home: false };
    let mounts = vec![share(&docs, false), share(&src, true)];
    let server = program(world, "virtiofsd");
    world.configure(|config| (config.mounts, config.virtiofsd) = (mounts, Virtiofsd::At(server)));
    [docs, src]
}

/// This executable by another name.
fn program(world: &World, name: &str) -> PathBuf {
    let path = world.shared("programs").join(name);
    if !path.exists() {
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &path).unwrap();
    }
    path
}

fn servers(world: &World) -> Vec<Pid> {
    let all = ["docs", "src"].into_iter().flat_map(|name| processes(&world.shared(name)));
    all.filter(|pid| line(*pid).contains("--shared-dir\0")).collect()
}

fn server(world: &World, name: &str) -> Pid {
    let folder = format!("--shared-dir\0{}\0", world.shared(name).display());
    let found: Vec<Pid> = servers(world).into_iter().filter(|pid| line(*pid).contains(&folder)).collect();
    assert_eq!(found.len(), 1, "one server of {name}");
    found[0]
}

fn line(pid: Pid) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}
