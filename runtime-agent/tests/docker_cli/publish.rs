//! Published ports, as people reach them: by every address of the host, from other containers, and not from elsewhere.

use std::process::{Command, Stdio};

use crate::engine::Engine;

const SERVE: &str = "mkdir /www; echo page > /www/index.html; httpd -f -p 80 -h /www";

/// Answers every datagram to port 53.
const ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 53))
while True:
    data, peer = s.recvfrom(1000)
    s.sendto(b'heard ' + data, peer)
";

/// Asks the address that is its argument, again and again: datagrams may be lost.
const ASK: &str = "
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(50):
    try:
        s.sendto(b'word', (sys.argv[1], 5353))
        print(s.recv(1000).decode())
        break
    except OSError:
        pass
";

/// Listens on a port of the IPv6 loopback, until its standard input ends.
const LISTEN: &str = "
import socket, sys
s = socket.socket(socket.AF_INET6)
s.bind(('::1', 9090))
s.listen()
print('ready', flush=True)
sys.stdin.read()
";

/// A web server, published as the arguments say.
fn serve(engine: &Engine, name: &str, publish: &[&str]) {
    let mut run = vec!["run", "-d", "--name", name];
    run.extend(publish.iter().flat_map(|port| ["-p", port]));
    run.extend(["busybox", "sh", "-c", SERVE]);
    engine.ok(&run);
    engine.until(&["exec", name, "wget", "-qO-", "http://127.0.0.1/"], |page| page == "page\n");
}

/// What somebody on the host gets from there.
fn get(engine: &Engine, place: &str) -> Option<String> {
    let url = format!("http://{place}/");
    let mut command = engine.entering();
    let output = command.args(["curl", "-sfgm", "5", "--noproxy", "*", &url]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn page() -> Option<String> {
    Some("page\n".to_owned())
}

#[test]
fn a_port_is_open_on_both_families_and_shown_so() {
    let mut engine = engine!("a_port_is_open_on_both_families_and_shown_so");
    serve(&engine, "web", &["8080:80"]);
    for place in ["127.0.0.1:8080", "[::1]:8080", "172.17.0.1:8080"] {
        assert_eq!(get(&engine, place), page(), "{place}");
    }
    assert_eq!(engine.ok(&["port", "web"]), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
    let shown = engine.ok(&["ps", "--format", "{{.Ports}}"]);
    assert!(shown.contains("0.0.0.0:8080->80/tcp") && shown.contains(":8080->80/tcp, "), "{shown}");
    let ports = engine.ok(&["inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"]);
    let expected = r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]}"#;
    assert_eq!(ports.trim(), expected);

    // A new daemon serves it again; a stopped container lets go of it.
    engine.kill_daemon();
    assert_eq!(get(&engine, "127.0.0.1:8080"), page(), "without a daemon, too");
    engine.start_daemon();
    assert_eq!(get(&engine, "[::1]:8080"), page());
    engine.ok(&["stop", "-t", "0", "web"]);
    for place in ["127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(get(&engine, place), None, "{place}");
    }
    assert_eq!(engine.ok(&["port", "web"]), "");
}

#[test]
fn an_address_limits_who_gets_in() {
    let engine = engine!("an_address_limits_who_gets_in");
    serve(&engine, "web", &["127.0.0.1:8081:80", "[::1]:8082:80", "8083-8085:80", "80"]);
    assert_eq!(get(&engine, "127.0.0.1:8081"), page());
    assert_eq!(get(&engine, "[::1]:8082"), page());
    for closed in ["172.17.0.1:8081", "[::1]:8081", "127.0.0.1:8082"] {
        assert_eq!(get(&engine, closed), None, "{closed}");
    }
    // The first of a range that is free, and one that the kernel chose; the same on both families.
    let port = |line: &str| line.rsplit(':').next().unwrap().to_owned();
    let ports = engine.ok(&["port", "web", "80/tcp"]);
    let everywhere: Vec<String> = ports.lines().filter(|line| line.contains("0.0.0.0")).map(port).collect();
    let on_ipv6: Vec<String> = ports.lines().filter(|line| line.contains("[::]")).map(port).collect();
    assert!(everywhere.len() == 2 && everywhere == on_ipv6, "{ports}");
    assert!(everywhere.contains(&"8083".to_owned()), "{ports}");
    for port in &everywhere {
        assert_eq!(get(&engine, &format!("127.0.0.1:{port}")), page());
        assert_eq!(get(&engine, &format!("[::1]:{port}")), page());
    }
    // Another container, by the host's address: in and out by the same bridge.
    let from_inside = |place: &str| {
        let url = format!("http://{place}/");
        engine.docker(&["run", "--rm", "busybox", "timeout", "5", "wget", "-qO-", &url])
    };
    assert_eq!(from_inside("172.17.0.1:8083").stdout, "page\n");
    assert_ne!(from_inside("172.17.0.1:8081").code, 0, "published on the host's loopback alone");
    let itself = engine.ok(&["exec", "web", "timeout", "5", "wget", "-qO-", "http://172.17.0.1:8083/"]);
    assert_eq!(itself, "page\n", "a container reaches itself by its published port");
}

#[test]
fn datagrams_come_and_go_on_both_families() {
    let engine = engine!("datagrams_come_and_go_on_both_families");
    engine.ok(&["run", "-d", "--name", "names", "-p", "5353:53/udp", "busybox", "sleep", "600"]);
    assert_eq!(engine.ok(&["port", "names"]), "53/udp -> 0.0.0.0:5353\n53/udp -> [::]:5353\n");
    let pid = engine.ok(&["inspect", "-f", "{{.State.Pid}}", "names"]);
    let mut server = Command::new("nsenter")
        .args(["-t", pid.trim(), "-n", "/usr/bin/python3", "-c", ECHO])
        .spawn()
        .unwrap();
    let heard = ["127.0.0.1", "::1"].map(|at| engine.inside(&["/usr/bin/python3", "-c", ASK, at]));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(heard, ["heard word\n", "heard word\n"]);
}

#[test]
fn a_taken_port_fails_at_start_in_dockers_words() {
    let engine = engine!("a_taken_port_fails_at_start_in_dockers_words");
    serve(&engine, "web", &["8080:80"]);
    let taken = engine.docker(&["run", "--name", "second", "-p", "8080:80", "busybox", "true"]);
    assert_eq!(taken.code, 125, "{taken:?}");
    let words = "driver failed programming external connectivity on endpoint second";
    assert!(taken.stderr.contains(words), "{taken:?}");
    assert!(taken.stderr.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{taken:?}");
    assert_eq!(engine.ok(&["inspect", "-f", "{{.State.Status}}", "second"]), "created\n");
    // Somebody of the host's, on the other family only.
    let mut listener = engine
        .entering()
        .args(["/usr/bin/python3", "-c", LISTEN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(listener.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let foreign = engine.docker(&["run", "--rm", "-p", "9090:80", "busybox", "true"]);
    listener.kill().unwrap();
    listener.wait().unwrap();
    assert!(foreign.code == 125 && foreign.stderr.contains("address already in use"), "{foreign:?}");
    assert_eq!(
        engine.docker(&["run", "--rm", "-p", "9090:80", "busybox", "true"]).code,
        0,
        "it is free again"
    );
}

/// CVE-2020-8558: a neighbour that sends packets for 127.0.0.1 must not reach what listens on the host's loopback.
#[test]
fn the_loopback_is_nobody_elses() {
    let engine = engine!("the_loopback_is_nobody_elses");
    serve(&engine, "web", &["127.0.0.1:8081:80"]);
    // A machine next door, on a link of the host's.
    let neighbour = Neighbour::beside(&engine);
    assert_eq!(neighbour.get("192.168.77.1:8081"), None);
    neighbour.send_loopback_out();
    assert_eq!(neighbour.get("127.0.0.1:8081"), None);
    serve(&engine, "open", &["8082:80"]);
    assert_eq!(neighbour.get("192.168.77.1:8082"), page(), "what is published everywhere is reached");
}

/// A network namespace beside the engine's, with a link between them.
struct Neighbour {
    holder: std::process::Child,
}

impl Neighbour {
    fn beside(engine: &Engine) -> Self {
        let holder = Command::new("unshare").args(["-n", "sleep", "300"]).spawn().unwrap();
        let this = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", this.holder.id());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while std::fs::read_link(&theirs).is_ok_and(|theirs| theirs == own) {
            assert!(std::time::Instant::now() < end, "no namespace");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let pid = this.holder.id().to_string();
        engine.inside(&["ip", "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", &pid]);
        engine.inside(&["ip", "address", "add", "192.168.77.1/24", "dev", "lan"]);
        engine.inside(&["ip", "link", "set", "lan", "up"]);
        this.run("ip address add 192.168.77.2/24 dev lan && ip link set lan up && ip link set lo up");
        this
    }

    /// As an attacker would: packets for 127.0.0.1 leave by the link.
    fn send_loopback_out(&self) {
        self.run(
            "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet && ip address del 127.0.0.1/8 dev lo && \
             ip rule add pref 1 lookup 100 && ip rule del pref 0 && ip rule add pref 2 lookup local && \
             ip route add 127.0.0.1 via 192.168.77.1 dev lan src 192.168.77.2 table 100",
        );
    }

    fn get(&self, place: &str) -> Option<String> {
        let script = format!("curl -sfm 3 --noproxy '*' http://{place}/");
        let output = self.command(&script).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn run(&self, script: &str) {
        let output = self.command(script).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n", "sh", "-c", script]);
        command
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
