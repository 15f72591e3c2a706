//! What is told about containers that run, and what is changed meanwhile.

use super::*;
use crate::engine::containers::health::HealthStatus;
use crate::engine::containers::stats::Sampling;
use crate::engine::error::Kind;
use tokio::io::AsyncWriteExt as _;

const CHECKED: &str =
    r#"{"Healthcheck":{"Test":["CMD","ok"],"Interval":1000000,"Timeout":20000000,"Retries":1}}"#;

fn status(snapshot: &super::super::task::Snapshot) -> Option<HealthStatus> {
    snapshot.record.state.health.as_ref().map(|health| health.status)
}

/// Plays the next health check.
async fn play(host: &Host, container: &Container, code: i32, output: &str) {
    let shim = host.runtime.shim(&container.id).unwrap();
    let exec = loop {
        if let Some(exec) = shim.waiting_exec() {
            break exec;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let mut stream = shim.exec_stream(&exec).unwrap();
    let length = u8::try_from(output.len()).unwrap();
    stream.write_all(&[&[1, 0, 0, 0, 0, 0, 0, length], output.as_bytes()].concat()).await.unwrap();
    drop(stream);
    shim.exit_exec(&exec, Exit::status(code));
}

#[tokio::test]
async fn health_follows_its_checks_and_is_told_when_it_changes() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = run(&daemon, "web", CHECKED).await;
    assert_eq!(status(&container.snapshot()), Some(HealthStatus::Starting));
    play(&host, &container, 0, "fine").await;
    until(&container, |now| status(now) == Some(HealthStatus::Healthy)).await;
    play(&host, &container, 1, "broken").await;
    until(&container, |now| status(now) == Some(HealthStatus::Unhealthy)).await;
    let health = container.snapshot().record.state.health.clone().unwrap();
    assert_eq!((health.log[0].output.as_str(), health.log[1].output.as_str()), ("fine", "broken"));
    let told: Vec<_> =
        told(&daemon).into_iter().filter(|action| action.starts_with("health_status")).collect();
    assert_eq!(told, ["health_status: healthy", "health_status: unhealthy"]);
}

#[tokio::test]
async fn a_check_that_does_not_end_is_killed_and_counts_as_failed() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = run(&daemon, "web", CHECKED).await;
    until(&container, |now| status(now) == Some(HealthStatus::Unhealthy)).await;
    let health = container.snapshot().record.state.health.clone().unwrap();
    assert!(health.log[0].exit_code == -1 && health.log[0].output.contains("exceeded timeout"), "{health:?}");
}

#[tokio::test]
async fn health_outlives_the_daemon_and_not_the_run() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = run(&daemon, "web", CHECKED).await;
    play(&host, &container, 0, "fine").await;
    until(&container, |now| status(now) == Some(HealthStatus::Healthy)).await;
    drop(container);
    kill(daemon);
    let daemon = host.daemon().await;
    let container = daemon.find("web").unwrap();
    assert_eq!(status(&container.snapshot()), Some(HealthStatus::Healthy));
    container.kill(None).await.unwrap();
    assert_eq!(status(&container.snapshot()), Some(HealthStatus::Unhealthy), "nobody looks any more");
    container.start().await.unwrap();
    assert_eq!(status(&container.snapshot()), Some(HealthStatus::Starting));
}

#[tokio::test]
async fn only_a_running_container_has_processes_and_uses_anything() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = create(&daemon, "web", "{}").await.unwrap();
    let refused = daemon.top(&container, None).await.unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().contains("is not running")), (Kind::Conflict, true));
    let mut samples = daemon.stats(&container, Sampling::Pair);
    assert_eq!(samples.recv().await.unwrap().unwrap().read, wharfd_api_types::container::NEVER);
    container.start().await.unwrap();
    let rows = daemon.top(&container, Some("-o pid,comm")).await.unwrap();
    assert_eq!(
        (rows.titles, rows.processes[0][1].as_str()),
        (vec!["PID".to_owned(), "COMMAND".to_owned()], "sh")
    );
    let mut samples = daemon.stats(&container, Sampling::Single);
    let sample = samples.recv().await.unwrap().unwrap();
    assert_eq!(
        (sample.memory_stats.usage, sample.preread.as_str()),
        (Some(4096), wharfd_api_types::container::NEVER)
    );
    assert!(sample.cpu_stats.system_cpu_usage.is_some() && samples.recv().await.is_none());
}

#[tokio::test]
async fn an_update_reaches_a_running_container_and_waits_for_a_stopped_one() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = create(&daemon, "web", r#"{"HostConfig":{"Memory":100000000}}"#).await.unwrap();
    let request = |json: &str| serde_json::from_str(json).unwrap();
    daemon.update(&container, request(r#"{"Memory":200000000}"#)).await.unwrap();
    container.start().await.unwrap();
    let shim = host.runtime.shim(&container.id).unwrap();
    assert_eq!(shim.limits(), []);
    daemon.update(&container, request(r#"{"PidsLimit":7,"RestartPolicy":{"Name":"always"}}"#)).await.unwrap();
    let expected = crate::runtime::Limits { pids: Some(7), ..Default::default() };
    assert_eq!(shim.limits(), [expected]);
    assert_eq!(container.snapshot().record.host.restart_policy.name, "always");
    assert!(daemon.update(&container, request(r#"{"Memory":5}"#)).await.is_err());
    assert_eq!(shim.limits().len(), 1);
}

#[tokio::test]
async fn a_commit_stands_still_only_meanwhile() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = run(&daemon, "web", "{}").await;
    let wish = crate::engine::containers::commit::Wish { pause: true, ..Default::default() };
    daemon.commit(&container, wish).await.unwrap();
    assert!(!host.runtime.shim(&container.id).unwrap().paused());
    let all = told(&daemon);
    assert_eq!(all[all.len() - 3..], ["pause", "unpause", "commit"]);
}
