//! Other people's firewalls on a real host: containers get out and published ports get in beside each of them, what they
//! were told is taken back with the last container, and what they themselves serve goes on working.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use wharf_tests::{Host, Kind};

use crate::docker::{import_busybox, wait_until};
use crate::world::{World, text};

/// A machine on a host that has all of them, and a page on another computer.
struct Scene {
    world: World,
    host: Host,
    far: Child,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let host = world.lab.host_of(Kind::Firewalls);
        world.create("web1", &host);
        import_busybox(&world, "web1");
        let pages = world.lab.scratch().join("far");
        std::fs::create_dir_all(&pages).unwrap();
        std::fs::File::create(pages.join("index.html")).unwrap().write_all(b"far\n").unwrap();
        let mut httpd = world.lab.command("/bin/busybox");
        httpd.args(["httpd", "-f", "-p", "7777", "-h"]).arg(pages);
        let far = httpd.stdin(Stdio::null()).spawn().unwrap();
        Self { world, host, far }
    }

    /// A web server of ours, published.
    fn serve(&self, name: &str, publish: &str) {
        let serve = ["busybox", "busybox", "sh", "-c", SERVE];
        let run = [&["run", "-d", "--name", name, "-p", publish][..], &serve].concat();
        self.world.docker_ok("web1", &run);
    }

    fn forget(&self, name: &str) {
        self.world.docker_ok("web1", &["rm", "-f", name]);
    }

    /// What another computer reads from a port of the host.
    fn reads(&self, port: u16) -> String {
        let url = format!("http://{}:{port}/", self.host.address);
        let mut curl = self.world.lab.command("curl");
        text(&curl.args(["-sf", "-m", "2", "--noproxy", "*", &url]).output().unwrap())
    }

    /// What a container of ours reads from elsewhere.
    fn read_by(&self, name: &str, place: &str) -> String {
        let url = format!("http://{place}/");
        let read = ["exec", name, "busybox", "timeout", "3", "busybox", "wget", "-qO-", &url];
        text(&self.world.docker("web1", read).output().unwrap())
    }

    /// Both ways, however soon the server is there.
    fn works(&self, name: &str, port: u16, when: &str) {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let (out, inward) = (self.read_by(name, "10.99.0.1:7777"), self.reads(port));
            if out == "far\n" && inward == "near\n" {
                return;
            }
            if Instant::now() > end {
                let rules =
                    self.host.run("nft list ruleset; iptables-legacy-save; journalctl -u wharfd -n 20");
                panic!("{when}: out: {out}\nin: {inward}\n{rules}");
            }
        }
    }

    /// Everything that any firewall has.
    fn rules(&self) -> String {
        self.host.run(RULES)
    }

    /// The same, once nobody is changing it any more: what a container leaves goes after it, and a firewall that was started
    /// may still be at it.
    fn settled(&self) -> String {
        let mut last = self.rules();
        for _ in 0..30 {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.rules();
            if now == last {
                break;
            }
            last = now;
        }
        last
    }

    /// Without any of our containers everything is as it was.
    fn is_as_before(&self, before: &str) {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let now = self.rules();
            if now == before {
                return;
            }
            let missing = |from: &str, other: &str| {
                let lines = from.lines().filter(|line| !other.lines().any(|there| there == *line));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert!(
                Instant::now() < end,
                "gone: {:#?}\nnew: {:#?}\nbefore: {before}\nnow: {now}",
                missing(before, &now),
                missing(&now, before)
            );
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.far.kill();
        let _ = self.far.wait();
    }
}

const SERVE: &str = "busybox mkdir -p /www; echo near > /www/index.html; exec busybox httpd -f -p 80 -h /www";
/// Counters count on; everything else must not change.
const RULES: &str =
    "nft --stateless list ruleset; iptables-legacy -S; cat /etc/ufw/user.rules; ls /run/wharf/net";

#[test]
fn a_dropping_forward_policy_is_answered_in_both_forms() {
    let scene = Scene::new();
    for form in ["iptables-nft", "iptables-legacy"] {
        scene.serve("first", "8080:80");
        scene.forget("first");
        scene.host.run(&format!("{form} -P FORWARD DROP; {form} -A FORWARD -s 192.0.2.1 -j DROP"));
        let before = scene.settled();
        scene.serve("www", "8080:80");
        scene.works("www", 8080, form);
        let forward = scene.host.run(&format!("{form} -S FORWARD"));
        assert!(forward.find("192.0.2.1") < forward.find("WHARF"), "its owner's rules come first: {forward}");
        // Set while containers run, it is found as well.
        scene.host.run(&format!("{form} -F FORWARD; {form} -P FORWARD ACCEPT"));
        scene.host.run(&format!("{form} -P FORWARD DROP; {form} -A FORWARD -s 192.0.2.1 -j DROP"));
        scene.works("www", 8080, "set anew");
        scene.forget("www");
        scene.is_as_before(&before);
        scene.host.run(&format!("{form} -F FORWARD; {form} -P FORWARD ACCEPT"));
    }
}

#[test]
fn a_dockerd_next_door_goes_on_and_so_do_we() {
    let scene = Scene::new();
    scene.host.put(&scene.world.lab.scratch().join("busybox.tar"), "/srv/busybox.tar", 0o600);
    // We are there first, and made a router of the host: theirs is not to be stopped by that.
    scene.serve("ours", "8080:80");
    start_dockerd(&scene.host);
    scene.works("ours", 8080, "dockerd came later");
    theirs_works(&scene, "dockerd came later");
    let theirs = scene.host.run(&format!("{THEIRS} inspect -f '{{{{.NetworkSettings.IPAddress}}}}' theirs"));
    let ours = scene.world.docker_ok("web1", &["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "ours"]);
    let apart = scene.read_by("ours", theirs.trim());
    assert!(!apart.contains("near"), "ours reach theirs around published ports: {apart}");
    let asked = scene.host.try_run(&format!(
        "{THEIRS} exec theirs busybox timeout 3 busybox wget -qO- http://{}/",
        ours.trim()
    ));
    assert!(!asked.status.success(), "theirs reach ours around published ports");
    let published = scene.read_by("ours", &format!("{}:9090", scene.host.address));
    assert_eq!(published, "near\n", "by a published port they may");

    // Theirs is there first, forwarding is its own, and its policy drops what it does not know.
    scene.forget("ours");
    scene
        .host
        .run("systemctl stop theirs; iptables-nft -P FORWARD DROP; iptables-nft -t nat -F; iptables-nft -F");
    start_dockerd(&scene.host);
    scene.host.run(&format!("{THEIRS} start theirs; iptables-nft -I DOCKER-USER -s 192.0.2.1 -j DROP"));
    let before = scene.settled();
    scene.serve("ours", "8080:80");
    scene.works("ours", 8080, "dockerd was there first");
    theirs_works(&scene, "dockerd was there first");
    let left = scene.host.run("iptables-nft -S DOCKER-USER");
    let order = ["192.0.2.1", "WHARF-FORWARD", "RETURN"].map(|rule| left.find(rule));
    assert!(order[0].is_some() && order.is_sorted(), "behind its owner's rules, before the end: {left}");
    scene.host.run("systemctl restart theirs");
    dockerd_answers(&scene.host);
    scene.host.run(&format!("{THEIRS} start theirs"));
    scene.works("ours", 8080, "dockerd was restarted");
    theirs_works(&scene, "dockerd was restarted");
    scene.forget("ours");
    scene.is_as_before(&before);
    theirs_works(&scene, "ours is gone");
}

const THEIRS: &str = "docker -H unix:///run/theirs.sock";

/// In a folder of its own, and not on the socket that clients look for.
fn start_dockerd(host: &Host) {
    host.run(
        "systemctl reset-failed theirs 2>/dev/null; systemd-run --quiet --unit=theirs dockerd \
         -H unix:///run/theirs.sock --data-root /var/lib/wharf-theirs --exec-root /run/theirs --pidfile /run/theirs.pid",
    );
    dockerd_answers(host);
}

/// Its unit counts as started before it listens.
fn dockerd_answers(host: &Host) {
    wait_until("dockerd answers", || host.try_run(&format!("{THEIRS} version")).status.success());
}

fn theirs_works(scene: &Scene, when: &str) {
    let there = scene.host.try_run(&format!("{THEIRS} inspect theirs")).status.success();
    if !there {
        scene.host.run(&format!("{THEIRS} import /srv/busybox.tar busybox"));
        scene.host.run(&format!("{THEIRS} run -d --name theirs -p 9090:80 busybox busybox sh -c '{SERVE}'"));
    }
    let out = format!("{THEIRS} exec theirs busybox timeout 3 busybox wget -qO- http://10.99.0.1:7777/");
    wait_until(&format!("{when}: theirs works"), || {
        scene.host.try_run(&out).stdout == b"far\n" && scene.reads(9090) == "near\n"
    });
}

#[test]
fn firewalld_trusts_our_bridges_while_they_are_used() {
    let scene = Scene::new();
    scene.serve("first", "8080:80");
    scene.forget("first");
    scene.host.run("firewall-offline-cmd --add-port=2376/tcp && systemctl start firewalld");
    let trusted = || scene.host.run("firewall-cmd --zone=trusted --list-interfaces");
    let before = scene.settled();
    scene.serve("www", "8080:80");
    scene.works("www", 8080, "firewalld");
    assert_eq!(trusted().trim(), "wharf0");
    for reload in ["firewall-cmd --reload", "firewall-cmd --complete-reload", "systemctl restart firewalld"] {
        scene.host.run(reload);
        scene.works("www", 8080, reload);
    }
    // A bridge that somebody gave a zone is theirs to decide about.
    scene
        .world
        .docker_ok("web1", &["network", "create", "-o", "com.docker.network.bridge.name=mine0", "mine"]);
    scene.host.run("firewall-cmd --zone=internal --add-interface=mine0");
    scene.world.docker_ok("web1", &["network", "connect", "mine", "www"]);
    assert_eq!(trusted().trim(), "wharf0");
    scene.host.run("firewall-cmd --zone=internal --remove-interface=mine0");
    scene.forget("www");
    scene.world.docker_ok("web1", &["network", "rm", "mine"]);
    assert_eq!(trusted().trim(), "");
    // It keeps the empty chains of a zone that was used once until its next reload.
    scene.host.run("firewall-cmd --reload");
    scene.is_as_before(&before);
    // Killed and purged, it leaves nothing either.
    scene.serve("www", "8080:80");
    scene.host.run(
        "systemctl stop wharfd; wharfd purge --data-root /var/lib/wharf --exec-root /run/wharf >/dev/null 2>&1; true",
    );
    assert_eq!(trusted().trim(), "");
}

#[test]
fn ufw_allows_our_bridges_while_they_are_used() {
    let scene = Scene::new();
    scene.serve("first", "8080:80");
    scene.forget("first");
    scene.host.run("ufw allow 22/tcp; ufw allow 2376/tcp; ufw --force enable");
    // The owner's own word about what is forwarded stands before ours.
    scene.host.run("ufw route deny in on wharf0 to 10.99.0.1 port 7778 proto tcp");
    let before = scene.settled();
    scene.serve("www", "8080:80");
    scene.works("www", 8080, "ufw");
    let shown = scene.host.run("ufw show added");
    assert!(shown.contains("ufw route allow in on wharf0 comment 'wharf: containers'"), "{shown}");
    scene.host.run("ufw reload");
    scene.works("www", 8080, "ufw reload");
    scene.host.run("ufw --force disable");
    scene.works("www", 8080, "ufw disable");
    scene.host.run("ufw --force enable");
    scene.works("www", 8080, "ufw enable");
    scene.forget("www");
    scene.is_as_before(&before);
}
