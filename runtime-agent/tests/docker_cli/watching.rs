//! `docker top` and `docker stats`: what runs in a container, and what it uses.

use crate::engine::Engine;

#[test]
fn processes_are_listed_as_ps_lists_them() {
    let engine = engine!("processes_are_listed_as_ps_lists_them");
    engine.ok(&[
        "run",
        "-d",
        "--name",
        "one",
        "-u",
        "web",
        "busybox",
        "sh",
        "-c",
        "sleep 601 & sleep 602; true",
    ]);
    engine.until(&["top", "one"], |seen| seen.contains("sleep 602"));
    let pid = engine.ok(&["inspect", "-f", "{{.State.Pid}}", "one"]);
    let full = engine.ok(&["top", "one"]);
    let rows: Vec<Vec<&str>> = full.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert_eq!(rows.len(), 4, "{full}");
    assert_eq!(rows[1][1], pid.trim(), "as the host sees them: {full}");
    let user = engine.ok(&["top", "one", "aux"]);
    assert!(user.lines().next().unwrap().starts_with("USER"), "{user}");
    let chosen = engine.ok(&["top", "one", "-o", "pid,args"]);
    assert!(chosen.contains("sleep 601") && chosen.lines().next().unwrap().starts_with("PID"), "{chosen}");
    let without = engine.docker(&["top", "one", "-o", "args"]);
    assert!(without.stderr.contains("Couldn't find PID field in ps output"), "{without:?}");
    engine.ok(&["kill", "one"]);
    let ended = engine.docker(&["top", "one"]);
    assert!(ended.stderr.contains("is not running"), "{ended:?}");
}

fn sample(engine: &Engine, name: &str, query: &str) -> serde_json::Value {
    serde_json::from_str(&engine.api("GET", &format!("/v1.41/containers/{name}/stats?stream=0{query}")))
        .unwrap()
}

#[test]
fn what_is_used_is_told_so_that_clients_can_divide() {
    let engine = engine!("what_is_used_is_told_so_that_clients_can_divide");
    let busy = "while true; do echo $(($(cat /proc/uptime | wc -c) * 2)) > /dev/null; done";
    engine.ok(&["run", "-d", "--name", "busy", "-m", "64m", "busybox", "sh", "-c", busy]);
    let stats = sample(&engine, "busy", "");
    let number = |path: &str| stats.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let difference =
        |field: &str| number(&format!("/cpu_stats/{field}")) - number(&format!("/precpu_stats/{field}"));
    assert!(difference("cpu_usage/total_usage") > 0 && difference("system_cpu_usage") > 0, "{stats}");
    assert!(number("/cpu_stats/online_cpus") > 0 && number("/pids_stats/current") > 0, "{stats}");
    assert_eq!(number("/memory_stats/limit"), 64 << 20, "{stats}");
    assert!(number("/memory_stats/usage") > 0, "{stats}");
    let table = &stats["memory_stats"]["stats"];
    assert!(table["total_inactive_file"].is_u64() || table["inactive_file"].is_u64(), "{stats}");
    assert!(stats["networks"]["eth0"]["rx_bytes"].is_u64(), "{stats}");
    assert!(stats["name"] == "/busy" && stats["preread"] != "0001-01-01T00:00:00Z", "{stats}");
    let single = sample(&engine, "busy", "&one-shot=1");
    assert_eq!(single["precpu_stats"]["cpu_usage"]["total_usage"], 0, "{single}");
    let shown = engine.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "busy"]);
    assert!(shown.starts_with("busy ") && shown.contains("/ 64MiB"), "{shown}");
    engine.ok(&["create", "--name", "never", "busybox"]);
    let never = sample(&engine, "never", "");
    assert_eq!(
        (&never["read"], &never["memory_stats"]),
        (&"0001-01-01T00:00:00Z".into(), &serde_json::json!({}))
    );
    std::thread::scope(|scope| {
        let stream = scope.spawn(|| engine.api("GET", "/v1.52/containers/busy/stats"));
        engine.ok(&["rm", "-f", "busy"]);
        let samples = stream.join().unwrap();
        assert!(samples.lines().all(|line| line.contains("\"os_type\":\"linux\"")), "{samples}");
    });
}

#[test]
fn sizes_are_told_when_asked_for() {
    let engine = engine!("sizes_are_told_when_asked_for");
    engine.ok(&["run", "--name", "one", "busybox", "dd", "if=/dev/zero", "of=/tmp/x", "bs=1000", "count=7"]);
    assert_eq!(engine.ok(&["inspect", "-s", "-f", "{{.SizeRw}}", "one"]), "7000\n");
    let listed = engine.ok(&["ps", "-as", "--format", "{{.Size}}"]);
    assert!(listed.starts_with("7kB (virtual "), "{listed}");
    assert_eq!(engine.ok(&["inspect", "-f", "{{.SizeRw}}", "one"]), "<nil>\n");
}

/// Compose's `service_healthy` and `docker ps` read it; events follow the state.
#[test]
fn health_is_checked_told_and_survives_a_restart_of_the_daemon() {
    let mut engine = engine!("health_is_checked_told_and_survives_a_restart_of_the_daemon");
    let every = ["--health-interval", "200ms", "--health-retries", "2", "--health-cmd", "cat /tmp/ok"];
    let create =
        [&["run", "-d", "--name", "checked"][..], &every[..], &["busybox", "sleep", "600"][..]].concat();
    engine.ok(&create);
    let status = ["inspect", "-f", "{{.State.Health.Status}}", "checked"];
    assert!(engine.ok(&["ps"]).contains("(health: starting)") || engine.ok(&status) == "unhealthy\n");
    engine.until(&status, |seen| seen == "unhealthy\n");
    let last = engine.ok(&["inspect", "-f", "{{(index .State.Health.Log 0).Output}}", "checked"]);
    assert!(last.contains("No such file"), "{last}");
    engine.ok(&["exec", "checked", "touch", "/tmp/ok"]);
    engine.until(&status, |seen| seen == "healthy\n");
    assert!(engine.ok(&["ps", "--filter", "health=healthy"]).contains("(healthy)"));
    // Whoever sees a state may be a moment ahead of its event.
    let events = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=health_status",
        "--format",
        "{{.Action}}",
    ];
    engine.until(&events, |seen| seen == "health_status: unhealthy\nhealth_status: healthy\n");
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(engine.ok(&status), "healthy\n");
    engine.ok(&["exec", "checked", "rm", "/tmp/ok"]);
    engine.until(&status, |seen| seen == "unhealthy\n");
    let slow = [
        "run",
        "-d",
        "--name",
        "slow",
        "--health-interval",
        "100ms",
        "--health-timeout",
        "100ms",
        "--health-retries",
        "1",
    ];
    engine.ok(&[&slow[..], &["--health-cmd", "echo waits; sleep 9", "busybox", "sleep", "600"][..]].concat());
    let log = ["inspect", "-f", "{{json .State.Health.Log}}", "slow"];
    engine.until(&log, |seen| {
        seen.contains("Health check exceeded timeout") && seen.contains("\"ExitCode\":-1")
    });
    assert!(!engine.ok(&["top", "slow"]).contains("sleep 9") || engine.ok(&log).contains("exceeded"));
    engine.ok(&["stop", "-t", "0", "slow"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.State.Health.Status}}", "slow"]), "unhealthy\n");
    let wrong = engine.docker(&["create", "--health-cmd", "x", "--health-interval", "1us", "busybox"]);
    assert!(wrong.stderr.contains("cannot be less than 1ms"), "{wrong:?}");
}
