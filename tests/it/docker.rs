//! From nothing to a container: `wharf create` on a test host, then the real docker client over mutual TLS.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, expect_success, text};

/// An image of the host's own busybox, imported as `busybox`.
pub(crate) fn import_busybox(world: &World, machine: &str) {
    let root = world.lab.scratch().join("busybox");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    for folder in ["etc", "tmp", "root", "data"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in [
        "sh", "cat", "echo", "sleep", "true", "false", "nc", "ls", "touch", "stty", "id", "env", "tail",
        "grep",
    ] {
        let link = root.join("bin").join(applet);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", link).unwrap();
        }
    }
    let archive = world.lab.scratch().join("busybox.tar");
    expect_success(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."));
    let path = archive.display().to_string();
    world.docker_ok(machine, &["import", "--change", "CMD [\"sh\"]", &path, "busybox"]);
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Types into a program through a pseudo-terminal, and returns what the terminal showed.
fn on_a_terminal(world: &World, machine: &str, arguments: &str, typed: &str) -> String {
    let command = world.docker(machine, ["PLACEHOLDER"]);
    let words: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let line = format!("nsenter {}", words.join(" ")).replace("PLACEHOLDER", arguments);
    let mut script = Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).env_clear();
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let mut child = script.spawn().unwrap();
    // A terminal echoes; the program answers when it is there.
    child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{line}: {}\n{}", output.status, text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_machine_runs_containers_for_the_real_client() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let created = world.create("web1", &host);
    assert!(created.contains("web1"), "{created}");
    assert!(world.docker_ok("web1", &["version"]).contains("Server"));
    import_busybox(&world, "web1");

    assert_eq!(world.docker_ok("web1", &["run", "--rm", "busybox", "echo", "hello"]), "hello\n");
    let failed = world.docker("web1", ["run", "--rm", "busybox", "sh", "-c", "exit 7"]).status().unwrap();
    assert_eq!(failed.code(), Some(7));

    let shown =
        on_a_terminal(&world, "web1", "run --rm -it busybox sh", "stty size; echo me-$((40+2)); exit\n");
    assert!(shown.contains("me-42"), "{shown}");

    published_ports(&world, &host.address);
    volumes_and_binds(&world);
    logs_and_exec(&world);
    survives_the_daemon(&world, &host);

    let listed = world.wharf_ok(&["ls"]);
    assert!(listed.contains("web1") && listed.contains("Running"), "{listed}");
    world.wharf_ok(&["rm", "-y", "web1"]);
    assert!(
        host.run("ls /usr/local/bin /opt 2>/dev/null; systemctl is-active wharfd || true").contains("active")
    );
    let gone = world.wharf(["status", "web1"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(4), "{}", text(&gone));
}

fn published_ports(world: &World, address: &str) {
    let serve = "while true; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom-inside' | nc -l -p 80; done";
    world.docker_ok("web1", &["run", "-d", "--name", "www", "-p", "8080:80", "busybox", "sh", "-c", serve]);
    let mut seen = String::new();
    wait_until("the published port answers", || {
        let url = format!("http://{address}:8080/");
        seen = text(&world.lab.command("curl").args(["-s", "-m", "2", &url]).output().unwrap());
        seen.contains("from-inside")
    });
    let port = world.docker_ok("web1", &["port", "www"]);
    assert!(port.contains("80/tcp -> 0.0.0.0:8080"), "{port}");
    let taken = world.docker("web1", ["run", "--rm", "-p", "8080:80", "busybox", "true"]).output().unwrap();
    assert!(
        !taken.status.success() && text(&taken).contains("port is already allocated"),
        "{}",
        text(&taken)
    );
    world.docker_ok("web1", &["rm", "-f", "www"]);
}

fn volumes_and_binds(world: &World) {
    let write = ["run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo kept > /data/file"];
    world.docker_ok("web1", &write);
    assert_eq!(
        world.docker_ok("web1", &["run", "--rm", "-v", "kept:/data", "busybox", "cat", "/data/file"]),
        "kept\n"
    );
    let bound = ["run", "--rm", "-v", "/etc/hostname:/h:ro", "busybox", "sh", "-c", "cat /h; echo x > /h"];
    let output = world.docker("web1", bound).output().unwrap();
    assert!(text(&output).starts_with("h1\n") && !output.status.success(), "{}", text(&output));
    world.docker_ok("web1", &["volume", "rm", "kept"]);
}

fn logs_and_exec(world: &World) {
    let count = "i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.1; done";
    world.docker_ok(
        "web1",
        &["run", "-d", "--name", "counter", "--memory", "64m", "busybox", "sh", "-c", count],
    );
    wait_until("there are logs", || world.docker_ok("web1", &["logs", "counter"]).contains("line-3"));
    let mut follow = world
        .docker("web1", ["logs", "-f", "--tail", "1", "counter"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(follow.stdout.take().unwrap()));
    let first: u32 = lines.next().unwrap().unwrap().trim_start_matches("line-").parse().unwrap();
    let third: u32 = lines.nth(1).unwrap().unwrap().trim_start_matches("line-").parse().unwrap();
    assert_eq!(third, first + 2, "a followed log neither skips nor repeats");
    follow.kill().unwrap();
    follow.wait().unwrap();

    let shown = on_a_terminal(world, "web1", "exec -it counter sh", "echo in-$((1+1)); exit\n");
    assert!(shown.contains("in-2"), "{shown}");
    let mut piped = world.docker("web1", ["exec", "-i", "counter", "cat"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through\n");
    let failed = world.docker("web1", ["exec", "counter", "sh", "-c", "exit 9"]).status().unwrap();
    assert_eq!(failed.code(), Some(9));
}

fn survives_the_daemon(world: &World, host: &wharf_tests::Host) {
    let before = world.docker_ok("web1", &["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]);
    assert!(before.contains("counter"), "{before}");
    host.run("kill -9 $(systemctl show --property=MainPID --value wharfd)");
    wait_until("the daemon is back", || {
        let listed =
            world.docker("web1", ["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]).output().unwrap();
        listed.status.success() && text(&listed) == before
    });
    world.docker_ok("web1", &["exec", "counter", "true"]);
    let stopped = world.docker_ok("web1", &["stop", "-t", "1", "counter"]);
    assert_eq!(stopped, "counter\n");
    assert!(world.docker_ok("web1", &["ps", "-a"]).contains("Exited (137)"));
    world.docker_ok("web1", &["rm", "counter"]);
    assert!(!world.docker_ok("web1", &["ps", "-a"]).contains("counter"));
}

#[test]
fn a_swapped_host_key_stops_every_command() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web1", &host);
    let old = crate::world::fingerprint(&host.host_key);
    // One session: the next one would be refused, which is the point.
    host.run(
        "rm /etc/ssh/ssh_host_ed25519_key* &&
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
    let new = std::fs::read_to_string(host.upper().join("etc/ssh/ssh_host_ed25519_key.pub")).unwrap();
    let new = crate::world::fingerprint(&new);
    for arguments in [
        &["ssh", "web1", "true"][..],
        &["tunnel", "web1"],
        &["restart", "web1"],
        &["provision", "web1"],
        &["regenerate-certs", "-f", "web1"],
        &["rm", "-y", "--purge", "web1"],
    ] {
        let refused = world.wharf(arguments).output().unwrap();
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(6), "{arguments:?}: {said}");
        assert!(said.contains(&old) && said.contains(&new), "{arguments:?} must name both keys: {said}");
    }
}

#[test]
fn no_secret_leaves_the_files_meant_for_it() {
    let world = World::new();
    let host = world.lab.host();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (seen, log) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_processes(&stop));
        let mut arguments = vec!["--debug".to_owned()];
        arguments.extend(world.create_arguments("web1", &host));
        let log = expect_success(&mut world.wharf(arguments));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (watcher.join().unwrap(), log)
    });
    let mut secrets = private_keys(&world.store);
    let server_key = host.run("cat /etc/wharf/tls/server-key.pem");
    secrets.push(("the server's key".to_owned(), key_bodies(&server_key)));
    assert!(secrets.len() >= 3, "too few keys were found for this test to mean anything: {secrets:?}");
    for (name, bodies) in &secrets {
        for body in bodies {
            assert!(!log.contains(body), "{name} is in the log");
            assert!(!seen.contains(body), "{name} was in an argument or environment");
            for (path, text) in files(&world.store) {
                let holds_keys = key_bodies(&text).contains(body);
                assert!(holds_keys || !text.contains(body), "{name} is in {path}");
            }
        }
    }
    for (path, text) in files(&world.store) {
        if !key_bodies(&text).is_empty() {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{path} is readable by others");
        }
        assert!(!path.ends_with("journal.jsonl") || key_bodies(&text).is_empty(), "{path} holds a key");
    }
}

/// Arguments and environments of every process, again and again.
fn watch_processes(stop: &std::sync::atomic::AtomicBool) -> String {
    let mut seen = std::collections::BTreeSet::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                if let Ok(bytes) = std::fs::read(entry.path().join(file)) {
                    seen.insert(String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
    }
    seen.into_iter().collect()
}

pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
            found.push((entry.path().display().to_string(), text));
        }
    }
    found
}

fn private_keys(folder: &Path) -> Vec<(String, Vec<String>)> {
    let keys = files(folder).into_iter().map(|(path, text)| (path, key_bodies(&text)));
    keys.filter(|(_, bodies)| !bodies.is_empty()).collect()
}

/// The lines between the marks of private keys: what would be found wherever such a key was copied to. The first
/// line of every key of one kind is alike, so it says nothing.
fn key_bodies(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut bodies = Vec::new();
    for line in text.lines() {
        if line.starts_with("-----BEGIN") {
            inside = line.contains("PRIVATE KEY");
        } else if line.starts_with("-----END") {
            inside = false;
        } else if inside && line.len() > 20 && !line.starts_with("b3BlbnNzaC1rZXk") {
            bodies.push(line.to_owned());
        }
    }
    bodies
}
