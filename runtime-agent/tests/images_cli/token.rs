//! Signing in where the registry believes a token server: right, wrong, too little, too late.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lab::Lab;
use crate::token_server::{Behaviour, REFRESH, TokenServer};

const REGISTRY: &str = "127.0.0.1:5000";

/// A registry that believes a token server.
fn scene(name: &str) -> Option<(Lab, TokenServer)> {
    let lab = Lab::new(name)?;
    let server = lab.enter(TokenServer::start);
    lab.file("bundle.pem", &server.certificate());
    lab.registry(REGISTRY, &server.section(&format!("{}/bundle.pem", lab.path())));
    server.asked();
    Some((lab, server))
}

fn sign_in(lab: &Lab, who: &str) {
    lab.ok(&format!("echo secret | docker login -u {who} --password-stdin {REGISTRY}"));
}

#[test]
fn a_token_opens_what_its_owner_may_do() {
    let Some((lab, server)) = scene("token_right") else { return };
    lab.import(&format!("{REGISTRY}/private:1"));
    lab.import(&format!("{REGISTRY}/public:1"));
    sign_in(&lab, "ann");
    lab.ok(&format!("docker push {REGISTRY}/private:1 && docker push {REGISTRY}/public:1"));
    lab.ok(&format!("docker rmi {REGISTRY}/private:1 {REGISTRY}/public:1"));
    assert!(lab.ok(&format!("docker pull {REGISTRY}/private:1")).contains("Downloaded newer image"));
    let asked = server.asked();
    assert!(
        asked.iter().any(|asked| asked.starts_with("ann repository:private:") && asked.contains("push")),
        "{asked:?}"
    );

    // Bob may read it and no more.
    sign_in(&lab, "bob");
    lab.ok(&format!("docker rmi {REGISTRY}/private:1 && docker pull {REGISTRY}/private:1"));
    lab.ok(&format!("docker tag {REGISTRY}/private:1 {REGISTRY}/private:2"));
    let refused = lab.fails(&format!("docker push {REGISTRY}/private:2"));
    assert!(refused.contains("denied: requested access to the resource is denied"), "{refused}");

    // A build asks with the credentials that the client sends along with it.
    let build = format!("echo FROM {REGISTRY}/private:1 | DOCKER_BUILDKIT=0 docker build --pull -t built -");
    server.asked();
    assert!(lab.ok(&build).contains("Successfully tagged built:latest"));
    let asked = server.asked();
    assert!(asked.iter().any(|asked| asked == "bob repository:private:pull"), "{asked:?}");
    lab.ok("docker rmi built");

    // Nobody in particular sees what is public.
    lab.ok(&format!("docker logout {REGISTRY} && docker rmi {REGISTRY}/private:1 {REGISTRY}/private:2"));
    server.asked();
    lab.ok(&format!("docker pull {REGISTRY}/public:1"));
    assert!(server.asked().iter().all(|asked| asked == " repository:public:pull"));
    let refused = lab.fails(&format!("docker pull {REGISTRY}/private:1"));
    let words = "pull access denied for 127.0.0.1:5000/private, repository does not exist or may require 'docker login'";
    assert!(refused.contains(words), "{refused}");
    let refused = lab.fails(&build);
    assert!(refused.contains(words), "{refused}");
    let log = std::fs::read_to_string(lab.folder.join("wharfd.log")).unwrap();
    assert!(!log.contains("secret") && !log.contains("eyJ"), "a password or a token in the log");
}

#[test]
fn wrong_and_expired_credentials_are_told_apart_from_a_missing_image() {
    let Some((lab, server)) = scene("token_wrong") else { return };
    let wrong = lab.fails(&format!("echo wrong | docker login -u ann --password-stdin {REGISTRY}"));
    assert!(wrong.contains("unauthorized: incorrect username or password"), "{wrong}");
    lab.import(&format!("{REGISTRY}/a:1"));
    sign_in(&lab, "ann");
    lab.ok(&format!("docker push {REGISTRY}/a:1 && docker rmi {REGISTRY}/a:1"));
    let missing = lab.fails(&format!("docker pull {REGISTRY}/a:nope"));
    assert!(missing.contains("manifest for 127.0.0.1:5000/a:nope not found"), "{missing}");

    server.behave(Behaviour { lifetime: Duration::ZERO, expired: true });
    server.asked();
    let expired = lab.fails(&format!("docker pull {REGISTRY}/a:1"));
    assert!(expired.contains("unauthorized: authentication required"), "{expired}");
    assert!(server.asked().len() <= 2, "it gives up after one new token for a request");
    let expired = lab.fails(&format!("echo secret | docker login -u ann --password-stdin {REGISTRY}"));
    assert!(expired.contains("unauthorized: authentication required"), "{expired}");
    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
}

#[test]
fn a_token_that_runs_out_during_a_pull_is_replaced() {
    let Some((lab, server)) = scene("token_refresh") else { return };
    lab.import(&format!("{REGISTRY}/a:1"));
    sign_in(&lab, "ann");
    lab.ok(&format!("docker push {REGISTRY}/a:1 && docker rmi {REGISTRY}/a:1"));
    // The same registry behind a way on which the first blob takes longer than a token lives.
    let lifetime = Duration::from_secs(2);
    let slow = lab.enter(move || slow_way(lifetime * 2));
    lab.ok(&format!("echo secret | docker login -u ann --password-stdin {slow}"));
    server.behave(Behaviour { lifetime, expired: false });
    server.asked();
    let pulled = lab.ok(&format!("docker pull {slow}/a:1"));
    assert!(pulled.contains("Downloaded newer image"), "{pulled}");
    let asked = server.asked();
    assert!(asked.len() >= 2 && asked.iter().all(|asked| asked == "ann repository:a:pull"), "{asked:?}");
}

#[test]
fn a_login_keeps_a_refresh_token_where_the_server_gives_one() {
    let Some((lab, server)) = scene("token_identity") else { return };
    lab.import(&format!("{REGISTRY}/a:1"));
    sign_in(&lab, "ann");
    let kept = std::fs::read_to_string(lab.folder.join("docker/config.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["auths"][REGISTRY]["identitytoken"], format!("ann{REFRESH}"));
    server.asked();
    lab.ok(&format!("docker push {REGISTRY}/a:1"));
    assert!(server.asked().iter().all(|asked| asked.starts_with("ann ")));
}

/// Passes bytes on to the registry, and holds the first request for a blob back for a while; returns its address.
fn slow_way(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pause = Arc::new(Mutex::new(Some(pause)));
    std::thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            let registry = TcpStream::connect(REGISTRY).unwrap();
            let (back, forth) = (registry.try_clone().unwrap(), client.try_clone().unwrap());
            let pause = Arc::clone(&pause);
            std::thread::spawn(move || pass_on(client, registry, &pause));
            std::thread::spawn(move || pass_on(back, forth, &Mutex::new(None)));
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, pause: &Mutex<Option<Duration>>) {
    let mut buffer = [0; 65536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let wants_blob =
            buffer[..read].starts_with(b"GET ") && buffer[..read].windows(7).any(|w| w == b"/blobs/");
        let pause = if wants_blob { pause.lock().unwrap().take() } else { None };
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side is told; it may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}
