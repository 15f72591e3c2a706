//! Two people and a job in one shared store, as processes of the whole program: each opens what is theirs, and who is
//! removed opens nothing, also when the removal is killed half-way.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use wharf_ssh::KeyPair;

use crate::emulator::Emulator;

/// Somebody with a folder of their own.
struct Person<'a> {
    emulator: &'a Emulator,
    name: &'static str,
    store: String,
    home: PathBuf,
    public: String,
}

impl<'a> Person<'a> {
    fn new(emulator: &'a Emulator, name: &'static str, home: &std::path::Path, ssh: bool) -> Self {
        let home = home.join(name);
        std::fs::create_dir_all(&home).unwrap();
        let (secret, public) = if ssh {
            let pair = KeyPair::generate(name).unwrap();
            (pair.encrypted("right").unwrap(), pair.public().to_owned())
        } else {
            let key = age::x25519::Identity::generate();
            (key.to_string().expose_secret().to_owned(), key.to_public().to_string())
        };
        for (file, text) in [("identity", secret), ("passphrase", "right\n".to_owned())] {
            std::fs::File::create(home.join(file)).unwrap().write_all(text.as_bytes()).unwrap();
        }
        Self { emulator, name, store: emulator.store("recipients"), home, public }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.args(args).current_dir(&self.home).env_clear().envs(&self.emulator.environment);
        command.env("HOME", &self.home).env("USER", self.name).env("PATH", "/usr/bin:/bin");
        command.env("WHARF_STORE", &self.store).env("WHARF_IDENTITY", "identity");
        command.env("WHARF_PASSPHRASE_FILE", "passphrase");
        command.env("WHARF_LOCK_TIME", "6s").env("WHARF_LOCK_WAIT", "60s");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{} {args:?}: {}", self.name, text(&output));
        text(&output)
    }

    fn refused(&self, args: &[&str], because: &str) {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(7), "{} {args:?}: {}", self.name, text(&output));
        assert!(text(&output).contains(because), "{} {args:?}: {}", self.name, text(&output));
    }
}

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn two_people_and_a_job_and_one_who_goes() {
    for emulator in Emulator::all("two_people_and_a_job_and_one_who_goes") {
        let home = tempfile::tempdir().unwrap();
        let ann = Person::new(&emulator, "ann", home.path(), true);
        let bob = Person::new(&emulator, "bob", home.path(), false);
        let job = Person::new(&emulator, "ci", home.path(), false);
        ann.done(&["store", "init", &ann.store, "--recipient", &ann.public]);
        ann.done(&["store", "add-recipient", "bob", "--role", "operator", &bob.public]);
        ann.done(&["store", "add-recipient", "ci", "--role", "job", &job.public]);
        ann.done(&["create", "--driver", "none", "--url", "tcp://192.0.2.1:2376", "outside"]);
        for person in [&ann, &bob, &job] {
            person.done(&["certs", "renew", "--client"]);
            assert!(person.done(&["ls", "-q", "-t", "1"]).contains("outside"));
            let listed = person.done(&["store", "recipients"]);
            assert!(listed.contains("ann") && listed.contains("operator"), "{listed}");
        }
        ann.done(&["certs", "issue", "eve", "--hours", "1"]);
        for person in [&bob, &job] {
            person.refused(&["certs", "issue", "eve", "--hours", "1", "--out", "x"], "is for admins");
            person.refused(&["store", "remove-recipient", "ann"], "is for admins");
        }

        ann.done(&["store", "remove-recipient", "bob"]);
        bob.refused(&["certs", "renew", "--client"], "none of the store's recipients");
        bob.refused(&["certs", "issue", "eve", "--out", "y"], "none of the store's recipients");
        job.done(&["certs", "renew", "--client"]);
        let revoked = ann.done(&["certs", "ls"]);
        assert!(revoked.lines().any(|line| line.contains("bob") && line.contains("revoked")), "{revoked}");
    }
}

#[test]
fn a_removal_that_is_killed_is_ended_by_another_admin() {
    for emulator in Emulator::all("a_removal_that_is_killed_is_ended_by_another_admin") {
        let home = tempfile::tempdir().unwrap();
        let ann = Person::new(&emulator, "ann", home.path(), false);
        let amy = Person::new(&emulator, "amy", home.path(), false);
        let bob = Person::new(&emulator, "bob", home.path(), false);
        let (first, second) = (format!("ann={}", ann.public), format!("amy={}", amy.public));
        ann.done(&["store", "init", &ann.store, "--recipient", &first, "--recipient", &second]);
        for after in [30, 60, 120, 250] {
            ann.done(&["store", "add-recipient", "bob", "--role", "operator", &bob.public]);
            bob.done(&["certs", "renew", "--client"]);
            let mut removing = ann.command(&["store", "remove-recipient", "bob"]).spawn().unwrap();
            // Wherever it is by then, or over.
            std::thread::sleep(Duration::from_millis(after));
            drop(removing.kill());
            removing.wait().unwrap();
            amy.done(&["store", "remove-recipient", "bob"]);
            bob.refused(&["certs", "renew", "--client"], "none of the store's recipients");
            for admin in [&ann, &amy] {
                assert!(!admin.done(&["store", "recipients"]).contains("bob"));
                admin.done(&["certs", "issue", "eve", "--hours", "1", "--out", &format!("eve-{after}")]);
            }
        }
    }
}
