//! `wharfd purge` after the daemon was killed: nothing of the engine is left, and nothing of another one is touched.

use std::process::Command;

use crate::engine::Engine;

/// Everything of an engine that a host could still have.
fn traces(engine: &Engine) -> Vec<String> {
    let folder = engine.folder().display().to_string();
    let links = engine.inside(&["ip", "-o", "link"]);
    let mut traces: Vec<String> =
        links.lines().filter(|link| !link.contains(" lo: ")).map(str::to_owned).collect();
    traces.extend(engine.inside(&["nft", "list", "ruleset"]).lines().map(str::to_owned));
    let mounts = engine.inside(&["cat", "/proc/mounts"]);
    traces.extend(mounts.lines().filter(|line| line.contains(&folder)).map(str::to_owned));
    traces.extend(
        ["data", "run"]
            .map(|name| engine.folder().join(name))
            .iter()
            .filter(|path| path.exists())
            .map(|path| path.display().to_string()),
    );
    traces
}

fn purge(engine: &Engine) -> (bool, String) {
    let (data, run) = (engine.folder().join("data"), engine.folder().join("run"));
    let mut command = engine.entering();
    command.arg(env!("CARGO_BIN_EXE_wharfd")).arg("purge");
    let output = command.arg("--data-root").arg(data).arg("--exec-root").arg(run).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// One that init has yet to take note of is dead.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn groups_of(container: &str) -> String {
    let found =
        Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", container]).output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

#[test]
fn purging_leaves_nothing_and_touches_nobody_else() {
    let mut engine = engine!("purging_leaves_nothing_and_touches_nobody_else");
    let other = engine!("purging_leaves_nothing_and_touches_nobody_else");
    other.ok(&["run", "-d", "--name", "bystander", "busybox", "sleep", "600"]);
    assert_eq!(engine.inside(&["cat", "/proc/sys/net/ipv4/ip_forward"]), "0\n");

    let web = engine.ok(&["run", "-d", "-p", "8080:80", "-v", "kept:/data", "busybox", "sleep", "600"]);
    let paused =
        engine.ok(&["run", "-d", "--name", "paused", "busybox", "sh", "-c", "sleep 600 & sleep 600"]);
    engine.ok(&["pause", "paused"]);
    engine.ok(&["network", "create", "front"]);
    engine.ok(&["run", "-d", "--network", "front", "--name", "named", "busybox", "sleep", "600"]);
    engine.ok(&["volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "memory"]);
    engine.ok(&["run", "-d", "-v", "memory:/m", "busybox", "sleep", "600"]);
    engine.ok(&["create", "busybox"]);
    let pids: Vec<String> = engine
        .ok(&["ps", "-q"])
        .lines()
        .map(|id| engine.ok(&["inspect", "-f", "{{.State.Pid}}", id]).trim().to_owned())
        .collect();
    assert_eq!(pids.len(), 4);
    engine.kill_daemon();
    assert!(traces(&engine).len() > 10, "there is something to take away");

    let (done, said) = purge(&engine);
    assert!(done, "{said}");
    for what in
        ["ended container ", "removed the link wharf0", "removed the link br-", "firewall", "unmounted "]
    {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert_eq!(traces(&engine), Vec::<String>::new());
    for pid in &pids {
        assert!(!lives(pid), "a container's process lives: {pid}");
    }
    for container in [&web, &paused] {
        assert_eq!(groups_of(container.trim()), "");
    }
    assert_eq!(engine.inside(&["cat", "/proc/sys/net/ipv4/ip_forward"]), "0\n", "as it was before");
    assert_eq!(purge(&engine), (true, String::new()), "being gone already is success");
    assert_eq!(other.ok(&["inspect", "-f", "{{.State.Running}}", "bystander"]), "true\n");

    // And it can be had again.
    engine.start_daemon();
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
}

#[test]
fn purging_ends_a_daemon_that_still_runs() {
    let engine = engine!("purging_ends_a_daemon_that_still_runs");
    engine.ok(&["run", "-d", "--restart", "always", "busybox", "sleep", "600"]);
    let (done, said) = purge(&engine);
    assert!(done && said.contains("ended the daemon (process "), "{said}");
    assert_eq!(traces(&engine), Vec::<String>::new());
}
