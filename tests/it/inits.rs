//! Hosts whose services nobody like systemd looks after: OpenRC, and no init system at all.

use wharf_tests::{Host, Kind};

use crate::docker::{import_busybox, wait_until};
use crate::world::{World, expect_success, text};

/// The daemon's process; its watchdog and the shims have other words behind the program's name.
fn daemon(host: &Host) -> String {
    host.run("pgrep -f '^[^ ]*wharfd --host' || :").trim().to_owned()
}

const PROXY: &str = "HTTPS_PROXY=http://it's a proxy:3128";

fn has_its_environment(host: &Host, daemon: &str) {
    let environment = host.run(&format!("tr '\\0' '\\n' </proc/{daemon}/environ"));
    assert!(environment.lines().any(|line| line == PROXY), "{environment}");
}

#[test]
fn a_unit_gives_the_agent_its_environment() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let proxied = ["--engine-env".to_owned(), PROXY.to_owned()];
    expect_success(&mut world.wharf([world.create_arguments("web", &host), proxied.into()].concat()));
    has_its_environment(&host, &daemon(&host));
    let again = world.wharf_ok(&["provision", "web"]);
    has_its_environment(&host, &daemon(&host));
    assert!(!again.contains("error"), "{again}");
}

#[test]
fn pulls_go_through_the_proxy_that_the_agent_was_given() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let proxied = ["--engine-env".to_owned(), "HTTPS_PROXY=http://127.0.0.1:3128".to_owned()];
    expect_success(&mut world.wharf([world.create_arguments("web", &host), proxied.into()].concat()));
    // It writes down what it is asked for, and does nothing of it.
    let proxy = "use IO::Socket; $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", LocalPort => 3128, Listen => 5); \
                 while ($c = $s->accept) { $asked = <$c>; open F, \">>/run/asked\"; print F $asked; close F; close $c }";
    host.run(&format!("systemd-run --quiet --unit=proxy perl -e '{proxy}'"));
    wait_until("the proxy listens", || host.try_run("grep -q ':0C38 ' /proc/net/tcp").status.success());
    let refused = world.docker("web", ["pull", "registry.invalid/box"]).output().unwrap();
    assert!(!refused.status.success());
    let asked = host.run("cat /run/asked");
    assert!(asked.starts_with("CONNECT registry.invalid:443 "), "{asked}: {}", text(&refused));
}

/// From nothing to a container, through a daemon that is killed and new certificates, to nothing again.
fn whole_life(kind: Kind, user: &str, after: impl FnOnce(&World, &Host)) {
    let world = World::with_bare_hosts();
    let host = world.lab.host_of(kind);
    let proxied = ["--engine-env".to_owned(), PROXY.to_owned()];
    expect_success(
        &mut world.wharf([world.create_arguments_as(user, "web", &host), proxied.into()].concat()),
    );
    import_busybox(&world, "web");
    world.docker_ok("web", &["run", "-d", "--name", "kept", "busybox", "sleep", "1000"]);
    assert_eq!(world.docker_ok("web", &["run", "--rm", "busybox", "echo", "hello"]), "hello\n");

    let before = daemon(&host);
    assert!(!before.is_empty() && !before.contains('\n'), "one daemon: {before:?}");
    host.run(&format!("kill -9 {before}"));
    wait_until("the daemon is back", || {
        let listed = world.docker("web", ["ps", "--format", "{{.Names}}"]).output().unwrap();
        listed.status.success() && text(&listed) == "kept\n"
    });
    let now = daemon(&host);
    assert_ne!(now, before);
    has_its_environment(&host, &now);

    world.wharf_ok(&["regenerate-certs", "web"]);
    assert_eq!(daemon(&host), now, "new certificates restarted the daemon");
    assert_eq!(world.docker_ok("web", &["exec", "kept", "echo", "still"]), "still\n");
    let again = world.wharf_ok(&["provision", "web"]);
    assert_eq!(daemon(&host), now, "provisioning what is right restarted the daemon: {again}");

    // Nobody keeps a journal there: its log is a file.
    let said = world.wharf_ok(&["logs", "-n", "2", "web"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(world.wharf_ok(&["logs", "--since", "1h", "web"]).contains(said.trim_end()));

    after(&world, &host);

    world.wharf_ok(&["rm", "-y", "--purge", "web"]);
    let left = host.run(
        "ls -d /usr/local/bin/wharfd /opt/wharf /etc/wharf /etc/init.d/wharfd /etc/runlevels/*/wharfd /run/wharf* \
         /run/supervise-wharfd* /var/log/wharfd* 2>/dev/null; ls -A /var/lib/wharf; pgrep -x wharfd; \
         pgrep -x busybox; ls /sys/class/net | grep wharf; cut -d' ' -f2 /proc/mounts | grep wharf | \
         grep -vx /var/lib/wharf; find /sys/fs/cgroup -type d -name 'wharf*'",
    );
    assert_eq!(left, "", "something of ours is left");
}

#[test]
fn openrc_supervises_the_engine_and_brings_it_back_after_a_reboot() {
    whole_life(Kind::OpenRc, "root", |world, host| {
        let said = expect_success(&mut world.wharf(["status", "web"]));
        assert!(!said.contains("reboot"), "{said}");
        host.run("touch /run/before");
        world.wharf_ok(&["restart", "web"]);
        host.wait();
        host.run("! test -e /run/before");
        assert!(world.docker_ok("web", &["version"]).contains("Server"));
    });
}

#[test]
fn without_an_init_system_a_watchdog_keeps_the_engine_and_status_says_what_a_reboot_does() {
    for user in ["root", "ann"] {
        whole_life(Kind::Bare, user, |world, _| {
            let said = expect_success(&mut world.wharf(["status", "web"]));
            assert!(said.contains("a reboot does not bring its engine back"), "{said}");
        });
    }
}
