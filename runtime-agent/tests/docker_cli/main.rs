//! The real docker client against a real engine: what people type, and that nothing hangs.
//!
//! Needs root, `unshare`, `nsenter`, `script`, `ip`, `nft`, a static busybox and the docker client. Each test has an engine of its
//! own in network and mount namespaces of its own; every command has a bound.

#![cfg(test)]

/// Leaves the test where the machine cannot run it, and says so.
macro_rules! engine {
    ($test:literal) => {
        match crate::engine::Engine::start($test) {
            Some(engine) => engine,
            None => return,
        }
    };
}

mod building;
mod engine;
mod files;
mod hosting;
mod init;
mod keeping;
mod linking;
mod networks;
mod publish;
mod purge;
mod sdk;
mod watching;

#[test]
fn run_prints_and_passes_exit_codes_on() {
    let engine = engine!("run_prints_and_passes_exit_codes_on");
    let script = "echo out; echo err >&2; exit 3";
    let ran = engine.docker(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (3, "out\n", "err\n"));
    let missing = engine.docker(&["run", "--rm", "busybox", "nope"]);
    assert_eq!(missing.code, 127, "{missing:?}");
    assert!(missing.stderr.contains("executable file not found in $PATH"), "{missing:?}");
    assert_eq!(engine.docker(&["run", "--rm", "busybox", "/etc/passwd"]).code, 126);
    let refused = engine.docker(&["run", "--rm", "--memory", "1k", "busybox", "true"]);
    assert_eq!(refused.code, 125, "{refused:?}");
    assert_eq!(engine.docker_with(&["run", "--rm", "-i", "busybox", "wc", "-c"], "12345").stdout, "5\n");
    assert_eq!(engine.ok(&["ps", "-aq"]), "", "nothing is left");
}

#[test]
fn run_honours_user_folder_environment_and_limits() {
    let engine = engine!("run_honours_user_folder_environment_and_limits");
    let script = "id -u; id -g; pwd; echo $A-$HOME; hostname; cat /proc/self/status | grep -E 'CapBnd|Seccomp:|NoNewPrivs'";
    let seen = engine.ok(&[
        "run",
        "--rm",
        "-u",
        "web",
        "-w",
        "/srv/new",
        "-e",
        "A=b",
        "-h",
        "box",
        "--security-opt",
        "no-new-privileges",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..5], ["33", "33", "/srv/new", "b-/home/web", "box"]);
    assert!(seen.contains("CapBnd:\t00000000a80425fb"), "docker's own default set: {seen}");
    assert!(seen.contains("Seccomp:\t2") && seen.contains("NoNewPrivs:\t1"), "{seen}");
    let read_only = engine.docker(&[
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/t",
        "busybox",
        "sh",
        "-c",
        "touch /t/x && touch /x",
    ]);
    assert!(read_only.code != 0 && read_only.stderr.contains("Read-only"), "{read_only:?}");
    let privileged = engine.ok(&[
        "run",
        "--rm",
        "--privileged",
        "busybox",
        "sh",
        "-c",
        "mount -t tmpfs x /mnt && echo mounted",
    ]);
    assert_eq!(privileged, "mounted\n");
    let unprivileged = engine.docker(&["run", "--rm", "busybox", "mount", "-t", "tmpfs", "x", "/mnt"]);
    assert!(unprivileged.code != 0, "{unprivileged:?}");
}

#[test]
fn a_terminal_is_a_terminal() {
    let engine = engine!("a_terminal_is_a_terminal");
    let ran = engine
        .terminal("docker run -it --rm busybox sh", "tty; stty size >/dev/null && echo sized; exit 6\n");
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.stdout.contains("/dev/pts/0"), "{ran:?}");
    engine.ok(&["run", "-d", "--name", "web", "busybox", "sleep", "600"]);
    let exec = engine.terminal("docker exec -it web sh", "tty; exit 5\n");
    assert_eq!(exec.code, 5, "{exec:?}");
    assert!(exec.stdout.contains("/dev/pts/"), "{exec:?}");
}

#[test]
fn a_detached_one_is_reached_followed_entered_and_stopped() {
    let engine = engine!("a_detached_one_is_reached_followed_entered_and_stopped");
    let script = "mkdir /www; echo page > /www/index.html; httpd -p 80 -h /www; echo ready; \
                  trap 'echo bye; exit 4' TERM; while true; do sleep 0.1; done";
    engine.ok(&["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sh", "-c", script]);
    engine.until(&["logs", "web"], |seen| seen.contains("ready"));
    assert_eq!(engine.inside(&["busybox", "wget", "-qO-", "http://127.0.0.1:8080/"]), "page\n");
    assert!(engine.ok(&["ps"]).contains("0.0.0.0:8080->80/tcp"));
    assert_eq!(engine.ok(&["port", "web"]).lines().next(), Some("80/tcp -> 0.0.0.0:8080"));
    let taken = engine.docker(&["run", "--rm", "-p", "8080:80", "busybox", "true"]);
    assert!(taken.code == 125 && taken.stderr.contains("port is already allocated"), "{taken:?}");
    assert_eq!(engine.docker_with(&["exec", "-i", "web", "cat"], "through\n").stdout, "through\n");
    assert_eq!(engine.docker(&["exec", "web", "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(engine.docker(&["exec", "web", "nope"]).code, 127);
    assert_eq!(
        engine.ok(&[
            "exec",
            "-u",
            "web",
            "-w",
            "/tmp",
            "-e",
            "X=y",
            "web",
            "sh",
            "-c",
            "id -u; pwd; echo $X"
        ]),
        "33\n/tmp\ny\n"
    );
    let follower = engine.spawn(&["logs", "-f", "web"]);
    let waiter = engine.spawn(&["wait", "web"]);
    engine.ok(&["stop", "-t", "5", "web"]);
    let followed = follower.finish();
    assert!(followed.code == 0 && followed.stdout.ends_with("bye\n"), "{followed:?}");
    assert_eq!(waiter.finish().stdout, "4\n");
    assert!(engine.ok(&["logs", "--tail", "1", "-t", "web"]).ends_with("Z bye\n"));
    assert!(engine.ok(&["ps", "-a", "--filter", "status=exited"]).contains("Exited (4)"));
    assert!(engine.docker(&["exec", "web", "true"]).stderr.contains("is not running"));
    engine.ok(&["rm", "web"]);
    assert_eq!(
        engine.docker(&["rm", "web"]).stderr.trim(),
        "Error response from daemon: No such container: web"
    );
}

#[test]
fn binds_and_volumes_keep_what_is_written() {
    let engine = engine!("binds_and_volumes_keep_what_is_written");
    let bind = engine.folder().join("bind");
    let mapping = format!("{}:/b", bind.display());
    engine.ok(&[
        "run",
        "--rm",
        "-v",
        &mapping,
        "-v",
        "vol:/data",
        "busybox",
        "sh",
        "-c",
        "cp /data/seed /b/; echo new > /data/new",
    ]);
    assert_eq!(
        std::fs::read_to_string(bind.join("seed")).unwrap(),
        "seed\n",
        "a new volume has the image's files"
    );
    assert_eq!(engine.ok(&["run", "--rm", "-v", "vol:/v:ro", "busybox", "cat", "/v/new"]), "new\n");
    let read_only = engine.docker(&["run", "--rm", "-v", "vol:/v:ro", "busybox", "touch", "/v/x"]);
    assert!(read_only.code != 0, "{read_only:?}");
    let missing =
        engine.docker(&["run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true"]);
    assert!(missing.code == 125 && missing.stderr.contains("bind source path does not exist"), "{missing:?}");
    assert_eq!(engine.ok(&["volume", "ls", "-q"]), "vol\n");
}

#[test]
fn containers_outlive_a_killed_daemon_with_logs_and_exit_codes() {
    let mut engine = engine!("containers_outlive_a_killed_daemon_with_logs_and_exit_codes");
    let script = "trap 'exit 4' TERM; n=0; while true; do n=$((n+1)); echo line $n; sleep 0.1; done";
    engine.ok(&["run", "-d", "--name", "runs", "-p", "8081:80", "busybox", "sh", "-c", script]);
    engine.ok(&["run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 1; echo done; exit 9"]);
    engine.ok(&["run", "-d", "--name", "again", "--restart", "always", "busybox", "sh", "-c", "sleep 1"]);
    let before = engine.ok(&["inspect", "-f", "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}", "runs"]);
    engine.kill_daemon();
    std::thread::sleep(std::time::Duration::from_secs(2));
    engine.start_daemon();
    assert_eq!(engine.ok(&["inspect", "-f", "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}", "runs"]), before);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends"]), "exited 9\n");
    assert_eq!(engine.ok(&["logs", "ends"]), "done\n");
    engine.until(&["inspect", "-f", "{{.State.Running}}", "again"], |seen| seen == "true\n");
    let lines = engine.ok(&["logs", "runs"]);
    let numbers: Vec<usize> = lines.lines().map(|line| line["line ".len()..].parse().unwrap()).collect();
    assert!(
        numbers.len() > 15 && numbers.iter().copied().eq(1..=numbers.len()),
        "no line is lost: {numbers:?}"
    );
    assert_eq!(engine.ok(&["exec", "runs", "echo", "in"]), "in\n");
    engine.ok(&["stop", "runs"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.State.ExitCode}}", "runs"]), "4\n");
    engine.ok(&["rm", "-f", "runs", "ends", "again"]);
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

#[test]
fn names_states_and_refusals_read_as_dockers() {
    let engine = engine!("names_states_and_refusals_read_as_dockers");
    let id = engine.ok(&["run", "-d", "--name", "web", "--label", "tier=db", "busybox", "sleep", "600"]);
    let taken = engine.docker(&["create", "--name", "web", "busybox"]);
    assert!(
        taken.stderr.contains("Conflict. The container name \"/web\" is already in use by container"),
        "{taken:?}"
    );
    assert!(engine.docker(&["rm", "web"]).stderr.contains("container is running"));
    engine.ok(&["rename", "web", "other"]);
    engine.ok(&["pause", "other"]);
    assert!(engine.ok(&["ps", "--filter", "label=tier=db"]).contains("(Paused)"));
    assert!(engine.docker(&["exec", "other", "true"]).stderr.contains("is paused"));
    engine.ok(&["unpause", "other"]);
    engine.ok(&["restart", "-t", "0", "other"]);
    engine.ok(&["kill", "other"]);
    assert_eq!(engine.ok(&["wait", "other"]), "137\n");
    assert!(engine.docker(&["kill", "other"]).stderr.contains("is not running"));
    assert_eq!(
        engine.ok(&["container", "prune", "-f", "--filter", "label=tier=db"]).lines().nth(1),
        Some(id.trim())
    );
}
