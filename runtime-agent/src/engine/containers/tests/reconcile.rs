//! A daemon that is killed and started again.

use super::*;
use crate::engine::containers::record::{self, Status};

fn status_of(daemon: &Containers, name: &str) -> (Status, i32) {
    let snapshot = daemon.find(name).unwrap().snapshot();
    (snapshot.record.state.status, snapshot.record.state.exit_code)
}

#[tokio::test]
async fn what_runs_goes_on_and_its_end_is_still_heard() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", "{}").await;
    let pid = web.snapshot().record.state.pid;
    drop(web);
    kill(daemon);
    let daemon = host.daemon().await;
    let web = daemon.find("web").unwrap();
    assert_eq!((status_of(&daemon, "web").0, web.snapshot().record.state.pid), (Status::Running, pid));
    assert!(host.connections.connected.lock().unwrap().contains(&web.id), "its network was left alone");
    host.ends(&web.id, 6);
    until(&web, |now| now.record.state.status == Status::Exited).await;
    assert_eq!(status_of(&daemon, "web"), (Status::Exited, 6));
}

#[tokio::test]
async fn what_ended_meanwhile_has_its_exit_code() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let (web, lost) = (run(&daemon, "web", "{}").await.id, run(&daemon, "lost", "{}").await.id);
    let auto = run(&daemon, "auto", r#"{"HostConfig":{"AutoRemove":true}}"#).await.id;
    kill(daemon);
    for id in [&web, &auto] {
        host.ends(id, 9);
    }
    // One shim still waits with its news, another died after writing it down, the third without.
    host.runtime.lose(&auto);
    host.runtime.lose(&lost);
    let daemon = host.daemon().await;
    assert_eq!(
        (status_of(&daemon, "web"), status_of(&daemon, "lost")),
        ((Status::Exited, 9), (Status::Exited, 255))
    );
    assert!(
        told(&daemon).contains(&"die:9".to_owned()) && host.connections.connected.lock().unwrap().is_empty()
    );
    if let Ok(auto) = daemon.find("auto") {
        auto.wait(super::super::Until::Removed).await.unwrap();
    }
    assert!(daemon.find("auto").is_err());
}

#[tokio::test]
async fn after_a_reboot_policies_decide_what_runs() {
    let host = Host::new();
    let daemon = host.daemon().await;
    for policy in ["no", "always", "unless-stopped", "on-failure"] {
        run(&daemon, policy, &format!(r#"{{"HostConfig":{{"RestartPolicy":{{"Name":"{policy}"}}}}}}"#)).await;
    }
    let stopped =
        run(&daemon, "stopped", r#"{"HostConfig":{"RestartPolicy":{"Name":"unless-stopped"}}}"#).await;
    stopped.stop(None, None).await.unwrap();
    drop(stopped);
    let ids: Vec<_> = daemon.all().into_iter().map(|container| container.id).collect();
    kill(daemon);
    for id in ids {
        host.runtime.lose(&id);
    }
    "second".clone_into(&mut host.boot.lock().unwrap());
    let daemon = host.daemon().await;
    for policy in ["always", "unless-stopped", "on-failure"] {
        until(&daemon.find(policy).unwrap(), |now| now.record.state.status == Status::Running).await;
    }
    assert_eq!(status_of(&daemon, "no"), (Status::Exited, 255));
    assert_eq!(status_of(&daemon, "stopped").0, Status::Exited);
}

#[tokio::test]
async fn half_made_and_half_removed_containers_are_swept() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    let folder = host.folder.path().join("containers");
    record::doom(&folder.join(&web.id)).unwrap();
    // As earlier versions noted it.
    let earlier = create(&daemon, "earlier", "{}").await.unwrap();
    let mut record = earlier.snapshot().record.clone();
    record.state.status = Status::Removing;
    record.write(&folder.join(&earlier.id)).await.unwrap();
    std::fs::create_dir(folder.join("cut-off")).unwrap();
    drop((web, earlier));
    kill(daemon);
    let daemon = host.daemon().await;
    for name in ["web", "earlier"] {
        if let Ok(container) = daemon.find(name) {
            container.wait(super::super::Until::Removed).await.unwrap();
        }
    }
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test]
async fn a_removal_that_fails_is_tried_again_by_hand_alone() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    *host.filesystems.failure.lock().unwrap() = Some("it is in use".to_owned());
    assert!(web.remove(false, false).await.unwrap_err().to_string().contains("it is in use"));
    drop(web);
    kill(daemon);
    let daemon = host.daemon().await;
    assert_eq!(status_of(&daemon, "web").0, Status::Dead, "a restart takes nothing away");
    daemon.find("web").unwrap().remove(false, false).await.unwrap();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test]
async fn a_damaged_record_keeps_nobody_else_down() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let good = run(&daemon, "good", "{}").await.id;
    let bad = create(&daemon, "bad", "{}").await.unwrap().id;
    let path = host.folder.path().join("containers").join(&bad).join("container.json");
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"{").unwrap();
    kill(daemon);
    let daemon = host.daemon().await;
    assert_eq!(daemon.find("good").unwrap().id, good);
    assert!(daemon.find("bad").is_err() && path.exists());
}
