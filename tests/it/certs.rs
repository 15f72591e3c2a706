//! Certificates of a real engine: renewed under running containers, and taken back from somebody in the middle of work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wharf_tests::Host;

use crate::docker::{import_busybox, wait_until};
use crate::world::{World, expect_success, text};

/// A colleague, who has a certificate and the engine's address.
struct Colleague<'a> {
    world: &'a World,
    host: &'a Host,
    folder: PathBuf,
}

impl<'a> Colleague<'a> {
    fn new(world: &'a World, host: &'a Host, name: &str, more: &[&str]) -> Self {
        let folder = world.lab.scratch().join(name);
        let out = folder.display().to_string();
        world.wharf_ok(&[&["certs", "issue", name, "--out", &out][..], more].concat());
        Self { world, host, folder }
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut docker = self.world.lab.command(World::docker_program());
        docker.env("DOCKER_CERT_PATH", &self.folder).env("DOCKER_TLS_VERIFY", "1").args(arguments);
        docker.env("DOCKER_HOST", format!("tcp://{}:2376", self.host.address)).stdin(Stdio::null());
        docker
    }
}

fn agent_process(host: &Host) -> String {
    host.run("systemctl show -p MainPID wharfd")
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn certificates_are_renewed_under_a_running_container() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    import_busybox(&world, "web");
    world.docker_ok("web", &["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]);
    let started = ["inspect", "-f", "{{.State.StartedAt}} {{.RestartCount}}", "stays"];
    let (before, pid) = (world.docker_ok("web", &started), agent_process(&host));
    let server = host.run("cat /etc/wharf/tls/server.pem");
    let (authority, own) = (world.store.join("authority/ca.pem"), world.store.join("authority/cert.pem"));
    let (signs, mine) = (read(&authority), read(&own));

    world.wharf_ok(&["certs", "renew", "web"]);
    assert_ne!(host.run("cat /etc/wharf/tls/server.pem"), server);
    assert_ne!(read(&own), mine);
    assert_eq!(read(&authority), signs, "the authority stays");
    // Through the docker context, which has a copy of the certificate.
    assert_eq!(world.docker_ok("web", &started), before);
    assert_eq!(agent_process(&host), pid, "the engine was restarted");

    let (server, mine) = (host.run("cat /etc/wharf/tls/server.pem"), read(&own));
    world.wharf_ok(&["certs", "renew", "--client"]);
    assert_eq!(host.run("cat /etc/wharf/tls/server.pem"), server);
    assert_ne!(read(&own), mine);
    assert_eq!(world.docker_ok("web", &started), before);
}

#[test]
fn a_certificate_that_is_taken_back_opens_nothing_and_ends_what_goes_on() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    import_busybox(&world, "web");
    let bob = Colleague::new(&world, &host, "bob", &["--role", "admin"]);
    let carol = Colleague::new(&world, &host, "carol", &["--role", "operator", "--machine", "web"]);
    expect_success(&mut bob.docker(&[
        "run",
        "-d",
        "--name",
        "talks",
        "busybox",
        "sh",
        "-c",
        "while :; do echo on; sleep 1; done",
    ]));
    let mut following =
        bob.docker(&["logs", "-f", "talks"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut others = carol.docker(&["logs", "-f", "talks"]).stdout(Stdio::null()).spawn().unwrap();
    let pid = agent_process(&host);

    let said = world.wharf_ok(&["certs", "revoke", "bob"]);
    assert!(said.contains("web: refuses it from now on"), "{said}");
    let refused = bob.docker(&["ps"]).output().unwrap();
    assert!(
        !refused.status.success() && text(&refused).contains("certificate was revoked"),
        "{}",
        text(&refused)
    );
    wait_until("what bob follows has ended", || following.try_wait().unwrap().is_some());
    assert!(others.try_wait().unwrap().is_none(), "what carol follows goes on");
    expect_success(&mut carol.docker(&["ps"]));
    assert_eq!(agent_process(&host), pid, "the engine was restarted");
    assert!(world.docker_ok("web", &["ps"]).contains("talks"), "bob's container goes on");
    let listed = world.wharf_ok(&["certs", "ls"]);
    let of = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap().trim_end().to_owned();
    assert!(of(" bob ").ends_with("revoked"), "{listed}");
    assert!(of(" carol ").ends_with("29") || of(" carol ").ends_with("30"), "{listed}");
    let journal = read(&world.store.join("machines/web/journal.jsonl"));
    assert!(journal.contains("\"revoking\"") && journal.contains("\"revoked\""), "{journal}");
    others.kill().unwrap();
    others.wait().unwrap();

    // What the engine heeds outlives it, and is brought back where somebody deletes it.
    host.run("systemctl restart wharfd");
    let refused = || !bob.docker(&["ps"]).output().unwrap().status.success();
    wait_until("the engine is back", || carol.docker(&["ps"]).output().unwrap().status.success());
    assert!(refused());
    host.run("rm /etc/wharf/tls/crl.pem");
    world.wharf_ok(&["provision", "web"]);
    assert!(refused());
}

#[test]
fn an_agent_that_knows_no_lists_is_not_believed_to_heed_one() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    let bob = Colleague::new(&world, &host, "bob", &[]);
    // As an agent of before: it takes the file, and asks nobody.
    let deaf = "#!/bin/sh\n[ \"$1\" = certificate ] && exit 0\nexec /usr/local/bin/wharfd.real \"$@\"\n";
    host.run(&format!(
        "mv /usr/local/bin/wharfd /usr/local/bin/wharfd.real && printf '{deaf}' >/usr/local/bin/wharfd && chmod 755 /usr/local/bin/wharfd"
    ));
    let output = world.wharf(["certs", "revoke", "bob"]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not heed it") && said.contains("it lets the holder in"), "{said}");
    assert!(world.wharf_ok(&["certs", "ls"]).contains("revoked, not yet on web"));
    expect_success(&mut bob.docker(&["version"]));
    world.wharf_ok(&["provision", "web"]);
    assert!(!bob.docker(&["version"]).output().unwrap().status.success());
    assert!(!world.wharf_ok(&["certs", "ls"]).contains("not yet"));
}
