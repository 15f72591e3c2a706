//! `docker network connect` and `disconnect` with running containers: addresses, names both ways, and who hears whom.

use crate::engine::Engine;

const IDLE: [&str; 3] = ["busybox", "sleep", "600"];

fn start(engine: &Engine, name: &str, arguments: &[&str]) {
    let mut run = vec!["run", "-d", "--name", name];
    run.extend(arguments);
    run.extend(IDLE);
    engine.ok(&run);
}

fn address(engine: &Engine, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    engine.ok(&["inspect", "-f", &format, container]).trim().to_owned()
}

/// The addresses that a container finds behind a name, sorted.
fn lookup(engine: &Engine, container: &str, name: &str) -> Vec<String> {
    let said = engine.docker(&["exec", container, "nslookup", "-type=a", name, "127.0.0.11"]);
    let answers = said.stdout.split("Name:").skip(1);
    let mut found: Vec<String> = answers
        .flat_map(|answer| {
            answer.lines().filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned)
        })
        .collect();
    found.sort();
    found
}

fn reaches(engine: &Engine, container: &str, place: &str) -> bool {
    engine.docker(&["exec", container, "ping", "-c", "1", "-W", "2", place]).code == 0
}

#[test]
fn running_containers_join_and_leave_networks() {
    let engine = engine!("running_containers_join_and_leave_networks");
    engine.ok(&["network", "create", "--subnet", "10.44.0.0/24", "front"]);
    engine.ok(&["network", "create", "back"]);
    start(&engine, "web", &["--network", "front"]);
    start(&engine, "db", &["--network", "back"]);
    assert!(!reaches(&engine, "web", "db"), "networks are apart");
    assert!(!reaches(&engine, "web", &address(&engine, "db", "back")), "by address, too");

    let join =
        ["network", "connect", "--ip", "10.44.0.77", "--alias", "store", "--link", "web:page", "front", "db"];
    engine.ok(&join);
    assert_eq!(address(&engine, "db", "front"), "10.44.0.77");
    for name in ["db", "store", "db.front"] {
        assert_eq!(lookup(&engine, "web", name), ["10.44.0.77"], "{name}");
    }
    assert_eq!(lookup(&engine, "db", "web"), [address(&engine, "web", "front")]);
    assert_eq!(
        lookup(&engine, "db", "page"),
        [address(&engine, "web", "front")],
        "a link is a name of its own"
    );
    assert_eq!(lookup(&engine, "web", "page"), Vec::<String>::new(), "which nobody else knows");
    assert!(reaches(&engine, "web", "store") && reaches(&engine, "db", "web"));
    let members = engine.ok(&["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", "front"]);
    assert!(members.contains("web") && members.contains("db"), "{members}");
    let twice = engine.docker(&join);
    assert!(twice.stderr.contains("already exists in network front"), "{twice:?}");
    let taken =
        engine.docker(&["run", "--rm", "--network", "front", "--ip", "10.44.0.77", "busybox", "true"]);
    assert!(taken.code == 125 && taken.stderr.contains("Address already in use"), "{taken:?}");
    let used = engine.docker(&["network", "rm", "front"]);
    assert!(used.stderr.contains("has active endpoints"), "{used:?}");

    // The same after a restart of the container: what was asked for is asked for again.
    engine.ok(&["restart", "-t", "0", "db"]);
    assert_eq!(address(&engine, "db", "front"), "10.44.0.77");
    assert!(reaches(&engine, "web", "store"));

    engine.ok(&["network", "disconnect", "front", "db"]);
    assert!(!reaches(&engine, "web", "10.44.0.77"));
    assert_eq!(lookup(&engine, "web", "store"), Vec::<String>::new());
    let again = engine.docker(&["network", "disconnect", "front", "db"]);
    assert!(again.stderr.contains("is not connected to network front"), "{again:?}");
    assert!(reaches(&engine, "db", "db"), "the other network stays");

    let seen = engine.ok(&[
        "events",
        "--since",
        "1",
        "--until",
        "0s",
        "--filter",
        "type=network",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    for action in ["create front", "connect front", "disconnect front"] {
        assert!(seen.lines().any(|line| line == action), "{action}: {seen}");
    }
}

#[test]
fn names_are_shared_in_turns_and_survive_a_restart_of_the_daemon() {
    let mut engine = engine!("names_are_shared_in_turns_and_survive_a_restart_of_the_daemon");
    engine.ok(&["network", "create", "front"]);
    start(&engine, "one", &["--network", "front", "--network-alias", "pool"]);
    start(&engine, "two", &["--network", "front", "--network-alias", "pool"]);
    // Its own servers are asked by the engine; names of the network come first all the same.
    start(&engine, "asker", &["--network", "front", "--dns", "192.0.2.53"]);
    let mut both = vec![address(&engine, "one", "front"), address(&engine, "two", "front")];
    both.sort();
    assert_eq!(lookup(&engine, "asker", "pool"), both);
    let first = |engine: &Engine| {
        let said = engine.ok(&["exec", "asker", "nslookup", "-type=a", "pool", "127.0.0.11"]);
        let answer = said.split("Name:").nth(1).unwrap();
        answer.lines().find_map(|line| line.strip_prefix("Address: ")).unwrap().to_owned()
    };
    let mut firsts: Vec<String> = (0..4).map(|_| first(&engine)).collect();
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts, both, "each of them is named first at times");
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(lookup(&engine, "asker", "pool"), both);
    engine.ok(&["stop", "-t", "0", "two"]);
    assert_eq!(lookup(&engine, "asker", "pool"), [address(&engine, "one", "front")]);
}

#[test]
fn an_internal_network_leads_nowhere_and_icc_can_be_off() {
    let engine = engine!("an_internal_network_leads_nowhere_and_icc_can_be_off");
    engine.ok(&["network", "create", "--internal", "inner"]);
    start(&engine, "in", &["--network", "inner"]);
    start(&engine, "in2", &["--network", "inner"]);
    start(&engine, "out", &[]);
    assert!(reaches(&engine, "in", "in2"), "among themselves they talk");
    assert!(!reaches(&engine, "in", &address(&engine, "out", "bridge")));
    assert!(!reaches(&engine, "out", &address(&engine, "in", "inner")));
    assert!(!engine.ok(&["exec", "in", "ip", "route"]).contains("default"), "no way out");

    let quiet = [
        "network",
        "create",
        "-o",
        "com.docker.network.bridge.enable_icc=false",
        "-o",
        "com.docker.network.bridge.name=quiet0",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "quiet",
    ];
    engine.ok(&quiet);
    start(&engine, "quiet1", &["--network", "quiet"]);
    start(&engine, "quiet2", &["--network", "quiet"]);
    assert!(!reaches(&engine, "quiet1", &address(&engine, "quiet2", "quiet")));
    assert!(engine.inside(&["ip", "-o", "link", "show", "quiet0"]).contains("mtu 1400"));
    assert_eq!(engine.ok(&["exec", "quiet1", "cat", "/sys/class/net/eth0/mtu"]), "1400\n");
    let gateway = engine.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "quiet"]);
    assert!(reaches(&engine, "quiet1", gateway.trim()), "the host is reached");
    let hosts = engine.ok(&["run", "--rm", "--add-host", "me:host-gateway", "busybox", "cat", "/etc/hosts"]);
    assert!(hosts.contains("172.17.0.1\tme"), "{hosts}");
}

#[test]
fn a_bridge_that_was_there_stays_and_one_that_was_made_goes() {
    let engine = engine!("a_bridge_that_was_there_stays_and_one_that_was_made_goes");
    engine.inside(&["ip", "link", "add", "theirs", "type", "bridge"]);
    for bridge in ["theirs", "ours"] {
        let option = format!("com.docker.network.bridge.name={bridge}");
        engine.ok(&["network", "create", "-o", &option, bridge]);
        engine.ok(&["run", "--rm", "--network", bridge, "busybox", "true"]);
        assert!(engine.inside(&["ip", "-o", "link"]).contains(&format!(" {bridge}: ")), "{bridge}");
        engine.ok(&["network", "rm", bridge]);
    }
    let links = engine.inside(&["ip", "-o", "link"]);
    assert!(links.contains(" theirs: ") && !links.contains(" ours: "), "{links}");
}

#[test]
fn a_network_binds_ports_where_it_says() {
    let engine = engine!("a_network_binds_ports_where_it_says");
    engine.ok(&["network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1", "local"]);
    start(&engine, "web", &["--network", "local", "-p", "8080:80"]);
    assert_eq!(engine.ok(&["port", "web"]), "80/tcp -> 127.0.0.1:8080\n");
    let ranged = [
        "network",
        "create",
        "--subnet",
        "10.45.0.0/24",
        "--ip-range",
        "10.45.0.64/30",
        "--gateway",
        "10.45.0.9",
        "--aux-address",
        "printer=10.45.0.65",
        "ranged",
    ];
    engine.ok(&ranged);
    start(&engine, "ranged1", &["--network", "ranged"]);
    assert_eq!(address(&engine, "ranged1", "ranged"), "10.45.0.64");
    start(&engine, "ranged2", &["--network", "ranged"]);
    assert_eq!(address(&engine, "ranged2", "ranged"), "10.45.0.66", "the printer's is left alone");
    assert!(engine.ok(&["exec", "ranged1", "ip", "route"]).contains("default via 10.45.0.9"));
    // Somebody else's route is not taken.
    engine.inside(&["ip", "link", "add", "there", "type", "bridge"]);
    engine.inside(&["ip", "address", "add", "172.18.5.1/16", "dev", "there"]);
    engine.ok(&["network", "create", "chosen"]);
    let subnet = engine.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "chosen"]);
    assert_ne!(subnet.trim(), "172.18.0.0/16");
}

#[test]
fn a_network_with_ipv6_gives_addresses_names_and_ports_of_both() {
    let mut engine = engine!("a_network_with_ipv6_gives_addresses_names_and_ports_of_both");
    engine.ok(&["network", "create", "--ipv6", "--subnet", "fd00:7::/64", "six"]);
    let shown =
        engine.ok(&["network", "inspect", "-f", "{{.EnableIPv6}} {{(index .IPAM.Config 1).Subnet}}", "six"]);
    assert_eq!(shown, "true fd00:7::/64\n");
    start(&engine, "web", &["--network", "six", "--ip6", "fd00:7::77", "-p", "8080:80"]);
    start(&engine, "client", &["--network", "six"]);
    let end = "{{with index .NetworkSettings.Networks \"six\"}}{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} \
               {{.IPv6Gateway}}{{end}}";
    assert_eq!(engine.ok(&["inspect", "-f", end, "web"]), "fd00:7::77/64 fd00:7::1\n");
    let members =
        engine.ok(&["network", "inspect", "-f", "{{range .Containers}}{{.IPv6Address}} {{end}}", "six"]);
    assert!(members.contains("fd00:7::77/64") && members.contains("fd00:7::2/64"), "{members}");
    assert!(engine.ok(&["exec", "web", "cat", "/etc/hosts"]).contains("fd00:7::77\t"));
    let asked = ["exec", "client", "nslookup", "-type=aaaa", "web", "127.0.0.11"];
    engine.until(&asked, |said| said.contains("fd00:7::77"));
    assert_eq!(engine.docker(&["exec", "client", "ping", "-6", "-c", "1", "-W", "5", "web"]).code, 0);
    engine.ok(&["exec", "-d", "web", "sh", "-c", "mkdir /www; echo page > /www/index.html; httpd -h /www"]);
    let get = |engine: &Engine, place: &str| {
        let url = format!("http://{place}:8080/");
        let script =
            format!("for i in 1 2 3 4 5 6 7 8; do curl -sfgm 2 --noproxy '*' '{url}' && exit; done; exit 1");
        engine.inside(&["sh", "-c", &script])
    };
    engine.inside(&["ip", "address", "add", "fd00:99::1/64", "dev", "lo"]);
    for place in ["127.0.0.1", "[::1]", "[fd00:99::1]", "[fd00:7::1]"] {
        assert_eq!(get(&engine, place), "page\n", "{place}");
    }
    let taken = engine.docker(&["run", "--rm", "--network", "six", "--ip6", "fd00:7::77", "busybox", "true"]);
    assert!(taken.code == 125 && taken.stderr.contains("Address already in use"), "{taken:?}");
    let outside =
        engine.docker(&["run", "--rm", "--network", "six", "--ip6", "fd00:8::7", "busybox", "true"]);
    assert!(outside.stderr.contains("no configured subnet contains IP address fd00:8::7"), "{outside:?}");

    // A container that joins and leaves has a way out by the network that is left.
    engine.ok(&["network", "create", "plain"]);
    engine.ok(&["network", "connect", "plain", "web"]);
    engine.ok(&["network", "disconnect", "six", "web"]);
    assert!(!engine.ok(&["exec", "web", "ip", "-6", "route"]).contains("default"));
    engine.ok(&["network", "connect", "--ip6", "fd00:7::88", "six", "web"]);
    assert!(engine.ok(&["exec", "web", "ip", "-6", "route"]).contains("default via fd00:7::1"));
    assert_eq!(engine.ok(&["inspect", "-f", end, "web"]), "fd00:7::88/64 fd00:7::1\n");
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(engine.docker(&["exec", "client", "ping", "-6", "-c", "1", "-W", "5", "fd00:7::88"]).code, 0);
}
