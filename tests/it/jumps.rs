//! A host that only another host reaches: everything goes through that one, and each of the two must prove who it is.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use wharf_tests::Host;

use crate::mount::Point;
use crate::world::{World, expect_success, fingerprint, text};

/// A machine `web` that is reached through `jump` alone.
struct Scene {
    world: World,
    jump: Host,
    hidden: Host,
}

impl Scene {
    fn new() -> Self {
        let world = World::with_bare_hosts();
        let mut hosts = world.lab.hosts(2);
        let (hidden, jump) = (hosts.remove(1), hosts.remove(0));
        world.lab.hide(&hidden);
        let scene = Self { world, jump, hidden };
        expect_success(&mut scene.world.wharf(scene.create()));
        scene
    }

    fn create(&self) -> Vec<String> {
        let (key, jump) = (self.hidden.key_file.display().to_string(), format!("root@{}", self.jump.address));
        let words = ["create", "--driver", "ssh", "--ssh-address", &self.hidden.address, "--ssh-key", &key];
        let way = ["--ssh-jump", &jump, "--ssh-accept-new-host-key", "web"];
        words.into_iter().chain(way).map(str::to_owned).collect()
    }

    /// The tunnel as a process of its own, once it is open.
    fn tunnel(&self) -> (Child, String) {
        let mut wharf = self.world.wharf(["tunnel", "web"]);
        let mut tunnel = wharf.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(tunnel.stdout.take().unwrap()).read_line(&mut url).unwrap();
        (tunnel, url.trim().to_owned())
    }
}

fn interrupt(mut tunnel: Child) -> Option<i32> {
    let id = nix::unistd::Pid::from_raw(i32::try_from(tunnel.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    tunnel.wait().unwrap().code()
}

#[test]
fn a_host_behind_another_is_a_machine_like_any_other() {
    let scene = Scene::new();
    let world = &scene.world;
    // Nobody is there to be asked, and nothing stands in the person's own files.
    let listed = world.wharf_ok(&["ls"]);
    assert!(listed.contains("Running") && !listed.contains("Unknown"), "{listed}");
    assert!(world.wharf_ok(&["version", "web"]).starts_with("wharfd "));
    assert_eq!(world.wharf_ok(&["ssh", "web", "hostname"]).trim(), scene.hidden.name);
    if let Some(point) = Point::new("jumps::a_host_behind_another_is_a_machine_like_any_other, its mount") {
        let at = point.path().display().to_string();
        world.wharf_ok(&["mount", "web:/etc", &at]);
        let name = std::fs::read_to_string(point.path().join("hostname")).unwrap();
        assert_eq!(name.trim(), scene.hidden.name);
        world.wharf_ok(&["mount", "-u", "web:/etc", &at]);
    }
    world.wharf_ok(&["regenerate-certs", "web"]);
    world.wharf_ok(&["provision", "web"]);

    let env = expect_success(&mut world.wharf(["env", "web"]));
    assert!(env.contains("DOCKER_HOST=\"tcp://127.0.0.1:") && env.contains("`wharf tunnel web`"), "{env}");
    let without = world.docker("web", ["version"]).output().unwrap();
    assert!(!without.status.success(), "there is no way without a tunnel");

    let (tunnel, url) = scene.tunnel();
    let env = expect_success(&mut world.wharf(["env", "web"]));
    assert!(env.contains(&url) && !env.contains("wharf tunnel"), "{env}");
    assert!(world.docker_ok("web", &["version"]).contains("Server"));
    crate::docker::import_busybox(world, "web");
    let echoed = world.docker_ok("web", &["run", "--rm", "busybox", "echo", "through"]);
    assert_eq!(echoed, "through\n");
    let mut many: Vec<_> =
        (0..6).map(|_| world.docker("web", ["ps"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    assert!(many.iter_mut().all(|docker| docker.wait().unwrap().success()), "several at once");
    let second = world.wharf(["tunnel", "web"]).output().unwrap();
    assert_eq!(second.status.code(), Some(3), "the port is taken: {}", text(&second));
    assert_eq!(interrupt(tunnel), Some(0));

    world.wharf_ok(&["restart", "web"]);
    world.wharf_ok(&["rm", "-y", "--purge", "web"]);
    world.lab.show(&scene.hidden);
    scene.hidden.run("! test -e /usr/local/bin/wharfd && ! test -e /etc/wharf");
}

#[test]
fn a_command_beside_a_tunnel_finds_the_engine_and_ends_as_it_ends() {
    let scene = Scene::new();
    let beside = |command: &[&str]| {
        let docker = World::docker_program();
        let mut wharf = scene.world.wharf(["tunnel", "web", "--"]);
        wharf.args(command.iter().map(|word| if *word == "docker" { docker.clone() } else { word.into() }));
        wharf.output().unwrap()
    };
    let shown = beside(&["docker", "info", "--format", "{{.Name}}"]);
    assert_eq!(text(&shown).trim(), scene.hidden.name);
    assert_eq!(beside(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    let missing = beside(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing).contains("no-such-program") && text(&missing).contains("hint: "));
    let mut wharf = scene.world.wharf(["tunnel", "web", "--", "sleep", "1000"]);
    let waiting = wharf.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(terminate(waiting), Some(128 + 15), "the command is ended, too");
}

/// Ends it as a service manager would, once it has begun to run its command.
fn terminate(mut tunnel: Child) -> Option<i32> {
    let id = nix::unistd::Pid::from_raw(i32::try_from(tunnel.id()).unwrap());
    let deadline = Instant::now() + Duration::from_secs(120);
    let children = format!("/proc/{id}/task/{id}/children");
    // nsenter becomes wharf; the children of any of its threads count.
    while std::fs::read_to_string(&children).is_ok_and(|all| all.is_empty()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    while tunnel.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the tunnel does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    tunnel.wait().unwrap().code()
}

#[test]
fn a_swapped_key_of_a_host_on_the_way_stops_every_command() {
    let scene = Scene::new();
    let old = fingerprint(&scene.jump.host_key);
    scene.jump.run(
        "rm /etc/ssh/ssh_host_ed25519_key* &&
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
    let new = scene.jump.upper().join("etc/ssh/ssh_host_ed25519_key.pub");
    let new = fingerprint(&std::fs::read_to_string(new).unwrap());
    for arguments in [
        &["ssh", "web", "true"][..],
        &["ls"],
        &["status", "web"],
        &["version", "web"],
        &["tunnel", "web"],
        &["tunnel", "web", "--", "true"],
        &["restart", "web"],
        &["provision", "web"],
        &["regenerate-certs", "web"],
        &["rm", "-y", "--purge", "web"],
    ] {
        let refused = scene.world.wharf(arguments).output().unwrap();
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(6), "{arguments:?}: {said}");
        assert!(said.contains(&old) && said.contains(&new), "{arguments:?} must name both keys: {said}");
    }
}
