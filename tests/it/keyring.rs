//! Private keys in a real Secret Service: gnome-keyring on a bus of the test's own, unlocked as a login unlocks it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, expect_success, text};

/// A desktop session: a bus and the keyring on it. Both end with the test, however that ends.
struct Session {
    bus: Child,
    keyring: Child,
    address: String,
}

impl Session {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        // A place of its own choice would outlive it.
        let place = format!("unix:path={}", folder.join("bus").display());
        let mut bus = with_us("dbus-daemon")
            .args(["--session", "--nofork", "--print-address", "--address", &place])
            .env("HOME", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut keyring = with_us("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .envs([("DBUS_SESSION_BUS_ADDRESS", address.as_str())])
            .envs(["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"].map(|name| (name, folder)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        keyring.stdin.take().unwrap().write_all(b"login\n").unwrap();
        let session = Self { bus, keyring, address };
        session.wait();
        session
    }

    /// Until the keyring has its name on the bus.
    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let asked = || {
            let mut send = Command::new("dbus-send");
            send.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/"]);
            send.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
            text(&send.env("DBUS_SESSION_BUS_ADDRESS", &self.address).output().unwrap())
        };
        while !asked().contains("boolean true") {
            assert!(Instant::now() < deadline, "the keyring does not come up: {}", asked());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn inside(&self, mut command: Command) -> Command {
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in [&mut self.keyring, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that the kernel ends when this test's thread does.
fn with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

#[test]
fn the_secret_service_keeps_the_authoritys_key_and_gives_it_back() {
    let world = World::new();
    let host = world.lab.host();
    let session = Session::start(&world.lab.scratch().join("session"));
    let (file, note) =
        (world.store.join("authority/ca-key.pem"), world.store.join("authority/ca-key.pem.keyring"));
    // What was made without a keyring is moved by the first command that needs the key.
    world.create("web", &host);
    assert!(file.exists() && !note.exists(), "no session, no keyring");
    let key = std::fs::read_to_string(&file).unwrap();
    expect_success(&mut session.inside(world.wharf(["regenerate-certs", "web"])));
    assert!(!file.exists() && note.exists(), "the key is in the keyring, and nowhere else");
    for (path, text) in crate::docker::files(&world.store) {
        assert!(!text.contains(key.lines().nth(1).unwrap()), "the key is in {path}");
    }
    let inspected = world.wharf_ok(&["inspect", "web"]);
    assert!(inspected.contains("\"authority\": \"the Secret Service\""), "{inspected}");

    // Another session: everyday commands need no key of the authority's; those that sign say what they miss.
    assert!(world.wharf_ok(&["ls"]).contains("Running"));
    assert!(world.docker_ok("web", &["version"]).contains("Server"));
    let elsewhere = world.wharf(["regenerate-certs", "web"]).output().unwrap();
    let said = text(&elsewhere);
    assert_eq!(elsewhere.status.code(), Some(7), "{said}");
    assert!(
        said.contains("is in the Secret Service, which cannot be asked") && said.contains("hint: "),
        "{said}"
    );

    expect_success(&mut session.inside(world.wharf(["provision", "web"])));
    let mut back = session.inside(world.wharf(["regenerate-certs", "web"]));
    expect_success(back.env("WHARF_KEYRING", "off"));
    assert!(file.exists() && !note.exists(), "the key is a file again");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    world.wharf_ok(&["regenerate-certs", "web"]);
}

#[test]
fn a_keyring_that_went_away_is_told_at_once() {
    let world = World::new();
    let host = world.lab.host();
    let session = Session::start(&world.lab.scratch().join("session"));
    expect_success(&mut session.inside(world.wharf(world.create_arguments("web", &host))));
    let address = session.address.clone();
    drop(session);
    let mut gone = world.wharf(["regenerate-certs", "web"]);
    let gone = gone.env("DBUS_SESSION_BUS_ADDRESS", address).output().unwrap();
    assert_eq!(gone.status.code(), Some(7), "{}", text(&gone));
    assert!(text(&gone).contains("which cannot be asked"), "{}", text(&gone));
}

#[test]
fn a_passphrase_locks_the_authoritys_key() {
    let world = World::new();
    let host = world.lab.host();
    let passphrase = world.lab.scratch().join("passphrase");
    std::fs::File::create(&passphrase).unwrap().write_all(b"correct horse\n").unwrap();
    let file = world.store.join("authority/ca-key.pem");
    let mut create = world.wharf(world.create_arguments("web", &host));
    expect_success(create.env("WHARF_PASSPHRASE_FILE", &passphrase));
    let text_of = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(text_of(&file).contains("BEGIN ENCRYPTED PRIVATE KEY"));
    let without = world.wharf(["provision", "web"]).output().unwrap();
    assert_eq!(without.status.code(), Some(7), "{}", text(&without));
    assert!(text(&without).contains("WHARF_PASSPHRASE_FILE"), "{}", text(&without));
    let mut with = world.wharf(["provision", "web"]);
    expect_success(with.env("WHARF_PASSPHRASE_FILE", &passphrase));
    let opened = Command::new("openssl")
        .args(["pkcs8", "-in"])
        .arg(&file)
        .arg("-passin")
        .arg(format!("file:{}", passphrase.display()))
        .output();
    if let Ok(opened) = opened {
        assert!(text(&opened).contains("BEGIN PRIVATE KEY"), "openssl opens it, too: {}", text(&opened));
    }
}
