//! Further processes in a container: the same confinement, their own stdio.

use tokio::io::AsyncWriteExt as _;
use wharfd::runtime::{Error, ExecSpec, Executed, ProcessRef, Shim, Size, Streams};

use crate::support::{ALL, OUTPUT, World, bounded, process, read_all, unframe};

fn spec(id: &str, args: &[&str], streams: Streams) -> ExecSpec {
    ExecSpec { id: id.to_owned(), process: process(args), size: None, streams }
}

async fn sleeper(world: &World) -> std::sync::Arc<dyn Shim> {
    let shim = world.create(world.bundle("a", &["sleep", "1000"])).await;
    shim.start().await.unwrap();
    shim
}

async fn output(shim: &dyn Shim, spec: ExecSpec) -> (i32, String, String) {
    let id = spec.id.clone();
    let Executed { stream, .. } = bounded(shim.exec(spec)).await.unwrap();
    let (stdout, stderr) = unframe(&read_all(&mut stream.unwrap()).await);
    (bounded(shim.wait(ProcessRef::Exec(&id))).await.unwrap().code, stdout, stderr)
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let done = output(&*shim, spec("1", &["sh", "-c", "echo out; echo err >&2; exit 5"], OUTPUT)).await;
    assert_eq!(done, (5, "out\n".to_owned(), "err\n".to_owned()));
    assert!(
        matches!(shim.exec(spec("1", &["true"], OUTPUT)).await, Err(Error::Invalid(_))),
        "ids are used once"
    );
    assert_eq!(shim.wait(ProcessRef::Exec("9")).await, Err(Error::NotFound("9".to_owned())));
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn it_is_as_confined_as_the_container() {
    let Some(world) = World::new() else { return };
    let mut bundle = world.bundle(
        "a",
        &["sh", "-c", "mkdir /tmp/x 2>&1; grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status; sleep 1000"],
    );
    bundle.spec.process_mut().as_mut().unwrap().set_no_new_privileges(Some(true));
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    crate::support::eventually("it has spoken", || crate::support::log(&dir).contains("Seccomp")).await;
    let first = crate::support::log(&dir);
    assert!(first.contains("Operation not permitted") && first.contains("Seccomp:\t2"), "{first}");

    let mut second = spec(
        "1",
        &["sh", "-c", "mkdir /tmp/x 2>&1; grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status"],
        OUTPUT,
    );
    second.process.set_no_new_privileges(Some(true));
    let (_, text, errors) = output(&*shim, second).await;
    assert_eq!(text, first, "{errors}");
    // Without no-new-privileges, where the filter must be loaded before capabilities go.
    let (_, text, _) = output(
        &*shim,
        spec("2", &["sh", "-c", "mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status"], OUTPUT),
    )
    .await;
    assert!(text.contains("not permitted") && text.contains("Seccomp:\t2"), "{text}");

    let script = "ls -l /proc/self/ns /proc/1/ns | grep -o '[a-z]*:.[0-9]*' ; cat /proc/self/cgroup /proc/1/cgroup; ls /proc/self/fd; hostname";
    let (_, text, _) = output(&*shim, spec("3", &["sh", "-c", script], OUTPUT)).await;
    for kind in ["mnt", "net", "ipc", "uts", "pid"] {
        let of: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("{kind}:"))).collect();
        assert!(of.len() >= 2 && of.iter().all(|line| line == &of[0]), "{kind}: {of:?}");
    }
    let groups: Vec<_> = text.lines().filter(|line| line.split(':').count() == 3).collect();
    assert!(groups.len() >= 2 && groups[..groups.len() / 2] == groups[groups.len() / 2..], "{groups:?}");
    assert!(groups.iter().any(|group| group.contains("/wharf/")), "{groups:?}");
    assert!(text.ends_with("0\n1\n2\n3\ninside\n"), "{text}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn stdin_ends_when_the_client_ends_it() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let executed = shim.exec(spec("1", &["cat"], ALL)).await.unwrap();
    let mut stream = executed.stream.unwrap();
    stream.write_all(b"through").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(unframe(&read_all(&mut stream).await).0, "through");
    assert_eq!(bounded(shim.wait(ProcessRef::Exec("1"))).await.unwrap().code, 0);
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn it_can_have_a_terminal() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let mut wanted = spec("1", &["sh", "-c", "test -t 1 && echo tty; stty size; read x; stty size"], ALL);
    wanted.process.set_terminal(Some(true));
    wanted.size = Some(Size { rows: 11, columns: 22 });
    let mut stream = shim.exec(wanted).await.unwrap().stream.unwrap();
    let mut begin = [0; 12];
    bounded(tokio::io::AsyncReadExt::read_exact(&mut stream, &mut begin)).await.unwrap();
    assert_eq!(&begin, b"tty\r\n11 22\r\n");
    shim.resize(ProcessRef::Exec("1"), Size { rows: 5, columns: 6 }).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    let text = String::from_utf8(read_all(&mut stream).await).unwrap();
    assert!(text.ends_with("5 6\r\n"), "{text:?}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn programs_that_are_not_there_are_told() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let missing = shim.exec(spec("1", &["nothing-like-it"], OUTPUT)).await.unwrap_err();
    assert!(matches!(&missing, Error::Executable(m) if m.contains("not found in $PATH")), "{missing:?}");
    let refused = shim.exec(spec("2", &["/etc/passwd"], OUTPUT)).await.unwrap_err();
    assert!(matches!(&refused, Error::Permission(m) if m.contains("permission denied")), "{refused:?}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_detached_one_runs_on_and_can_be_killed() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let executed = shim.exec(spec("1", &["sleep", "1000"], Streams::default())).await.unwrap();
    assert!(executed.stream.is_none() && executed.pid > 1);
    shim.signal(ProcessRef::Exec("1"), libc::SIGKILL).await.unwrap();
    assert_eq!(bounded(shim.wait(ProcessRef::Exec("1"))).await.unwrap().signal, Some(9));
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn the_stream_ends_though_children_keep_stdio() {
    let Some(world) = World::new() else { return };
    let shim = sleeper(&world).await;
    let done = output(&*shim, spec("1", &["sh", "-c", "sleep 1000 & echo begun"], OUTPUT)).await;
    assert_eq!((done.0, done.1.as_str()), (0, "begun\n"));
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_container_that_does_not_run_takes_none() {
    let Some(world) = World::new() else { return };
    let shim = world.create(world.bundle("a", &["true"])).await;
    assert_eq!(shim.exec(spec("1", &["true"], OUTPUT)).await.unwrap_err(), Error::NotRunning);
    shim.start().await.unwrap();
    bounded(shim.wait(ProcessRef::Init)).await.unwrap();
    assert_eq!(shim.exec(spec("1", &["true"], OUTPUT)).await.unwrap_err(), Error::NotRunning);
    shim.delete().await.unwrap();
}
