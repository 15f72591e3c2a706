//! The bootstrap on real hosts: systemd, sshd, an overlay root, and no way out of the lab.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use wharf_bootstrap::{
    Access, Endpoint, EngineOptions, Error, Event, Init, Kind, Phase, Progress, Removed, Request, Verb,
    preview, provision, remove, renew_certificate,
};
use wharf_pki::{Authority, Client, Revocations, Role};
use wharf_ssh::{HostKeys, Identity, Target};
use wharf_tests::{Host, Lab, static_agent};

/// A lab with one host, and the wish for an engine on it.
struct Scene {
    lab: Lab,
    host: Host,
    request: Request,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::new();
        let host = lab.host();
        let now = OffsetDateTime::now_utc();
        let authority = Authority::generate("test-store", now).unwrap();
        let client =
            Client { name: "ann".into(), role: Role::Admin, machine: None, valid: time::Duration::days(365) };
        let client = authority.issue_client(&client, now).unwrap();
        let pinned = HostKeys::Pinned(vec![host.host_key.parse().unwrap()]);
        let request = Request {
            target: Target::new(&host.address, "root", Identity::File(host.key_file.clone()), pinned),
            machine: "m-0123456789".into(),
            names: vec![host.address.parse().unwrap()],
            engine: Endpoint { host: host.address.clone(), port: 2376, listen: 2376 },
            agent: static_agent().to_owned(),
            authority: Arc::new(authority),
            client: Arc::new(client),
            revoked: Revocations::default(),
            options: EngineOptions { labels: vec!["site=lab 1".into()], ..EngineOptions::default() },
            rotate_host_key: false,
            now,
            connect_by: Instant::now() + Duration::from_secs(30),
            deadline: Instant::now() + Duration::from_secs(90),
        };
        Self { lab, host, request }
    }

    /// Runs on the lab's network, in an async runtime of its own.
    fn run<T: Send>(&self, work: impl AsyncFnOnce(&Request) -> T + Send) -> T {
        let request = Request {
            connect_by: Instant::now() + Duration::from_secs(10),
            deadline: Instant::now() + Duration::from_secs(60),
            ..self.request.clone()
        };
        self.lab.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(&request))
        })
    }

    /// Runs a program of this machine's where the host's network is.
    fn inside_the_host(&self, command: &[&str]) -> String {
        let pid = self.host.leader();
        let mut enter = std::process::Command::new("nsenter");
        let output = enter.arg(format!("--net=/proc/{pid}/ns/net")).args(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn provision(&self) -> Result<wharf_bootstrap::Outcome, Error> {
        self.run(async |request| provision(request, &Progress::silent()).await)
    }

    fn refused(&self) -> Error {
        self.provision().unwrap_err()
    }
}

#[test]
fn a_bare_host_becomes_a_container_host_and_a_second_run_changes_nothing() {
    let scene = Scene::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let progress = Progress::new(move |event| seen.lock().unwrap().push(event));
    let begun = Instant::now();
    let first = scene.run(async |request| provision(request, &progress).await).unwrap();
    let took = begun.elapsed();
    println!("SSH answers → engine answers over mutual TLS: {took:.2?}, by phase {:?}", first.timings);
    assert_eq!(first.facts.init, Init::Systemd);
    assert_eq!(first.facts.access, Access::Root);
    assert_eq!(first.server_certificate.machine(), Some("m-0123456789"));
    assert_eq!(first.host_keys[0].to_string(), scene.host.host_key.rsplit_once(' ').unwrap().0);
    assert!(!first.engine_version.is_empty());
    let events = std::mem::take(&mut *events.lock().unwrap());
    assert!(events.contains(&Event::Started(Phase::Verify)));
    assert!(events.iter().any(|event| matches!(event, Event::Uploaded { sent, total } if sent == total)));
    scene.host.run("systemctl is-enabled wharfd && systemctl is-active wharfd");

    let before = scene
        .host
        .run("systemctl show -p MainPID wharfd; stat -c %Y.%i /usr/local/bin/wharfd /etc/wharf/tls/*");
    let second = scene.provision().unwrap();
    println!("the second run, by phase {:?}", second.timings);
    assert!(second.steps.iter().all(|step| step.verb == Verb::Keep), "{:?}", second.steps);
    assert_eq!(second.server_certificate, first.server_certificate);
    let after = scene
        .host
        .run("systemctl show -p MainPID wharfd; stat -c %Y.%i /usr/local/bin/wharfd /etc/wharf/tls/*");
    assert_eq!(before, after, "a second run changed something");
}

#[test]
fn what_is_broken_is_repaired() {
    let scene = Scene::new();
    scene.provision().unwrap();
    for damage in [
        "systemctl stop wharfd",
        "systemctl disable wharfd",
        "systemctl stop wharfd; rm /usr/local/bin/wharfd",
        "echo garbage >> /usr/local/bin/wharfd.new && systemctl stop wharfd && mv /usr/local/bin/wharfd.new /usr/local/bin/wharfd",
        "rm -rf /etc/wharf/tls",
        "echo garbage > /etc/wharf/tls/server.pem; systemctl restart wharfd || :",
        "rm /etc/systemd/system/wharfd.service; systemctl daemon-reload; systemctl kill -s KILL wharfd",
    ] {
        let _ = scene.host.try_run(damage);
        let outcome = scene.provision().unwrap_or_else(|error| panic!("after `{damage}`: {error}"));
        assert!(outcome.steps.iter().any(|step| step.verb != Verb::Keep), "`{damage}` was not seen");
        scene.host.run("systemctl is-enabled wharfd && systemctl is-active wharfd");
    }
}

#[test]
fn a_plan_changes_nothing() {
    let scene = Scene::new();
    let looked = scene.run(async |request| preview(request, &Progress::silent()).await).unwrap();
    let verbs: Vec<_> = looked.plan.steps.iter().map(|step| (step.name.as_str(), step.verb)).collect();
    assert_eq!(
        verbs,
        [
            ("agent", Verb::Create),
            ("certificate", Verb::Create),
            ("service", Verb::Create),
            ("engine", Verb::Start)
        ]
    );
    scene.host.run("! test -e /usr/local/bin/wharfd && ! test -e /etc/wharf && ! test -e /etc/systemd/system/wharfd.service");
}

#[test]
fn a_user_with_sudo_is_enough_and_one_without_is_told() {
    let mut scene = Scene::new();
    scene.request.target.user = "bob".into();
    let error = scene.refused();
    assert_eq!(error.kind(), Kind::NotAllowed, "{error}");
    assert!(error.to_string().contains("`bob`"), "{error}");
    assert!(error.hint().unwrap().contains("sudoers"));
    scene.request.target.user = "ann".into();
    let outcome = scene.provision().unwrap();
    assert_eq!(outcome.facts.access, Access::Sudo);
}

#[test]
fn a_new_address_is_certified_without_a_restart() {
    let mut scene = Scene::new();
    scene.provision().unwrap();
    let pid = scene.host.run("systemctl show -p MainPID wharfd");
    let key = scene.host.run("sha256sum /etc/wharf/tls/server-key.pem");
    scene.request.names.push("web.example".parse().unwrap());
    let renewed =
        scene.run(async |request| renew_certificate(request, false, &Progress::silent()).await).unwrap();
    println!("a new certificate, by phase {:?}", renewed.timings);
    assert!(renewed.server_certificate.covers(&scene.request.names));
    assert_eq!(scene.host.run("sha256sum /etc/wharf/tls/server-key.pem"), key);
    assert_eq!(
        scene.host.run("cat /etc/wharf/tls/server.pem").trim(),
        renewed.server_certificate.pem().trim()
    );
    scene.run(async |request| renew_certificate(request, true, &Progress::silent()).await).unwrap();
    assert_ne!(scene.host.run("sha256sum /etc/wharf/tls/server-key.pem"), key);
    assert_eq!(scene.host.run("systemctl show -p MainPID wharfd"), pid, "the daemon was restarted");
    // Provisioning sees the new name, too, and keeps the certificate.
    let kept = scene.provision().unwrap();
    assert!(kept.steps.iter().all(|step| step.verb == Verb::Keep), "{:?}", kept.steps);
}

#[test]
fn a_port_of_another_engine_is_left_alone() {
    let scene = Scene::new();
    // Any program that listens will do; its name is what counts.
    scene
        .host
        .run("cp /usr/sbin/sshd /usr/local/sbin/dockerd && /usr/local/sbin/dockerd -p 2376 -o PidFile=none");
    let error = scene.refused();
    assert_eq!(error.kind(), Kind::PortTaken, "{error}");
    assert!(error.to_string().contains("port 2376 on the host is taken by `dockerd`"), "{error}");
    scene.host.run("! test -e /usr/local/bin/wharfd && ! test -e /etc/wharf");
}

#[test]
fn a_full_disk_is_told_before_anything_changes() {
    let scene = Scene::new();
    scene.host.run("mount -t tmpfs -o size=4m none /usr/local/bin && mkdir -p /opt && mount -t tmpfs -o size=4m none /opt && mkdir -p /var/lib/wharf && mount -t tmpfs -o size=4m none /var/lib/wharf");
    let error = scene.refused();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    scene.host.run("! test -e /etc/wharf && ! test -e /usr/local/bin/wharfd");
}

#[test]
fn a_folder_that_cannot_execute_is_passed_over() {
    let scene = Scene::new();
    scene.host.run("mount -t tmpfs -o noexec none /usr/local/bin");
    let outcome = scene.provision().unwrap();
    assert!(
        outcome.steps.iter().any(|step| step.summary.contains("/opt/wharf/bin/wharfd")),
        "{:?}",
        outcome.steps
    );
    scene.host.run("test -x /opt/wharf/bin/wharfd && ! test -e /usr/local/bin/wharfd");
}

#[test]
fn a_foreign_processor_and_an_old_kernel_are_told() {
    let scene = Scene::new();
    let pretend = |flag: &str, answer: &str| {
        let script =
            format!("#!/bin/sh\n[ \"$1\" = {flag} ] && echo {answer} && exit\nexec /usr/bin/uname \"$@\"\n");
        scene
            .host
            .run(&format!("printf '%s' '{script}' >/usr/local/bin/uname && chmod 755 /usr/local/bin/uname"));
    };
    pretend("-m", "riscv64");
    assert!(matches!(scene.refused(), Error::Architecture { .. }));
    pretend("-r", "4.9.0-13-amd64");
    let error = scene.refused();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert!(error.to_string().contains("4.9.0"), "{error}");
    scene.host.run("! test -e /etc/wharf && ! test -e /usr/local/bin/wharfd");
}

#[test]
fn an_agent_that_does_not_stay_up_shows_its_log() {
    let mut scene = Scene::new();
    scene.request.options.extra = vec!["--no-such-flag".into()];
    let error = scene.refused();
    assert!(matches!(&error, Error::AgentFailed { log } if log.contains("no-such-flag")), "{error}");
    assert_eq!(scene.host.try_run("systemctl is-active wharfd").stdout, b"inactive\n");
}

#[test]
fn an_agent_that_is_none_is_told_before_anybody_is_asked() {
    let mut scene = Scene::new();
    scene.request.agent = PathBuf::from("/bin/sh");
    let error = scene.refused();
    assert!(matches!(&error, Error::AgentFile { reason, .. } if reason.contains("static")), "{error}");
    scene.request.agent = PathBuf::from("/nowhere/wharfd");
    assert!(matches!(scene.refused(), Error::AgentFile { .. }));
}

#[test]
fn a_firewall_between_is_told_apart_from_an_engine_that_is_down() {
    let mut scene = Scene::new();
    // Nobody answers at this address of the lab's own end, which is not the host's.
    scene.request.engine.host = "10.99.0.1".into();
    let error = scene.run(async |request| {
        let request = Request { deadline: Instant::now() + Duration::from_secs(15), ..request.clone() };
        provision(&request, &Progress::silent()).await.unwrap_err()
    });
    assert!(matches!(error, Error::PortClosed { .. }), "{error}");
    assert!(error.hint().unwrap().contains("10.99.0.1:2376"));
}

#[test]
fn the_host_key_is_rotated_and_journaled_before_it_is_used() {
    let mut scene = Scene::new();
    scene.request.rotate_host_key = true;
    let journal = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&journal);
    let progress = Progress::silent().on_host_keys(move |keys| {
        written.lock().unwrap().push(keys);
        std::future::ready(Ok(()))
    });
    let outcome = scene.run(async |request| provision(request, &progress).await).unwrap();
    let old: wharf_ssh::HostKey = scene.host.host_key.parse().unwrap();
    let new = outcome.host_keys[0].clone();
    assert_ne!(new, old);
    assert_eq!(*journal.lock().unwrap(), [vec![old, new.clone()], vec![new.clone()]]);
    scene.request.rotate_host_key = false;
    assert!(matches!(scene.refused(), Error::Ssh(wharf_ssh::Error::HostKeyMismatch { .. })));
    scene.request.target.host_keys = HostKeys::Pinned(vec![new]);
    scene.provision().unwrap();
}

#[test]
fn a_rotation_that_nobody_writes_down_does_not_happen() {
    let mut scene = Scene::new();
    scene.request.rotate_host_key = true;
    assert!(matches!(scene.refused(), Error::Journal(_)));
    scene.request.rotate_host_key = false;
    scene.provision().unwrap();
}

#[test]
fn a_machine_behind_a_jump_host_is_reached_and_verified_through_it() {
    let mut scene = Scene::new();
    let jump = scene.lab.host();
    let pinned = HostKeys::Pinned(vec![jump.host_key.parse().unwrap()]);
    scene.request.target.jumps =
        vec![Target::new(&jump.address, "root", Identity::File(jump.key_file.clone()), pinned)];
    // From here, the engine's address leads nowhere.
    scene.request.engine.host = "192.0.2.1".into();
    let outcome = scene.provision().unwrap();
    println!("through a jump host, by phase {:?}", outcome.timings);
}

#[test]
fn a_host_that_was_left_keeps_its_engine_and_one_that_was_purged_has_nothing_of_ours() {
    let scene = Scene::new();
    scene.provision().unwrap();
    let go = |purge| {
        scene.run(async |request| remove(&request.visit(), purge, &Progress::silent()).await).unwrap()
    };
    assert_eq!(go(false), Removed::Left);
    scene.host.run("systemctl is-active wharfd");
    assert_eq!(go(true), Removed::Purged);
    assert_eq!(go(true), Removed::Purged, "being gone already is success");
    scene.host.run("! test -e /usr/local/bin/wharfd && ! test -e /etc/wharf && ! test -e /run/wharf && ! systemctl cat wharfd");
    assert_eq!(scene.host.run("ls -A /var/lib/wharf"), "");
    assert_eq!(scene.host.run("pgrep -x wharfd || :"), "");
    // And it can be had again.
    scene.provision().unwrap();
}

#[test]
fn purging_ends_containers_and_takes_their_traces_with_it() {
    let scene = Scene::new();
    scene.provision().unwrap();
    let docker = Docker::new(&scene);
    docker.run(&["import", docker.busybox().to_str().unwrap(), "box"]);
    docker.run(&["network", "create", "front"]);
    let idle = ["box", "/bin/busybox", "sleep", "1000"];
    docker.run(&[&["run", "--detach", "--publish", "8080:80", "--volume", "kept:/data"][..], &idle].concat());
    docker.run(&[&["run", "--detach", "--network", "front"][..], &idle].concat());
    scene.host.run("pgrep -x busybox");
    // A host that has neither: nothing of ours may call them.
    scene.host.run("rm $(command -v ip) && ! command -v nft");
    let rules = || scene.inside_the_host(&["nft", "list", "ruleset"]);
    assert!(rules().contains("table ip wharf"));
    let before =
        scene.run(async |request| remove(&request.visit(), true, &Progress::silent()).await).unwrap();
    assert_eq!(before, Removed::Purged);
    assert_eq!(scene.host.run("pgrep -x busybox || :"), "", "the container lives on");
    assert_eq!(scene.host.run("cut -d' ' -f2 /proc/mounts | grep wharf | grep -vx /var/lib/wharf || :"), "");
    assert_eq!(scene.host.run("ls -A /var/lib/wharf; ls -d /run/wharf 2>/dev/null || :"), "");
    assert_eq!(scene.host.run("ls /sys/class/net | grep -v -x -e lo -e host0 || :"), "", "a link is left");
    assert_eq!(rules(), "", "a rule is left");
    assert_eq!(scene.host.run("cat /proc/sys/net/ipv4/ip_forward"), "0\n", "it forwards as before");
    assert_eq!(
        scene.host.run("find /sys/fs/cgroup -type d -name 'wharf*' || :"),
        "",
        "a control group is left"
    );
}

#[test]
fn purging_goes_on_by_hand_where_the_agent_was_deleted() {
    let scene = Scene::new();
    scene.provision().unwrap();
    let docker = Docker::new(&scene);
    docker.run(&["import", docker.busybox().to_str().unwrap(), "box"]);
    docker.run(&["network", "create", "front"]);
    docker.run(&["run", "--detach", "--network", "front", "box", "/bin/busybox", "sleep", "1000"]);
    scene.host.run("pgrep -x busybox && rm /usr/local/bin/wharfd");
    let purged =
        scene.run(async |request| remove(&request.visit(), true, &Progress::silent()).await).unwrap();
    assert_eq!(purged, Removed::Purged);
    assert_eq!(scene.host.run("pgrep -x busybox || :"), "", "the container lives on");
    assert_eq!(scene.host.run("cut -d' ' -f2 /proc/mounts | grep wharf | grep -vx /var/lib/wharf || :"), "");
    assert_eq!(scene.host.run("ls -A /var/lib/wharf; ls -d /run/wharf /etc/wharf 2>/dev/null || :"), "");
    assert_eq!(scene.host.run("ls /sys/class/net | grep -v -x -e lo -e host0 || :"), "", "a link is left");
    assert_eq!(scene.host.run("find /sys/fs/cgroup -type d -name 'wharf*' || :"), "", "a group is left");
}

/// The docker client, signed in to the scene's engine.
struct Docker<'a> {
    scene: &'a Scene,
    folder: PathBuf,
}

impl<'a> Docker<'a> {
    fn new(scene: &'a Scene) -> Self {
        use std::io::Write as _;
        let folder = scene.lab.scratch();
        let client = &scene.request.client;
        for (name, pem) in [
            ("ca.pem", scene.request.authority.certificate().pem()),
            ("cert.pem", client.certificate.pem()),
            ("key.pem", client.key_pem.expose()),
        ] {
            std::fs::File::create(folder.join(name)).unwrap().write_all(pem.as_bytes()).unwrap();
        }
        Self { scene, folder }
    }

    /// An image of one file.
    fn busybox(&self) -> PathBuf {
        let (root, archive) = (self.folder.join("root"), self.folder.join("box.tar"));
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let made =
            std::process::Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
        assert!(made.unwrap().success());
        archive
    }

    fn run(&self, arguments: &[&str]) {
        let client = std::env::var_os("WHARF_TEST_DOCKER").unwrap_or_else(|| "docker".into());
        let mut docker = self.scene.lab.command(client);
        docker.env("DOCKER_CERT_PATH", &self.folder).env("DOCKER_TLS_VERIFY", "1");
        docker.env("DOCKER_HOST", format!("tcp://{}:2376", self.scene.host.address));
        let output = docker.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
