//! A container's life from create to delete.

use wharfd::runtime::{Error, ProcessRef, Runtime as _};

use crate::support::{World, bounded, log};

#[tokio::test]
async fn a_program_runs_and_its_exit_is_known() {
    let Some(world) = World::new() else { return };
    let bundle = world.bundle("a", &["sh", "-c", "echo out; echo err >&2; hostname; exit 7"]);
    let dir = bundle.dir.clone();
    let (exit, text) = world.run(bundle).await;
    assert_eq!((exit.code, exit.signal, exit.oom), (7, None, false));
    assert!(text.contains("out\n") && text.contains("err\n") && text.contains("inside\n"), "{text}");
    assert_eq!(world.runtime.exit_record(&dir).unwrap(), Some(exit));
}

#[tokio::test]
async fn signals_reach_the_program_and_are_reported() {
    let Some(world) = World::new() else { return };
    let bundle =
        world.bundle("a", &["sh", "-c", "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done"]);
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    crate::support::eventually("the trap is set", || log(&dir).contains("up")).await;
    shim.signal(ProcessRef::Init, libc::SIGHUP).await.unwrap();
    crate::support::eventually("the trap ran", || log(&dir).contains("hup")).await;
    shim.signal(ProcessRef::Init, libc::SIGKILL).await.unwrap();
    let exit = bounded(shim.wait(ProcessRef::Init)).await.unwrap();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    assert_eq!(shim.signal(ProcessRef::Init, libc::SIGTERM).await, Err(Error::NotRunning));
    shim.delete().await.unwrap();
    shim.delete().await.expect("being gone already is success");
}

#[tokio::test]
async fn a_missing_program_is_told_in_dockers_words_and_leaves_nothing() {
    let Some(world) = World::new() else { return };
    let missing = world.runtime.create(world.bundle("a", &["nothing-like-it"])).await.unwrap_err();
    let Error::Executable(message) = missing else { panic!("{missing:?}") };
    assert!(message.contains("exec: \"nothing-like-it\": executable file not found in $PATH"), "{message}");
    let refused = world.runtime.create(world.bundle("b", &["/etc/passwd"])).await.unwrap_err();
    let Error::Permission(message) = refused else { panic!("{refused:?}") };
    assert!(message.contains("exec: \"/etc/passwd\": permission denied"), "{message}");
    for folder in ["exec/shim", "exec/runtime"] {
        let left: Vec<_> = std::fs::read_dir(world.folder.path().join(folder)).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn what_the_runtime_refuses_is_told_in_its_words() {
    let Some(world) = World::new() else { return };
    let mut bundle = world.bundle("a", &["true"]);
    bundle.spec.mounts_mut().as_mut().unwrap()[0]
        .set_source(Some("/no/such/source".into()))
        .set_typ(Some("bind".to_owned()))
        .set_options(Some(vec!["bind".to_owned()]));
    let refused = world.runtime.create(bundle).await.unwrap_err();
    assert!(matches!(&refused, Error::Runtime(m) if m.contains("/no/such/source")), "{refused:?}");
}

#[tokio::test]
async fn a_container_starts_once() {
    let Some(world) = World::new() else { return };
    let shim = world.create(world.bundle("a", &["sleep", "100"])).await;
    assert!(shim.pid() > 1);
    shim.start().await.unwrap();
    assert!(matches!(shim.start().await, Err(Error::Invalid(_))));
    let second = world.runtime.create(world.bundle("a", &["true"])).await;
    assert!(matches!(second, Err(Error::Invalid(_))), "{second:?}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_paused_container_stands_still_and_can_be_killed() {
    let Some(world) = World::new() else { return };
    let bundle = world.bundle("a", &["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    crate::support::eventually("it ticks", || log(&dir).contains("tick")).await;
    shim.pause().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let stood = log(&dir).len();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(log(&dir).len(), stood);
    shim.resume().await.unwrap();
    crate::support::eventually("it ticks again", || log(&dir).len() > stood).await;
    shim.pause().await.unwrap();
    shim.signal(ProcessRef::Init, libc::SIGKILL).await.unwrap();
    assert_eq!(bounded(shim.wait(ProcessRef::Init)).await.unwrap().signal, Some(9));
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_created_container_can_be_deleted_unstarted() {
    let Some(world) = World::new() else { return };
    let shim = world.create(world.bundle("a", &["true"])).await;
    let pid = shim.pid();
    shim.delete().await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_working_folder_is_made_and_the_user_owns_stdio() {
    let Some(world) = World::new() else { return };
    let mut bundle =
        world.bundle("a", &["sh", "-c", "cd . && echo in $PWD; id -u; echo again > /proc/self/fd/1"]);
    let process = bundle.spec.process_mut().as_mut().unwrap();
    process.set_cwd("/srv/made".into());
    let user = oci_spec::runtime::UserBuilder::default().uid(1234u32).gid(1234u32).build().unwrap();
    process.set_user(user);
    let (exit, text) = world.run(bundle).await;
    assert_eq!((exit.code, text.as_str()), (0, "in /srv/made\n1234\nagain\n"));
}

#[tokio::test]
async fn the_program_starts_with_clean_signals_and_descriptors() {
    let Some(world) = World::new() else { return };
    let script = "grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd";
    let (_, text) = world.run(world.bundle("a", &["sh", "-c", script])).await;
    assert!(text.contains("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"), "{text}");
    // The fourth is ls's own.
    assert!(text.ends_with("0\n1\n2\n3\n"), "{text}");
}
