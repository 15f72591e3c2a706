//! `wharf adopt` on a real host: what is shown is what is done, and nothing before somebody agreed.

use crate::docker::import_busybox;
use crate::world::{OVER, World, text};

#[test]
fn a_host_is_as_it_was_until_somebody_agrees() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let adopt: Vec<String> = world
        .create_arguments("rack", &host)
        .into_iter()
        .map(|word| if word == "create" { "adopt".to_owned() } else { word })
        .collect();
    let with = |more: &str| world.wharf([&adopt[..], &[more.to_owned()]].concat()).output().unwrap();
    let name = host.run("hostname; cat /etc/hostname /etc/hosts");

    let unasked = world.wharf(&adopt).output().unwrap();
    assert_eq!(unasked.status.code(), Some(2), "{}", text(&unasked));
    let shown = with("--dry-run");
    assert!(shown.status.success(), "{}", text(&shown));
    for step in ["/usr/local/bin/wharfd", "wharfd.service", "on port 2376"] {
        assert!(text(&shown).contains(step), "{step}: {}", text(&shown));
    }
    host.run("! ls -d /usr/local/bin/wharfd /etc/wharf /etc/systemd/system/wharfd.service 2>/dev/null");
    assert_eq!(world.wharf_ok(&["ls", "-q"]), "");

    let adopted = with("--yes");
    assert!(adopted.status.success(), "{}", text(&adopted));
    for step in ["/usr/local/bin/wharfd", "wharfd.service", "on port 2376"] {
        assert!(text(&adopted).contains(step), "{step}: {}", text(&adopted));
    }
    import_busybox(&world, "rack");
    assert_eq!(world.docker_ok("rack", &["run", "--rm", "busybox", "echo", "hello"]), "hello\n");
    assert_eq!(host.run("hostname; cat /etc/hostname /etc/hosts"), name, "the host was renamed");
    world.wharf_ok(&["rm", "-y", "rack"]);
    host.run("systemctl is-active wharfd");
}

#[test]
fn an_engine_whose_time_is_over_takes_nothing_new_and_the_host_stays_on() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let mut create = world.create_arguments("rack", &host);
    create.extend(["--ttl".to_owned(), "4h".to_owned()]);
    let made = text(&world.wharf(&create).output().unwrap());
    assert!(made.contains("the host itself stays on"), "{made}");
    import_busybox(&world, "rack");
    world.docker_ok("rack", &["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]);
    world.docker_ok("rack", &["create", "--name", "waits", "busybox", "true"]);
    host.run(OVER);
    for command in [["run", "--rm", "busybox"].as_slice(), &["create", "busybox"], &["start", "waits"]] {
        let refused = world.docker("rack", command).output().unwrap();
        assert!(
            !refused.status.success() && text(&refused).contains("was over at 1970-01-01"),
            "{refused:?}"
        );
    }
    assert_eq!(world.docker_ok("rack", &["ps", "--format", "{{.Names}}"]), "runs\n");
    let unit = host.run("cat /etc/systemd/system/wharfd.service");
    assert!(!unit.contains("--power-off"), "{unit}");
    host.run("systemctl is-active wharfd");
}
