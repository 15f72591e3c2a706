//! One fleet, two folders, one shared store, and a process of the whole program each.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use wharf_ssh::KeyPair;

use crate::emulator::Emulator;

/// Long enough for a computer that is busy with other tests: a write must end within a third of it.
const LOCK_TIME: Duration = Duration::from_secs(15);

/// Somebody with a folder of their own.
struct Person<'a> {
    emulator: &'a Emulator,
    name: &'static str,
    home: PathBuf,
}

impl Person<'_> {
    fn command(&self, patience: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.args(args).current_dir(&self.home).env_clear().envs(&self.emulator.environment);
        command.env("HOME", &self.home).env("USER", self.name).env("PATH", "/usr/bin:/bin");
        command.env("WHARF_STORE", self.emulator.store("fleet")).env("WHARF_AGENT", "/bin/true");
        command.env("WHARF_PASSPHRASE_FILE", self.home.join("passphrase"));
        command.env("WHARF_LOCK_TIME", format!("{}s", LOCK_TIME.as_secs())).env("WHARF_LOCK_WAIT", patience);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, patience: &str, args: &[&str]) -> Output {
        self.command(patience, args).output().unwrap()
    }
}

/// A program that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::File::create(folder.join(file)).unwrap().write_all(text.as_bytes()).unwrap();
}

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Whether somebody connects, soon enough.
fn is_visited(host: &TcpListener) -> Option<std::net::TcpStream> {
    host.set_nonblocking(true).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        match host.accept() {
            Ok((stream, _)) => return Some(stream),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    None
}

#[test]
fn one_applies_and_the_other_is_told_waits_and_goes_on_when_the_first_is_killed() {
    for emulator in Emulator::all("one_applies_and_the_other_is_told") {
        let home = tempfile::tempdir().unwrap();
        let person = |name: &'static str| Person { emulator: &emulator, name, home: home.path().join(name) };
        let (ann, bob) = (person("ann"), person("bob"));
        // A host that takes connections and never says a word: whoever signs in there is at work for a while.
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = host.local_addr().unwrap().port();
        for someone in [&ann, &bob] {
            write(&someone.home, "passphrase", "correct horse\n");
            write(&someone.home, "key", KeyPair::generate("ann").unwrap().private());
            let fleet = format!(
                "fleet: shop\nmachines:\n  rack:\n    driver: ssh\n    options: {{ ssh-address: 127.0.0.1, \
                 ssh-port: {port}, ssh-key: key, ssh-host-key: \"SHA256:{}\" }}\n  outside-{{1..3}}:\n    \
                 driver: none\n    options: {{ url: tcp://192.0.2.1:2376 }}\n",
                "A".repeat(43)
            );
            write(&someone.home, "fleet.yaml", &fleet);
        }
        let made = ann.run("1s", &["store", "init", &emulator.store("fleet")]);
        assert!(made.status.success(), "{}", text(&made));

        let holder = ann.command("1s", &["apply", "--yes", "-f", "fleet.yaml", "--target", "rack"]);
        let mut holder = Running({ holder }.spawn().unwrap());
        let visit = is_visited(&host).expect("the first apply is at work");
        let others = ["apply", "--yes", "-f", "fleet.yaml", "--target", "outside-{1..3}"];
        let refused = bob.run("1s", &others);
        assert_eq!(refused.status.code(), Some(9), "{}", text(&refused));
        assert!(
            text(&refused).contains("fleet `shop` is held by `wharf apply` of ann@"),
            "{}",
            text(&refused)
        );
        let listed = bob.run("1s", &["ls"]);
        assert!(text(&listed).contains("rack"), "who only looks is not held up: {}", text(&listed));

        holder.0.kill().unwrap();
        holder.0.wait().unwrap();
        drop((visit, host));
        let done = bob.run("60s", &others);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(text(&done).contains("waiting for `wharf apply` of ann@"), "{}", text(&done));
        assert!(text(&done).contains("outside-3: made"), "{}", text(&done));

        // What the first one had begun is there for everybody, and is removed by anybody.
        let removed = bob.run("60s", &["rm", "--force", "rack"]);
        assert_eq!(removed.status.code(), Some(0), "{}", text(&removed));
        let left = ann.run("1s", &["ls", "-q"]);
        assert_eq!(
            String::from_utf8_lossy(&left.stdout),
            "outside-1\noutside-2\noutside-3\n",
            "{}",
            text(&left)
        );
    }
}

#[test]
fn two_that_begin_at_once_make_every_machine_once() {
    for emulator in Emulator::all("two_that_begin_at_once") {
        let home = tempfile::tempdir().unwrap();
        let person = |name: &'static str| Person { emulator: &emulator, name, home: home.path().join(name) };
        let (ann, bob) = (person("ann"), person("bob"));
        for someone in [&ann, &bob] {
            write(&someone.home, "passphrase", "correct horse\n");
            let fleet = "fleet: shop\nmachines:\n  web-{1..6}:\n    driver: none\n    options: { url: tcp://192.0.2.1:2376 }\n";
            write(&someone.home, "fleet.yaml", fleet);
        }
        let made = ann.run("1s", &["store", "init", &emulator.store("fleet")]);
        assert!(made.status.success(), "{}", text(&made));
        let apply = ["apply", "--yes", "-f", "fleet.yaml"];
        let first = ann.command("60s", &apply).spawn().unwrap();
        let second = bob.command("60s", &apply).spawn().unwrap();
        let ends = [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()];
        let made: usize = ends.iter().map(|end| text(end).matches(": made in").count()).sum();
        assert_eq!(made, 6, "{}\n{}", text(&ends[0]), text(&ends[1]));
        for end in &ends {
            assert_eq!(end.status.code(), Some(0), "{}", text(end));
        }
    }
}
