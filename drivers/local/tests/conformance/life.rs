//! A machine's life: made, observed, stopped, started, removed; and what is refused.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use wharf_driver::{Driver as _, Kind, Power, State};
use wharf_driver_local::{Resource, Share};

use crate::world::{processes, trial, until};

#[expect(clippy::too_many_lines, reason = "a list of tests, each of them short")]
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("made_observed_and_removed", async |world| {
            let made = world.create().await.unwrap();
            let seen = world.observe(&made).await;
            assert_eq!(seen.state, State::Running);
            let reach = seen.reach.unwrap();
            assert_eq!((reach.ssh_host.as_str(), reach.ssh_user.as_str()), ("127.0.0.1", "root"));
            std::net::TcpStream::connect(("127.0.0.1", reach.ssh_port)).unwrap();
            std::net::TcpStream::connect(("127.0.0.1", reach.engine_port)).unwrap();
            world.remove(&made).await;
            assert!(!world.folder().exists());
            assert_eq!(processes(&world.folder()), []);
            assert_eq!(world.state(&made).await, State::Absent);
            world.remove(&made).await;
        }),
        trial("repeating_is_harmless", async |world| {
            let made = world.create().await.unwrap();
            let before = processes(&world.folder());
            assert_eq!(world.create().await.unwrap(), made);
            assert_eq!(processes(&world.folder()), before);
            world.power(&made, Power::On).await;
            assert_eq!(world.settle().await, made);
            world.remove(&made).await;
        }),
        trial("ports_are_the_same_after_a_stop", async |world| {
            let made = world.create().await.unwrap();
            let before = world.observe(&made).await.reach;
            world.power(&made, Power::Off).await;
            assert_eq!(world.state(&made).await, State::Stopped);
            until("alone", async || processes(&world.folder()).is_empty()).await;
            world.power(&made, Power::Off).await;
            world.power(&made, Power::On).await;
            assert_eq!(world.observe(&made).await.reach, before);
            world.power(&made, Power::Restart).await;
            assert_eq!(world.observe(&made).await.reach, before);
            world.power(&made, Power::Kill).await;
            assert_eq!(world.state(&made).await, State::Stopped);
            world.remove(&made).await;
        }),
        trial("a_port_that_somebody_took_becomes_another", async |world| {
            let made = world.create().await.unwrap();
            let before = world.observe(&made).await.reach.unwrap();
            world.power(&made, Power::Off).await;
            let _thief = std::net::TcpListener::bind(("127.0.0.1", before.ssh_port)).unwrap();
            world.power(&made, Power::On).await;
            let after = world.observe(&made).await.reach.unwrap();
            assert_ne!(after.ssh_port, before.ssh_port);
            assert_eq!(after.engine_port, before.engine_port);
            world.remove(&made).await;
        }),
        trial("the_ports_of_the_journal_are_asked_for", async |world| {
            let made = world.create().await.unwrap();
            let before = world.observe(&made).await.reach;
            world.power(&made, Power::Kill).await;
            fs::remove_file(world.folder().join("state.json")).unwrap();
            world.power(&made, Power::On).await;
            assert_eq!(world.observe(&made).await.reach, before);
            world.remove(&made).await;
        }),
        trial("a_qemu_that_does_not_start_says_why", async |world| {
            fs::File::create(world.folder().join("fake-broken")).unwrap();
            let error = world.create().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Failed);
            assert!(error.to_string().contains("fake: broken"), "{error}");
            let made = world.settle().await;
            assert_eq!(world.state(&made).await, State::Stopped);
            world.remove(&made).await;
            assert!(!world.folder().exists());
        }),
        trial("a_guest_that_never_answers_is_late", async |world| {
            fs::File::create(world.folder().join("fake-silent")).unwrap();
            let plan = world.driver.plan(&world.spec(), None, &world.cx("plan")).await.unwrap();
            let mut made = Vec::new();
            for step in &plan.steps {
                let mut cx = world.cx(&step.name);
                cx.deadline = std::time::Instant::now() + std::time::Duration::from_millis(700);
                match world.driver.perform(&step.action, &made, &cx).await {
                    Ok(resource) => made.push(resource),
                    Err(error) => assert_eq!(error.kind(), Kind::TimedOut),
                }
            }
            let made = world.settle().await;
            assert_eq!(made.len(), 2);
            assert_eq!(world.state(&made).await, State::Starting);
            world.remove(&made).await;
        }),
        trial("a_damaged_data_disk_is_said_at_once_and_seen_until_it_is_mended", async |world| {
            let made = world.create().await.unwrap();
            world.power(&made, Power::Off).await;
            fs::File::create(world.folder().join("fake-damaged")).unwrap();
            let error = world.driver.power(&made, Power::On, &world.cx("power")).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Failed);
            assert!(error.to_string().contains("the data disk is damaged"), "{error}");
            assert!(error.advice().unwrap().contains("e2fsck"));
            let seen = world.observe(&made).await;
            assert_eq!((seen.state, seen.warnings.len()), (State::Running, 1));
            fs::remove_file(world.folder().join("fake-damaged")).unwrap();
            world.power(&made, Power::Restart).await;
            assert!(world.observe(&made).await.warnings.is_empty());
            world.remove(&made).await;
        }),
        trial("an_interrupted_create_writes_no_more", async |world| {
            let cx = world.cx("disk");
            cx.cancel.cancel();
            let plan = world.driver.plan(&world.spec(), None, &world.cx("plan")).await.unwrap();
            world.driver.perform(&plan.steps[0].action, &[], &world.cx("disk")).await.unwrap();
            let error = world.driver.perform(&plan.steps[1].action, &[], &cx).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Cancelled);
            let disk = Resource::Disk { folder: world.folder(), name: String::new() };
            world.remove(&[disk]).await;
            assert!(!world.folder().exists());
        }),
        trial("another_stores_files_are_never_overwritten", async |world| {
            let made = world.create().await.unwrap();
            let plan = world.driver.plan(&world.spec(), None, &world.cx("plan")).await.unwrap();
            for step in &plan.steps {
                let mut cx = world.cx("disk");
                cx.owner.store.0 = "another".into();
                let error = world.driver.perform(&step.action, &[], &cx).await.unwrap_err();
                assert_eq!(error.kind(), Kind::NameTaken);
            }
            assert_eq!(world.state(&made).await, State::Running);
            world.remove(&made).await;
        }),
        trial("what_is_ours_is_found_again", async |world| {
            let made = world.create().await.unwrap();
            let found = world.driver.find_owned(&world.cx("find")).await.unwrap();
            let resources = found.owned.iter().rev().map(|one| one.resource.clone());
            assert_eq!(resources.collect::<Vec<_>>(), made, "the machine before its disk");
            world.remove(&made).await;
            assert!(world.driver.find_owned(&world.cx("find")).await.unwrap().owned.is_empty());
        }),
        trial("what_is_shared_is_told_to_qemu_and_to_the_guest", async |mut world| {
            let (docs, src) = (world.shared("docs"), world.shared("src"));
            let share = |path: &Path, writable, home| Share { path: path.to_owned(), writable, home };
            let nowhere = Path::new("/nowhere/home");
            let mounts =
                vec![share(&docs, false, false), share(nowhere, false, true), share(&src, true, false)];
            world.configure(|config| config.mounts = mounts);
            let plan = world.driver.plan(&world.spec(), None, &world.cx("plan")).await.unwrap();
            let sees = format!("sees {} (read-only), {}", docs.display(), src.display());
            assert!(plan.steps[1].summary.ends_with(&sees), "{}", plan.steps[1].summary);
            let made = world.create().await.unwrap();
            for power in [None, Some(Power::Restart)] {
                if let Some(power) = power {
                    world.power(&made, power).await;
                }
                let qemu = fs::read_to_string(world.folder().join("qemu.pid")).unwrap();
                let line = fs::read_to_string(format!("/proc/{}/cmdline", qemu.trim())).unwrap();
                let local = "security_model=none,multidevs=remap";
                assert!(
                    line.contains(&format!("local,id=share0,path={},{local},readonly=on\0", docs.display()))
                );
                assert!(line.contains(&format!("local,id=share1,path={},{local}\0", src.display())));
                assert!(
                    line.contains("name=opt/org.wharf/shares,file=seed-shares\0") && !line.contains("share2")
                );
            }
            let told = fs::read_to_string(world.folder().join("seed-shares")).unwrap();
            assert!(told.ends_with(&format!("\nro {}\nrw {}\n", docs.display(), src.display())), "{told}");
            world.remove(&made).await;
        }),
        trial("what_cannot_be_shared_is_refused_or_left_out", async |mut world| {
            let plan = async |world: &crate::world::World| {
                world.driver.plan(&world.spec(), None, &world.cx("plan")).await
            };
            let share = |path: &Path, home| Share { path: path.to_owned(), writable: false, home };
            world.configure(|config| config.mounts = vec![share(Path::new("/nowhere/at/all"), false)]);
            let error = plan(&world).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
            let docs = world.shared("docs");
            let qemu = docs.join("qemu-without-9p");
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &qemu).unwrap();
            world.configure(|config| (config.qemu, config.mounts) = (qemu, vec![share(&docs, false)]));
            let error = plan(&world).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.advice().unwrap().contains("--local-mount none"), "{error}");
            world.configure(|config| config.mounts = vec![share(&docs, true)]);
            assert!(!plan(&world).await.unwrap().steps[1].summary.contains("sees"));
        }),
        trial("a_machine_of_an_earlier_release_is_told_of_no_shares", async |world| {
            let made = world.create().await.unwrap();
            world.power(&made, Power::Off).await;
            let file = world.folder().join("vm.json");
            let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            record["vm"].as_object_mut().unwrap().remove("shares").unwrap();
            let text = record.to_string();
            std::io::Write::write_all(&mut fs::File::create(&file).unwrap(), text.as_bytes()).unwrap();
            world.power(&made, Power::On).await;
            let qemu = fs::read_to_string(world.folder().join("qemu.pid")).unwrap();
            let line = fs::read_to_string(format!("/proc/{}/cmdline", qemu.trim())).unwrap();
            assert!(line.contains("org.wharf/host_key") && !line.contains("shares"), "{line}");
            world.remove(&made).await;
        }),
        trial("secrets_stay_in_the_seed", async |world| {
            let made = world.create().await.unwrap();
            for entry in fs::read_dir(world.folder()).unwrap().flatten() {
                let text = fs::read(entry.path()).unwrap_or_default();
                let has = String::from_utf8_lossy(&text).contains("private half");
                assert_eq!(has, entry.file_name() == "seed-host-key", "{entry:?}");
            }
            for pid in processes(&world.folder()) {
                for file in ["cmdline", "environ"] {
                    let text = fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap();
                    assert!(!String::from_utf8_lossy(&text).contains("private half"));
                }
            }
            world.remove(&made).await;
        }),
    ]
}
