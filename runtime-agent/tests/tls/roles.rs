//! Every route with every role, and what an operator may not do with those that are its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{Leaf, World};

/// Method, path, and who may ask beside the admin: `r` readers and operators, `o` operators, `-` nobody.
const ROUTES: &[(&str, &str, char)] = &[
    ("GET", "/_ping", 'r'),
    ("HEAD", "/_ping", 'r'),
    ("GET", "/version", 'r'),
    ("GET", "/info", 'r'),
    ("GET", "/events?until=1", 'r'),
    ("GET", "/system/df", 'r'),
    ("GET", "/containers/json", 'r'),
    ("GET", "/containers/none/json", 'r'),
    ("GET", "/containers/none/top", 'r'),
    ("GET", "/containers/none/stats", 'r'),
    ("GET", "/containers/none/changes", 'r'),
    ("GET", "/containers/none/logs?stdout=1", 'o'),
    ("GET", "/containers/none/export", 'o'),
    ("GET", "/containers/none/attach/ws", 'o'),
    ("GET", "/containers/none/archive?path=/", 'o'),
    ("HEAD", "/containers/none/archive?path=/", 'o'),
    ("PUT", "/containers/none/archive?path=/", 'o'),
    ("POST", "/containers/create", 'o'),
    ("POST", "/containers/none/start", 'o'),
    ("POST", "/containers/none/stop", 'o'),
    ("POST", "/containers/none/restart", 'o'),
    ("POST", "/containers/none/kill", 'o'),
    ("POST", "/containers/none/pause", 'o'),
    ("POST", "/containers/none/unpause", 'o'),
    ("POST", "/containers/none/wait", 'o'),
    ("POST", "/containers/none/rename?name=x", 'o'),
    ("POST", "/containers/none/resize?h=1&w=1", 'o'),
    ("POST", "/containers/none/update", 'o'),
    ("POST", "/containers/none/attach?stdout=1", 'o'),
    ("POST", "/containers/none/exec", 'o'),
    ("POST", "/containers/prune", 'o'),
    ("DELETE", "/containers/none", 'o'),
    ("DELETE", "/containers/none/alias?link=1", 'o'),
    ("GET", "/exec/none/json", 'r'),
    ("POST", "/exec/none/start", 'o'),
    ("POST", "/exec/none/resize?h=1&w=1", 'o'),
    ("GET", "/images/json", 'r'),
    ("GET", "/images/none/json", 'r'),
    ("GET", "/images/a/b/none/history", 'r'),
    ("GET", "/images/search?term=x", 'r'),
    ("GET", "/images/none/get", 'o'),
    ("GET", "/images/get?names=none", 'o'),
    ("POST", "/images/create?fromSrc=-&changes=RUN+x", 'o'),
    ("POST", "/images/create?fromSrc=http://127.0.0.1:1/x", 'a'),
    ("POST", "/images/load", 'o'),
    ("POST", "/images/prune", 'o'),
    ("POST", "/images/none/tag?repo=x", 'o'),
    ("POST", "/images/127.0.0.1:1/none/push", 'o'),
    ("DELETE", "/images/none", 'o'),
    ("POST", "/commit?container=none", 'o'),
    ("POST", "/build", 'o'),
    ("POST", "/build/prune", 'o'),
    ("POST", "/build/cancel?id=none", 'o'),
    ("GET", "/distribution/127.0.0.1:1/none/json", 'o'),
    ("POST", "/auth", 'o'),
    ("GET", "/networks", 'r'),
    ("GET", "/networks/none-such", 'r'),
    ("POST", "/networks/create", 'o'),
    ("POST", "/networks/prune", 'o'),
    ("POST", "/networks/none-such/connect", 'o'),
    ("POST", "/networks/none-such/disconnect", 'o'),
    ("DELETE", "/networks/none-such", 'o'),
    ("GET", "/volumes", 'r'),
    ("GET", "/volumes/none", 'r'),
    ("POST", "/volumes/create", 'o'),
    ("POST", "/volumes/prune", 'o'),
    ("DELETE", "/volumes/none", 'o'),
    ("GET", "/plugins", 'r'),
    ("POST", "/plugins/pull?remote=x", '-'),
    ("POST", "/session", '-'),
    ("POST", "/grpc", '-'),
    ("POST", "/swarm/init", '-'),
    ("GET", "/services", '-'),
    ("GET", "/secrets", '-'),
    ("PUT", "/volumes/none", '-'),
    ("GET", "/debug/pprof/", '-'),
    ("GET", "/a-route-of-tomorrow", '-'),
    ("GET", "/containers/none/json/", '-'),
    ("GET", "//containers/json", '-'),
];

/// A person with curl.
struct Person {
    folder: std::path::PathBuf,
    port: u16,
}

impl Person {
    fn new(world: &World, name: &str, leaf: &Leaf) -> Self {
        let folder = world.tls.join(name);
        std::fs::create_dir(&folder).unwrap();
        for (file, text) in [("ca", &world.authority.pem), ("cert", &leaf.pem), ("key", &leaf.key)] {
            write(&folder.join(file), text);
        }
        Self { folder, port: world.port }
    }

    fn with_role(world: &World, role: &str) -> Self {
        Self::new(world, role, &world.authority.client(&[&format!("wharf:role:{role}")]))
    }

    /// The status and the body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "--path-as-is",
            "--max-time",
            "30",
            "--noproxy",
            "*",
            "-w",
            "\n%{http_code}",
            "-X",
            method,
        ]);
        for (flag, file) in [("--cacert", "ca"), ("--cert", "cert"), ("--key", "key")] {
            curl.arg(flag).arg(self.folder.join(file));
        }
        if method == "HEAD" {
            curl.arg("--head");
        } else if method != "GET" {
            curl.args(["-H", "Content-Type: application/json", "--data-binary", "@-"]);
        }
        let mut child = curl.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // A GET reads nothing.
        let _ = child.stdin.take().unwrap().write_all(body.as_bytes());
        let output = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
        let (body, status) = output.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn status(&self, method: &str, path: &str, body: &str) -> u16 {
        self.ask(method, path, body).0
    }
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_every_role() {
    let world = World::new(true).await;
    let [admin, operator, reader] =
        ["admin", "operator", "reader"].map(|role| Person::with_role(&world, role));
    let mut wrong = Vec::new();
    // With the version in the path and without it, by turns.
    for ((method, path, who), version) in ROUTES.iter().zip(["", "/v1.41"].iter().cycle()) {
        for (role, person, expected) in [
            ("admin", &admin, true),
            ("operator", &operator, matches!(who, 'o' | 'r')),
            ("reader", &reader, *who == 'r'),
        ] {
            let (status, body) = person.ask(method, &format!("{version}{path}"), "{}");
            let denied = status == 403 && (*method == "HEAD" || body.contains("may not"));
            if denied == expected || status == 0 {
                wrong.push(format!("{role} {method} {version}{path}: {status} {body}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.agent.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reaches_no_host_and_a_reader_no_secret() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: making containers needs root");
    }
    let world = World::new(true).await;
    let [admin, operator, reader] =
        ["admin", "operator", "reader"].map(|role| Person::with_role(&world, role));
    let archive = world.tls.join("root.tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).args(["--files-from", "/dev/null"]).status();
    assert!(packed.unwrap().success());
    let archive = std::fs::read_to_string(&archive).unwrap();
    let imported = "/images/create?fromSrc=-&repo=box&changes=ENV+BUILT=secret-of-the-image";
    assert_eq!(operator.status("POST", imported, &archive), 200);
    let create = |person: &Person, name: &str, host: &str| {
        let body = format!(
            r#"{{"Image":"box","Cmd":["/x"],"Env":["A=secret-of-ann"],"HostConfig":{{"NetworkMode":"none",{host}}}}}"#
        );
        person.status("POST", &format!("/containers/create?name={name}"), &body)
    };
    assert_eq!(create(&operator, "tame", r#""Memory":0"#), 201);
    for host in [
        r#""Privileged":true"#,
        r#""Binds":["/:/host"]"#,
        r#""PidMode":"host""#,
        r#""CapAdd":["SYS_ADMIN"]"#,
        r#""SecurityOpt":["seccomp=unconfined"]"#,
        r#""Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/null"}]"#,
        r#""VolumesFrom":["wild"]"#,
        r#""PidMode":"container:wild""#,
    ] {
        assert_eq!(create(&operator, "refused", host), 403, "{host}");
    }
    assert_eq!(create(&admin, "wild", r#""Privileged":true,"Binds":["/tmp:/host"]"#), 201);
    assert_eq!(create(&operator, "refused", r#""VolumesFrom":["wild"]"#), 403);
    for (method, path, body) in [
        ("POST", "/containers/wild/exec", r#"{"Cmd":["id"]}"#),
        ("POST", "/containers/wild/update", r#"{"Memory":0}"#),
        ("POST", "/containers/wild/attach?stdin=1", ""),
        ("POST", "/containers/wild/rename?name=tame2", ""),
        ("PUT", "/containers/wild/archive?path=/", ""),
        ("GET", "/containers/wild/archive?path=/host", ""),
        ("GET", "/containers/%77ild/export", ""),
        ("POST", "/containers/tame/exec", r#"{"Cmd":["id"],"Privileged":true}"#),
        ("POST", "/containers/tame/update", r#"{"Devices":[{"PathOnHost":"/dev/sda"}]}"#),
        ("POST", "/volumes/create", r#"{"Name":"v","DriverOpts":{"type":"none","o":"bind","device":"/"}}"#),
        ("POST", "/build?remote=http://127.0.0.1:1/Dockerfile", ""),
        ("POST", "/build?networkmode=host", ""),
        ("POST", "/networks/create", r#"{"Name":"n","Options":{"com.docker.network.bridge.name":"eth0"}}"#),
    ] {
        assert_eq!(operator.status(method, path, body), 403, "{method} {path}");
    }
    assert_ne!(operator.status("POST", "/containers/tame/update", r#"{"RestartPolicy":{"Name":"no"}}"#), 403);
    assert_ne!(operator.status("POST", "/containers/tame/exec", r#"{"Cmd":["id"]}"#), 403);

    for path in ["/containers/tame/json", "/images/box/json"] {
        assert!(operator.ask("GET", path, "").1.contains("secret-of-"), "{path}");
        let (status, seen) = reader.ask("GET", path, "");
        assert!(status == 200 && !seen.contains("secret-of-"), "{path}: {seen}");
        assert!(seen.contains("A=") || seen.contains("BUILT="), "names are shown: {seen}");
    }
    for name in ["tame", "wild"] {
        assert_eq!(operator.status("DELETE", &format!("/containers/{name}?force=1"), ""), 204);
    }
    assert_eq!(operator.status("DELETE", "/images/box", ""), 200);
    world.agent.drain().await;
}
