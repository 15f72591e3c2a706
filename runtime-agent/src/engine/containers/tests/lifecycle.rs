//! Verbs, events and the restart policy.

use super::*;
use crate::engine::containers::record::Status;
use crate::engine::containers::{Filter, Until, Wanted};
use crate::engine::error::Kind;
use crate::runtime;
use crate::runtime::Streams;

fn status(container: &Container) -> Status {
    container.snapshot().record.state.status
}

#[tokio::test]
async fn a_life_from_create_to_removal_in_dockers_words() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", r#"{"Labels":{"a":"b"}}"#).await.unwrap();
    let waiting = web.wait(Until::NextExit);
    web.start().await.unwrap();
    assert_eq!(web.start().await.unwrap_err().kind(), Kind::NotModified);
    let inspected = daemon.inspect(&web, false).await.unwrap();
    assert_eq!((inspected.name.as_str(), inspected.state.status.as_str()), ("/web", "running"));
    assert_eq!(inspected.network_settings.ip_address, "10.0.0.2");
    assert_eq!(inspected.config.hostname, web.id[..12]);
    host.ends(&web.id, 3);
    assert_eq!(waiting.await.unwrap(), 3);
    assert_eq!(web.wait(Until::NotRunning).await.unwrap(), 3, "at once when it does not run");
    web.remove(false, false).await.unwrap();
    assert_eq!(web.wait(Until::Removed).await.unwrap(), 3);
    assert_eq!(told(&daemon), ["create", "start", "die:3", "destroy"]);
    assert_eq!(daemon.find("web").unwrap_err().to_string(), "No such container: web");
    assert!(host.leftovers().is_empty() && host.connections.connected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_new_is_taken_once_the_time_is_over() {
    let host = Host::new();
    let mut daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    let end = crate::end::End::at_second(1_800_000_000, false);
    daemon.end = Some(end);
    let before = end.at - Duration::from_secs(1);
    assert!(daemon.still_taken(before).is_ok());
    let over = daemon.still_taken(end.at).unwrap_err();
    assert_eq!(over.kind(), Kind::Forbidden);
    assert!(over.to_string().contains("was over at 2027-01-15T08:00:00Z"), "{over}");
    daemon.end = Some(crate::end::End::at_second(1, false));
    assert_eq!(create(&daemon, "late", "{}").await.err().unwrap().kind(), Kind::Forbidden);
    web.start().await.unwrap();
    assert_eq!(status(&web), Status::Running, "the restart policy of what is there still holds");
}

#[tokio::test]
async fn a_name_belongs_to_one_container_until_that_is_gone() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "/web", "{}").await.unwrap();
    let refused = create(&daemon, "web", "{}").await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("Conflict. The container name \"/web\" is already in use by container")
    );
    assert_eq!(host.leftovers().len(), 2, "the refused one left nothing");
    daemon.rename("web", "other").await.unwrap();
    create(&daemon, "web", "{}").await.unwrap();
    assert_eq!(daemon.find("other").unwrap().id, web.id);
    assert_eq!(daemon.rename("other", "web").await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(daemon.find(&web.id[..10]).unwrap().id, web.id);
    assert_eq!(daemon.find("").unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_made_leaves_nothing() {
    let host = Host::new();
    let daemon = host.daemon().await;
    for (json, text) in [
        (r#"{"Image":"nothing"}"#, "No such image: nothing:latest"),
        (r#"{"HostConfig":{"NetworkMode":"gone"}}"#, "network gone not found"),
        (
            r#"{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/no/such","Target":"/x"}]}}"#,
            "does not exist",
        ),
        (r#"{"HostConfig":{"VolumesFrom":["nobody"]}}"#, "No such container: nobody"),
    ] {
        let error = create(&daemon, "web", json).await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert!(host.leftovers().is_empty() && daemon.find("web").is_err());
    }
}

#[tokio::test]
async fn stop_asks_then_kills_and_kill_wants_a_process() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let obedient = run(&daemon, "obedient", "{}").await;
    obedient.stop(None, None).await.unwrap();
    let deaf = run(&daemon, "deaf", r#"{"StopSignal":"SIGUSR1"}"#).await;
    deaf.stop(None, Some(0)).await.unwrap();
    assert_eq!((status(&deaf), deaf.snapshot().record.state.exit_code), (Status::Exited, 137));
    assert_eq!(deaf.stop(None, None).await.unwrap_err().kind(), Kind::NotModified);
    let refused = deaf.kill(None).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.to_string().contains("is not running"));
    let events = told(&daemon);
    assert_eq!(events[..5], ["create", "start", "kill", "die:143", "stop"]);
    assert!(deaf.kill(Some("BOGUS")).await.unwrap_err().to_string().contains("invalid signal"));
}

#[tokio::test]
async fn whoever_attaches_before_the_start_misses_nothing() {
    use tokio::io::AsyncReadExt as _;
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    let streams = Streams { stdin: false, stdout: true, stderr: true };
    let joined = web.attach(streams).await.unwrap();
    let late = web.attach(streams).await.unwrap();
    drop(late);
    web.start().await.unwrap();
    let mut stream = joined.await.unwrap().unwrap();
    let shim = host.runtime.shim(&web.id).unwrap();
    shim.write(b"hello").await;
    host.ends(&web.id, 0);
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "hello", "and the end of the process ends the stream");
}

#[tokio::test]
async fn a_failed_start_gives_everything_back_and_says_why() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    let joined = web.attach(Streams { stdin: false, stdout: true, stderr: false }).await.unwrap();
    let text = r#"exec: "nope": executable file not found in $PATH"#;
    host.runtime.fail_start(runtime::Error::Executable(text.to_owned()));
    let error = web.start().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().ends_with(text), "{error}");
    // Whoever attached is let go.
    let mut stream = joined.await.unwrap().unwrap();
    assert_eq!(tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await.unwrap(), 0);
    let state = daemon.inspect(&web, false).await.unwrap().state;
    assert_eq!((state.status.as_str(), state.exit_code), ("created", 127));
    assert!(state.error.contains("nope"));
    assert!(host.runtime.shim(&web.id).is_none() && host.connections.connected.lock().unwrap().is_empty());
    assert!(host.filesystems.mounted.lock().unwrap().is_empty());
    *host.connections.failure.lock().unwrap() = Some("port is already allocated".to_owned());
    assert!(web.start().await.unwrap_err().to_string().contains("port is already allocated"));
    web.start().await.unwrap();
}

#[tokio::test]
async fn one_that_removes_itself_is_gone_after_its_end_and_after_a_failed_start() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let json = r#"{"HostConfig":{"AutoRemove":true,"Binds":["/data"]}}"#;
    let brief = create(&daemon, "brief", json).await.unwrap();
    let volume = brief.snapshot().record.mounts[0].source.clone();
    let gone = brief.wait(Until::Removed);
    brief.start().await.unwrap();
    assert!(volume.is_dir());
    host.ends(&brief.id, 5);
    assert_eq!(gone.await.unwrap(), 5);
    assert!(!volume.exists(), "its anonymous volume went with it");
    let never = create(&daemon, "never", json).await.unwrap();
    host.runtime.fail_create(runtime::Error::Runtime("no".to_owned()));
    assert!(never.start().await.is_err());
    assert!(daemon.all().is_empty() && host.leftovers().is_empty());
}

#[tokio::test]
async fn the_restart_policy_starts_again_until_somebody_stops_it() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", r#"{"HostConfig":{"RestartPolicy":{"Name":"always"}}}"#).await;
    for round in 1..=3 {
        host.ends(&web.id, 1);
        until(&web, |now| now.record.state.restarts == round && now.record.state.status == Status::Running)
            .await;
    }
    web.stop(None, None).await.unwrap();
    assert_eq!(status(&web), Status::Exited);
    let few = run(
        &daemon,
        "few",
        r#"{"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":1}}}"#,
    )
    .await;
    host.ends(&few.id, 1);
    until(&few, |now| now.record.state.restarts == 1 && now.record.state.status == Status::Running).await;
    host.ends(&few.id, 1);
    until(&few, |now| now.record.state.status == Status::Exited).await;
    let fine = run(&daemon, "fine", r#"{"HostConfig":{"RestartPolicy":{"Name":"on-failure"}}}"#).await;
    host.ends(&fine.id, 0);
    until(&fine, |now| now.record.state.status == Status::Exited).await;
}

#[tokio::test]
async fn a_restart_that_fails_is_tried_again() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", r#"{"HostConfig":{"RestartPolicy":{"Name":"unless-stopped"}}}"#).await;
    host.runtime.fail_create(runtime::Error::Runtime("not now".to_owned()));
    host.ends(&web.id, 1);
    until(&web, |now| now.record.state.restarts == 2 && now.record.state.status == Status::Running).await;
}

#[tokio::test]
async fn pause_freezes_and_a_paused_one_can_still_be_killed() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", "{}").await;
    web.pause().await.unwrap();
    assert!(host.runtime.shim(&web.id).unwrap().paused());
    assert_eq!(daemon.inspect(&web, false).await.unwrap().state.status, "paused");
    assert!(web.pause().await.unwrap_err().to_string().contains("already paused"));
    web.unpause().await.unwrap();
    assert!(web.unpause().await.unwrap_err().to_string().contains("is not paused"));
    web.pause().await.unwrap();
    web.kill(None).await.unwrap();
    assert_eq!(status(&web), Status::Exited);
}

#[tokio::test]
async fn removal_spares_what_runs_unless_forced() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", r#"{"HostConfig":{"Binds":["/data","kept:/kept"]}}"#).await;
    let places: Vec<_> = web.snapshot().record.mounts.iter().map(|mount| mount.source.clone()).collect();
    let refused = web.remove(false, false).await.unwrap_err();
    assert!(refused.to_string().contains("stop the container before removing or force remove"), "{refused}");
    web.remove(true, true).await.unwrap();
    assert_eq!(places.iter().map(|place| place.exists()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(web.start().await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn lists_show_what_was_asked_for_newest_first() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let old = run(&daemon, "old", r#"{"Labels":{"tier":"db"}}"#).await;
    let new = create(&daemon, "new", "{}").await.unwrap();
    let names = async |all, limit, filters: &str| {
        let filters = wharfd_api_types::Filters::parse(Some(filters)).unwrap();
        let wanted = Wanted { all, limit, size: false, filter: Filter::list(&daemon, filters).unwrap() };
        let rows = daemon.list(&wanted).await.unwrap();
        rows.iter().map(|row| row.names[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(false, -1, "{}").await, ["/old"]);
    assert_eq!(names(true, 0, "{}").await, ["/new", "/old"]);
    assert_eq!(names(false, 1, "{}").await, ["/new"]);
    assert_eq!(names(true, 0, r#"{"label":["tier=db"]}"#).await, ["/old"]);
    assert_eq!(names(false, 0, r#"{"status":["created"]}"#).await, ["/new"]);
    assert_eq!(names(true, 0, r#"{"id":{"ID":true}}"#.replace("ID", &new.id[..8]).as_str()).await, ["/new"]);
    assert_eq!(names(true, 0, r#"{"ancestor":["busybox"],"name":["ol"]}"#).await, ["/old"]);
    assert_eq!(names(false, 0, r#"{"since":["old"]}"#).await, ["/new"]);
    assert_eq!(names(true, 0, r#"{"network":["bridge"]}"#).await.len(), 2);
    let row = &daemon.list(&Wanted { size: true, ..Wanted::default() }).await.unwrap()[0];
    assert_eq!((row.command.as_str(), row.size_rw, row.size_root_fs), ("sh", Some(42), Some(1042)));
    assert!(row.status.starts_with("Up "), "{}", row.status);
    let pruned = daemon.prune(&Filter::default()).await.unwrap();
    assert_eq!((pruned.containers_deleted, pruned.space_reclaimed), (Some(vec![new.id.clone()]), 42));
    assert_eq!(daemon.all()[0].id, old.id);
}

#[tokio::test]
async fn fifty_at_once_do_not_get_in_each_others_way() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let jobs = (0..50).map(|number| {
        let daemon = daemon.clone();
        tokio::spawn(async move { run(&daemon, &format!("c{number}"), "{}").await })
    });
    for container in futures_util::future::join_all(jobs).await {
        container.unwrap().remove(true, false).await.unwrap();
    }
    assert!(daemon.all().is_empty() && host.leftovers().is_empty());
}
