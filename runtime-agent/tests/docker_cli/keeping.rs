//! What is kept of a container: as an image, as a log; and what is changed while it runs.

#[test]
fn a_container_becomes_an_image() {
    let engine = engine!("a_container_becomes_an_image");
    let script = "echo kept > /data/kept; rm /data/seed; rm -r /home; mkdir /home; ln /data/kept /data/twin; chown 33:33 /data/kept";
    engine.ok(&["run", "--name", "one", "-e", "A=1", "-l", "tier=db", "busybox", "sh", "-c", script]);
    let id = engine.ok(&[
        "commit",
        "-a",
        "ann",
        "-m",
        "why",
        "-c",
        "CMD [\"cat\",\"/data/twin\"]",
        "-c",
        "ENV B=2",
        "one",
        "kept:v1",
    ]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.Id}}", "kept:v1"]), id);
    assert_eq!(engine.ok(&["run", "--rm", "kept:v1"]), "kept\n");
    let seen = engine.ok(&[
        "run",
        "--rm",
        "kept:v1",
        "sh",
        "-c",
        "ls /data; ls -d /home/*; echo $A$B; stat -c %u /data/twin",
    ]);
    assert_eq!(seen, "kept\ntwin\n12\n33\n", "removals and owners are kept, too");
    assert_eq!(
        engine.ok(&["inspect", "-f", "{{.Author}} {{.Comment}} {{.Config.Labels.tier}}", "kept:v1"]),
        "ann why db\n"
    );
    assert!(engine.ok(&["history", "kept:v1"]).contains("why"));
    let twice =
        engine.ok(&["run", "-d", "--name", "two", "kept:v1", "sh", "-c", "echo x > /more; sleep 600"]);
    engine.until(&["exec", "two", "ls", "/more"], |seen| seen == "/more\n");
    engine.ok(&["commit", "two", "more"]);
    assert_eq!(
        engine.ok(&["inspect", "-f", "{{.State.Status}}", twice.trim()]),
        "running\n",
        "paused only meanwhile"
    );
    assert_eq!(engine.ok(&["run", "--rm", "more", "cat", "/more", "/data/kept"]), "x\nkept\n");
    engine.ok(&["commit", "-c", "HEALTHCHECK --interval=7s --retries=2 CMD true", "one", "checked"]);
    let check = engine.ok(&[
        "inspect",
        "-f",
        "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Retries}}",
        "checked",
    ]);
    assert_eq!(check, "7s 2\n");
    engine.ok(&["rmi", "checked"]);
    let mixed = engine.docker(&["commit", "-c", "RUN x", "one"]);
    assert!(mixed.stderr.contains("RUN is not a valid change command"), "{mixed:?}");
    let archive = engine.folder().join("kept.tar").display().to_string();
    engine.ok(&["save", "-o", &archive, "kept:v1"]);
    engine.ok(&["rm", "-f", "one", "two"]);
    engine.ok(&["rmi", "-f", "kept:v1", "more"]);
    engine.ok(&["load", "-i", &archive]);
    assert_eq!(engine.ok(&["run", "--rm", "kept:v1"]), "kept\n");
}

#[test]
fn limits_of_a_running_container_are_changed() {
    let engine = engine!("limits_of_a_running_container_are_changed");
    engine.ok(&["run", "-d", "--name", "one", "-m", "64m", "--cpus", "1", "busybox", "sleep", "600"]);
    let find = |file: &str| {
        let id = engine.ok(&["inspect", "-f", "{{.Id}}", "one"]);
        let script = format!("cat $(find /sys/fs/cgroup -path '*{}/{file}')", id.trim());
        engine.inside(&["sh", "-c", &script])
    };
    let (memory, pids) = if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        ("memory.max", "pids.max")
    } else {
        ("memory.limit_in_bytes", "pids.max")
    };
    assert_eq!(find(memory).trim(), (64 << 20).to_string());
    engine.ok(&[
        "update",
        "-m",
        "96m",
        "--memory-swap",
        "200m",
        "--pids-limit",
        "77",
        "--restart",
        "always",
        "one",
    ]);
    assert_eq!(find(memory).trim(), (96 << 20).to_string());
    assert_eq!(find(pids).trim(), "77");
    let shown =
        engine.ok(&["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}", "one"]);
    assert_eq!(shown, format!("{} always\n", 96 << 20));
    engine.ok(&["update", "--cpus", "0.5", "one"]);
    let wrong = engine.docker(&["update", "-m", "1k", "one"]);
    assert!(wrong.stderr.contains("Minimum memory limit allowed is 6MB"), "{wrong:?}");
    assert_eq!(find(memory).trim(), (96 << 20).to_string(), "nothing of it was done");
}

#[test]
fn logs_are_bounded_as_their_driver_says() {
    let engine = engine!("logs_are_bounded_as_their_driver_says");
    let script = "n=0; while [ $n -lt 400 ]; do n=$((n+1)); echo line $n; done";
    let rotated = ["--log-opt", "max-size=5k", "--log-opt", "max-file=3"];
    for driver in ["json-file", "local"] {
        let head = ["run", "--name", driver, "--log-driver", driver];
        engine.ok(&[&head[..], &rotated[..], &["busybox", "sh", "-c", script][..]].concat());
        let kept = engine.ok(&["logs", driver]);
        let numbers: Vec<usize> = kept.lines().map(|line| line["line ".len()..].parse().unwrap()).collect();
        assert!(
            numbers.len() > 100 && numbers.len() < 400 && numbers.last() == Some(&400),
            "{}",
            numbers.len()
        );
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gap: {numbers:?}");
        assert_eq!(engine.ok(&["logs", "--tail", "2", driver]), "line 399\nline 400\n");
    }
    let path = |name: &str| engine.ok(&["inspect", "-f", "{{.LogPath}}", name]);
    assert!(path("json-file").ends_with("-json.log\n") && path("local") == "\n");
    engine.ok(&["run", "--name", "none", "--log-driver", "none", "busybox", "echo", "x"]);
    let refused = engine.docker(&["logs", "none"]);
    assert!(refused.stderr.contains("configured logging driver does not support reading"), "{refused:?}");
    let unknown = engine.docker(&["create", "--log-driver", "syslog", "busybox"]);
    assert!(unknown.stderr.contains("no log driver named 'syslog' is registered"), "{unknown:?}");
    let option = engine.docker(&["create", "--log-driver", "local", "--log-opt", "tag=x", "busybox"]);
    assert!(option.stderr.contains("unknown log opt 'tag' for local log driver"), "{option:?}");
}

/// A browser's way in: what Portainer and others use.
const WEBSOCKET: &str = r#"
import socket, sys, os, base64, struct
s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1])
key = base64.b64encode(os.urandom(16)).decode()
s.sendall(f"GET {sys.argv[2]} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
head = b""
while b"\r\n\r\n" not in head: head += s.recv(1)
print(head.split(b"\r\n")[0].decode(), flush=True)
text = b"question\n"
s.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
data = b""
while True:
    piece = s.recv(4096)
    if not piece: break
    data += piece
out = b""
while len(data) >= 2:
    length = data[1] & 127; at = 2
    if length == 126: length = struct.unpack(">H", data[2:4])[0]; at = 4
    if data[0] & 15 in (1, 2): out += data[at:at+length]
    data = data[at+length:]
sys.stdout.write(out.decode())
"#;

#[test]
fn several_clients_attach_at_once_also_over_a_websocket() {
    let engine = engine!("several_clients_attach_at_once_also_over_a_websocket");
    let script = "read line; echo got $line; echo err >&2; exit 3";
    engine.ok(&["create", "-i", "--name", "one", "busybox", "sh", "-c", script]);
    engine.ok(&["start", "one"]);
    let watching: Vec<_> = (0..2).map(|_| engine.spawn(&["attach", "--no-stdin", "one"])).collect();
    let events =
        ["events", "--since", "1h", "--until", "0s", "--filter", "event=attach", "-f", "container=one"];
    engine.until(&events, |seen| seen.lines().count() >= 2);
    let socket = engine.folder().join("sock").display().to_string();
    let path = "/v1.41/containers/one/attach/ws?stream=1&stdin=1&stdout=1&stderr=1";
    let answer = engine.inside(&["python3", "-c", WEBSOCKET, &socket, path]);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("got question\n") && answer.ends_with("err\n"), "{answer}");
    for client in watching {
        let said = client.finish();
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (3, "got question\n", "err\n"));
    }
    let plain = engine.api("GET", "/containers/one/attach/ws?stream=1");
    assert!(plain.contains("\"message\""), "{plain}");
}
