//! `--init`: the first process of a container, which is this engine's own executable.

use crate::engine::{Engine, Said};

/// A quick build of the agent needs the C library beside it; what ships is static and does not.
pub(crate) const LIBRARIES: [&str; 2] = ["/lib64", "/lib/x86_64-linux-gnu"];

fn run(engine: &Engine, options: &[&str], command: &[&str]) -> Said {
    let binds: Vec<String> = LIBRARIES.iter().map(|path| format!("-v={path}:{path}:ro")).collect();
    let mut arguments = vec!["run", "--init"];
    arguments.extend(binds.iter().map(String::as_str));
    arguments.extend_from_slice(options);
    arguments.push("busybox");
    arguments.extend_from_slice(command);
    engine.docker(&arguments)
}

#[test]
fn an_init_ends_as_its_program_does() {
    let engine = engine!("an_init_ends_as_its_program_does");
    let script = |script: &str| run(&engine, &["--rm"], &["sh", "-c", script]);
    assert_eq!(script("exit 7").code, 7);
    assert_eq!(script("kill -9 $$").code, 137);
    assert_eq!(run(&engine, &["--rm"], &["nope"]).code, 127);
    let seen =
        run(&engine, &["--rm", "-u", "web"], &["sh", "-c", "echo $PPID; tr '\\0' ' ' < /proc/1/cmdline"]);
    let mut lines = seen.stdout.lines();
    assert_eq!(lines.next(), Some("1"), "{seen:?}");
    assert!(lines.next().unwrap().starts_with("/sbin/docker-init -- sh -c"), "{seen:?}");
    let open = script("ls /proc/1/fd | wc -l; cat /proc/1/comm");
    assert_eq!(open.stdout, "4\ndocker-init\n", "stdio and its signals, and nothing of the host's");
    let plain = engine.ok(&["run", "--rm", "busybox", "cat", "/proc/1/comm"]);
    assert_eq!(plain, "cat\n", "only when it was asked for");
}

#[test]
fn an_init_hands_signals_on_and_reaps() {
    let engine = engine!("an_init_hands_signals_on_and_reaps");
    let script = "trap 'echo hup' HUP; trap 'echo bye; exit 5' TERM; (sleep 0.1 & exec sleep 0.3) & \
                  echo ready; while true; do sleep 0.1; done";
    run(&engine, &["-d", "--name", "one"], &["sh", "-c", script]);
    engine.until(&["logs", "one"], |seen| seen.contains("ready"));
    engine.ok(&["kill", "-s", "HUP", "one"]);
    engine.until(&["logs", "one"], |seen| seen.contains("hup"));
    engine.until(&["top", "one"], |seen| {
        !seen.lines().any(|line| line.ends_with("sleep 0.3") || line.contains("defunct"))
    });
    engine.ok(&["stop", "one"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.State.ExitCode}}", "one"]), "5\n");
    assert!(engine.ok(&["logs", "one"]).ends_with("bye\n"));
}

/// The program behind it is sealed: nobody can write to it (CVE-2019-5736).
#[test]
fn an_init_cannot_be_overwritten() {
    let engine = engine!("an_init_cannot_be_overwritten");
    let tried = run(&engine, &["--rm", "--privileged"], &["sh", "-c", "echo x > /proc/1/exe"]);
    assert!(tried.code != 0 && !tried.stderr.is_empty(), "{tried:?}");
    assert_eq!(run(&engine, &["--rm"], &["true"]).code, 0, "it is whole");
}
