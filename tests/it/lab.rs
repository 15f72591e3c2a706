//! The lab itself: hosts boot, reach each other and nothing else, and leave nothing behind however a test ends.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wharf_tests::Lab;

use crate::world::World;

#[test]
fn hosts_boot_reach_each_other_and_nothing_else() {
    let lab = Lab::new();
    let hosts = lab.hosts(2);
    assert_eq!(hosts[0].run("hostname").trim(), hosts[0].name);
    hosts[0].run(&format!("bash -c 'echo > /dev/tcp/{}/22'", hosts[1].address));
    let outside = hosts[0].try_run("timeout 2 bash -c 'echo > /dev/tcp/192.0.2.1/80'");
    assert!(!outside.status.success(), "the lab reaches the world");
    let machine_ids: Vec<_> = hosts.iter().map(|host| host.run("cat /etc/machine-id")).collect();
    assert_ne!(machine_ids[0], machine_ids[1]);
    let scratch = lab.scratch();
    let folder = scratch.parent().unwrap().to_owned();
    drop(lab);
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn a_host_reboots() {
    let lab = Lab::new();
    let host = lab.host();
    let before = host.run("systemctl show --property=UserspaceTimestampMonotonic");
    host.run("touch /etc/kept; nohup systemctl reboot >/dev/null 2>&1 &");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = host.try_run("systemctl show --property=UserspaceTimestampMonotonic && test -e /etc/kept");
        if now.status.success() && now.stdout != before.as_bytes() {
            break;
        }
        assert!(Instant::now() < deadline, "it never came back:\n{}", host.console());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// As all of a host's processes are when it goes down: stopped, and then killed.
#[test]
fn a_command_that_is_stopped_and_killed_is_over() {
    let lab = Lab::new();
    let host = lab.host();
    let output = host.try_run("(sleep 0.5; kill -KILL $$) & kill -STOP $$");
    assert_eq!(output.status.code(), Some(128 + 9), "{output:?}");
}

/// Its processes are started anew by one that is about to be killed.
#[test]
fn a_host_that_ends_while_it_reboots_leaves_nothing() {
    for later in [300, 500, 700, 900] {
        let lab = Lab::new();
        let host = lab.host();
        let folder = lab.scratch().parent().unwrap().display().to_string();
        host.run("nohup systemctl reboot >/dev/null 2>&1 &");
        std::thread::sleep(Duration::from_millis(later));
        drop(lab);
        let named = |entry: &std::fs::DirEntry| {
            let line = std::fs::read_to_string(entry.path().join("cmdline"));
            line.is_ok_and(|line| line.contains(&folder))
        };
        let left: Vec<_> = std::fs::read_dir("/proc").unwrap().flatten().filter(named).collect();
        assert!(left.is_empty(), "ended {later} ms after its reboot began: {left:?}");
    }
}

#[test]
fn a_host_that_has_the_agent_is_brought_none() {
    for (world, brought) in [(World::new(), false), (World::with_bare_hosts(), true)] {
        let host = world.lab.host();
        world.create("web", &host);
        assert_eq!(host.upper().join("usr/local/bin/wharfd").exists(), brought);
    }
}

/// Run by [`a_killed_owner_leaves_nothing`] in a process of its own.
#[test]
#[ignore = "a helper of another test"]
fn helper_that_waits_for_its_death() {
    let lab = Lab::new();
    let _host = lab.host();
    println!("{}", lab.scratch().parent().unwrap().display());
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_killed_owner_leaves_nothing() {
    use std::io::{BufRead as _, BufReader};
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "lab::helper_that_waits_for_its_death"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("/var/tmp")), "the helper never got its host");
    let name = format!("wl-{}-0", owner.id());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let left = || {
        let places = [format!("/run/netns/{name}"), format!("/var/tmp/wharf-labs/{name}")];
        let groups =
            [format!("/sys/fs/cgroup/unified/{name}-h1"), format!("/sys/fs/cgroup/systemd/{name}-h1")];
        places.into_iter().chain(groups).filter(|path| Path::new(path).exists()).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", left());
        std::thread::sleep(Duration::from_millis(50));
    }
}
