//! `docker top` and `docker stats`: what runs in a container, and what it uses.

use crate::engine::Engine;

#[test]
fn processes_are_listed_as_ps_lists_them() {
    let engine = engine!("processes_are_listed_as_ps_lists_them");
    engine.ok(&[
        "run",
        "-d",
        "--name",
        "c",
        "-u",
        "web",
        "busybox",
        "sh",
        "-c",
        "sleep 601 & sleep 602; true",
    ]);
    engine.until(&["top", "c"], |seen| seen.contains("sleep 602"));
    let pid = engine.ok(&["inspect", "-f", "{{.State.Pid}}", "c"]);
    let full = engine.ok(&["top", "c"]);
    let rows: Vec<Vec<&str>> = full.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert_eq!(rows.len(), 4, "{full}");
    assert_eq!(rows[1][1], pid.trim(), "as the host sees them: {full}");
    let user = engine.ok(&["top", "c", "aux"]);
    assert!(user.lines().next().unwrap().starts_with("USER"), "{user}");
    let chosen = engine.ok(&["top", "c", "-o", "pid,args"]);
    assert!(chosen.contains("sleep 601") && chosen.lines().next().unwrap().starts_with("PID"), "{chosen}");
    let without = engine.docker(&["top", "c", "-o", "args"]);
    assert!(without.stderr.contains("Couldn't find PID field in ps output"), "{without:?}");
    engine.ok(&["kill", "c"]);
    let ended = engine.docker(&["top", "c"]);
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
    let stream = engine.spawn(&["stats", "--format", "{{.Name}}", "busy"]);
    engine.ok(&["rm", "-f", "busy"]);
    assert!(stream.finish().stdout.contains("busy"));
}

#[test]
fn sizes_are_told_when_asked_for() {
    let engine = engine!("sizes_are_told_when_asked_for");
    engine.ok(&["run", "--name", "c", "busybox", "dd", "if=/dev/zero", "of=/tmp/x", "bs=1000", "count=7"]);
    assert_eq!(engine.ok(&["inspect", "-s", "-f", "{{.SizeRw}}", "c"]), "7000\n");
    let listed = engine.ok(&["ps", "-as", "--format", "{{.Size}}"]);
    assert!(listed.starts_with("7kB (virtual "), "{listed}");
    assert_eq!(engine.ok(&["inspect", "-f", "{{.SizeRw}}", "c"]), "<nil>\n");
}
