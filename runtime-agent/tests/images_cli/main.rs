//! Images through the real docker client against real registries: plain, with a login, and over TLS of an own CA.
//!
//! Needs root, the docker client and the registry, which is unpacked from its package where it is not installed.
#![cfg(test)]

mod lab;
mod malicious;
mod token;
mod token_server;

use std::process::Stdio;
use std::time::Duration;

use lab::Lab;

/// bcrypt of `secret`, the only form that the registry reads.
const HTPASSWD: &str = "ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

#[test]
fn images_live_their_whole_life() {
    let Some(lab) = Lab::new("life") else { return };
    lab.registry("127.0.0.1:5000", "");
    lab.import("127.0.0.1:5000/a:1");
    lab.ok("docker tag 127.0.0.1:5000/a:1 short");
    assert_eq!(lab.ok("docker image inspect -f '{{.Config.Cmd}} {{.Os}}' short"), "[/hello] linux");
    let id = lab.ok("docker images -q --no-trunc short");
    assert!(lab.ok("docker push 127.0.0.1:5000/a:1").contains("1: digest: sha256:"));
    assert!(lab.ok("docker history short").contains("Imported from -"));

    lab.ok("docker save -o saved.tar short 127.0.0.1:5000/a:1");
    assert_eq!(lab.ok("docker rmi short"), "Untagged: short:latest");
    assert!(lab.ok("docker rmi 127.0.0.1:5000/a:1").contains(&format!("Deleted: {id}")));
    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
    let missing = lab.fails("docker image inspect short");
    assert!(missing.contains("No such image: short:latest"), "{missing}");

    let loaded = lab.ok("docker load -i saved.tar");
    assert!(
        loaded.contains("Loaded image: 127.0.0.1:5000/a:1") && loaded.contains("Loaded image: short:latest")
    );
    assert_eq!(lab.ok("docker images -q --no-trunc short"), id, "an image must keep its id");
    lab.ok("docker rmi -f short 127.0.0.1:5000/a:1");

    let pulled = lab.ok("docker pull 127.0.0.1:5000/a:1");
    assert!(pulled.starts_with("1: Pulling from a\n") && pulled.contains("Pull complete"), "{pulled}");
    assert!(pulled.contains("Status: Downloaded newer image for 127.0.0.1:5000/a:1"), "{pulled}");
    let again = lab.ok("docker pull 127.0.0.1:5000/a:1");
    assert!(again.contains("Status: Image is up to date for 127.0.0.1:5000/a:1"), "{again}");
    assert_eq!(lab.ok("docker images -q --no-trunc 127.0.0.1:5000/a"), id);

    lab.ok("docker tag 127.0.0.1:5000/a:1 other:2");
    let refused = lab.fails(&format!("docker rmi {id}"));
    assert!(refused.contains("(must be forced) - image is referenced in multiple repositories"), "{refused}");
    assert_eq!(
        lab.ok("docker images --format '{{.Repository}}:{{.Tag}}' --filter reference='oth*'"),
        "other:2"
    );
    assert!(lab.ok("docker image prune -af").contains("Total reclaimed space"));
    assert_eq!(lab.ok("docker images -q"), "");
}

#[test]
fn refusals_carry_dockers_words() {
    let Some(lab) = Lab::new("refusals") else { return };
    lab.registry("127.0.0.1:5000", "");
    for (command, text) in [
        (
            "docker pull 127.0.0.1:5000/a:nope",
            "manifest for 127.0.0.1:5000/a:nope not found: manifest unknown: manifest unknown",
        ),
        ("docker pull 127.0.0.1:5001/a", "Get \"http://127.0.0.1:5001/v2/a/manifests/latest\": "),
        ("docker rmi nope", "No such image: nope:latest"),
        ("docker load -i nothing.tar", "neither manifest.json nor index.json"),
        ("docker import --change 'RUN x' nothing.tar", "RUN is not a valid change command"),
        ("head -c 64M /dev/zero | docker import --change 'RUN x' -", "RUN is not a valid change command"),
    ] {
        lab.ok("tar cf nothing.tar --files-from /dev/null");
        let said = lab.fails(command);
        assert!(said.contains(text), "{command}: {said}");
    }
    // A status before the stream, not an error in a stream of 200.
    let status = lab.ok("curl -s -o /dev/null -w '%{http_code}' -X POST --unix-socket run/wharfd.sock \
         'http://x/v1.44/images/create?fromImage=127.0.0.1:5000/a&tag=nope'");
    assert_eq!(status, "404");
    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
}

#[test]
fn a_registry_that_wants_a_login_gets_one() {
    let Some(lab) = Lab::new("login") else { return };
    lab.file("htpasswd", HTPASSWD);
    lab.registry(
        "127.0.0.1:5000",
        &format!("auth: {{htpasswd: {{realm: r, path: {}/htpasswd}}}}\n", lab.path()),
    );
    lab.import("127.0.0.1:5000/a:1");
    let refused = lab.fails("docker push 127.0.0.1:5000/a:1");
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    let wrong = lab.fails("echo wrong | docker login -u ann --password-stdin 127.0.0.1:5000");
    assert!(wrong.contains("unauthorized"), "{wrong}");
    assert!(
        lab.ok("echo secret | docker login -u ann --password-stdin 127.0.0.1:5000")
            .contains("Login Succeeded")
    );
    lab.ok(
        "docker push 127.0.0.1:5000/a:1 && docker rmi 127.0.0.1:5000/a:1 && docker pull 127.0.0.1:5000/a:1",
    );
    lab.ok("docker logout 127.0.0.1:5000 && docker rmi 127.0.0.1:5000/a:1");
    let refused = lab.fails("docker pull 127.0.0.1:5000/a:1");
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    let log = std::fs::read_to_string(lab.folder.join("wharfd.log")).unwrap();
    assert!(!log.contains("secret"), "a password in the log");
}

#[test]
fn a_registry_of_an_own_authority_is_believed_when_told_so() {
    let Some(lab) = Lab::new("tls") else { return };
    lab.certificates("registry.test");
    lab.registry(
        "127.0.0.1:5443",
        &format!("  tls: {{certificate: {0}/server.pem, key: {0}/server.key}}\n", lab.path()),
    );
    lab.ok("echo 127.0.0.1 registry.test > /etc/hosts");
    lab.import("registry.test:5443/a:1");
    let refused = lab.fails("docker push registry.test:5443/a:1");
    assert!(refused.to_lowercase().contains("unknownissuer"), "{refused}");
    lab.ok("mkdir -p /etc/docker/certs.d/registry.test:5443");
    lab.ok("cp ca.pem /etc/docker/certs.d/registry.test:5443/ca.crt");
    lab.ok("docker push registry.test:5443/a:1 && docker rmi registry.test:5443/a:1");
    assert!(lab.ok("docker pull registry.test:5443/a:1").contains("Downloaded newer image"));
}

#[test]
fn a_mirror_stands_in_for_docker_hub_and_digests_and_platforms_are_asked_for() {
    let Some(mut lab) = Lab::new("mirror") else { return };
    lab.registry("127.0.0.1:5000", "");
    lab.import("127.0.0.1:5000/library/a:1");
    let pushed = lab.ok("docker push 127.0.0.1:5000/library/a:1");
    let digest = pushed.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned();
    lab.ok("docker rmi 127.0.0.1:5000/library/a:1");
    lab.kill_daemon();
    lab.flags = "--registry-mirror http://127.0.0.1:5000".to_owned();
    lab.daemon();
    assert!(lab.ok("docker pull a:1").contains("Downloaded newer image for a:1"));
    assert!(lab.ok("docker info").contains("http://127.0.0.1:5000/"), "the mirror is shown");
    lab.ok("docker rmi a:1");
    lab.ok(&format!("docker pull a@{digest}"));
    assert_eq!(
        lab.ok("docker images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}'"),
        format!("a <none> {digest}")
    );
    lab.ok(&format!("docker rmi a@{digest}"));
    let wrong = lab.fails("docker pull --platform linux/arm64 a:1");
    assert!(wrong.contains("does not match the specified platform"), "{wrong}");
    lab.ok("docker pull --platform linux/amd64 a:1");
    let described = lab.ok(
        "curl -sf --unix-socket run/wharfd.sock http://x/v1.44/distribution/127.0.0.1:5000/library/a:1/json",
    );
    assert!(described.contains(&digest), "{described}");
    let used = lab.ok("docker system df");
    assert!(used.contains("Images          1         0"), "{used}");
    assert!(lab.ok("docker system df -v").contains("Images space usage"));
    let searched = lab.fails("docker search a");
    assert!(searched.contains("searching for images is not supported"), "{searched}");
}

#[test]
fn a_killed_daemon_leaves_nothing_half() {
    let Some(mut lab) = Lab::new("killed") else { return };
    lab.registry("127.0.0.1:5000", "");
    lab.import("127.0.0.1:5000/a:1");
    lab.ok("docker push 127.0.0.1:5000/a:1");
    lab.ok("docker rmi 127.0.0.1:5000/a:1");
    // At ten moments of a pull, early and late.
    for moment in 0..10 {
        let pull =
            lab.shell("docker pull 127.0.0.1:5000/a:1").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        std::thread::sleep(Duration::from_millis(moment * 15));
        lab.kill_daemon();
        pull.unwrap().wait().unwrap();
        lab.daemon();
        match lab.ok("docker images -q").as_str() {
            "" => assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind()),
            // Listed, so it is whole.
            _ => drop(lab.ok("docker save -o whole.tar 127.0.0.1:5000/a:1 && docker rmi 127.0.0.1:5000/a:1")),
        }
    }
}
