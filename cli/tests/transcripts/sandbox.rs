//! A world of its own for every test: a home folder, an environment, and what was printed as a transcript.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use wharf::{Build, Terminal, World};

pub(crate) struct Sandbox {
    home: tempfile::TempDir,
    env: BTreeMap<String, String>,
    build: Build,
    hidden: RefCell<BTreeSet<String>>,
}

/// What a command printed and ended with.
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    transcript: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let env = [("USER", "ann"), ("SHELL", "/bin/bash"), ("PATH", "/usr/bin:/bin")];
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { home, env, build: super::fake::build(), hidden: RefCell::default() }
    }

    /// With the driver for hosts that exist, too.
    pub(crate) fn and_hosts(mut self) -> Self {
        self.build.drivers.push(wharf::Entry::of::<wharf_driver_ssh::Ssh>());
        self
    }

    /// With machines already there.
    pub(crate) fn with(machines: &[&str]) -> Self {
        let sandbox = Self::new();
        for machine in machines {
            let ended = sandbox.run(&["create", machine]);
            assert_eq!(ended.code, 0, "{ended}");
        }
        sandbox
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The same store and files, seen without a variable.
    pub(crate) fn without(&self, name: &str) -> &Self {
        self.hidden.borrow_mut().insert(name.into());
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.home().join(".local/share/wharf")
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let file = self.home().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Runs a command as a script would.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_at(args, Terminal::default(), "")
    }

    /// Runs a command whose questions are answered.
    pub(crate) fn answer(&self, args: &[&str], answer: &str) -> Ended {
        // Without a terminal for progress, whose drawing would be part of the transcript.
        self.run_at(args, Terminal { stdin: true, stdout: false, stderr: true, columns: 0 }, answer)
    }

    /// Runs a command whose messages are seen at a terminal so wide.
    pub(crate) fn seen(&self, args: &[&str], columns: u16) -> Ended {
        self.run_at(args, Terminal { stdin: false, stdout: false, stderr: true, columns }, "")
    }

    /// Runs a command line of docker-machine's, fed with `input` as by a pipe.
    pub(crate) fn docker_machine(&self, args: &[&str], input: &str) -> Ended {
        let whole = [&["docker-machine"], args].concat();
        self.run_at(&whole, Terminal::default(), input)
    }

    fn run_at(&self, args: &[&str], terminal: Terminal, input: &str) -> Ended {
        let (stdout, stderr) = (Page::default(), Page::default());
        let mut env = self.env.clone();
        env.retain(|name, _| !self.hidden.borrow().contains(name));
        env.insert("NO_COLOR".into(), "1".into());
        let world = World {
            env,
            home: Some(self.home().to_owned()),
            cwd: self.home().to_owned(),
            program: self.home().join("bin/wharf"),
            host: "laptop".into(),
            stdin: Box::new(io::Cursor::new(input.to_owned())),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            terminal,
            clock: SystemTime::now,
        };
        let line = std::iter::once("wharf").chain(args.iter().copied()).map(Into::into);
        let code = code(wharf::run_with(line, world, &self.build));
        let (stdout, stderr) = (self.tidy(&stdout.text()), self.tidy(&stderr.text()));
        let transcript = transcript(args, code, &stdout, &stderr);
        Ended { code, stdout, stderr, transcript }
    }

    /// Takes out what differs from run to run: where, how long, which id.
    fn tidy(&self, text: &str) -> String {
        let home = self.home().display().to_string();
        let text = text.replace(&home, "HOME");
        let spans = regex_lite::Regex::new(r"\d+\.\d s\b").unwrap();
        let ids = regex_lite::Regex::new(r"\b[0-9a-f]{32}\b").unwrap();
        let short = regex_lite::Regex::new(r"-[0-9a-f]{8}-(vm|address|host)\b").unwrap();
        let text = spans.replace_all(&text, "N s");
        let text = ids.replace_all(&text, "ID");
        let stores = regex_lite::Regex::new(r"\b[0-9a-f]{16}\b").unwrap();
        let text = stores.replace_all(&text, "5702e5702e5702e5");
        let when = regex_lite::Regex::new(r#""made": \d+"#).unwrap();
        let text = when.replace_all(&text, "\"made\": 0");
        short.replace_all(&text, "-ID-$1").into_owned()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.transcript)
    }
}

/// The command, what it printed on stdout, what on stderr (marked), and its exit code unless that is nought.
fn transcript(args: &[&str], code: u8, stdout: &str, stderr: &str) -> String {
    let mut text = format!("$ wharf {}\n{stdout}", args.join(" "));
    for line in stderr.lines() {
        let _ = writeln!(text, "{}", format!("! {line}").trim_end());
    }
    if code != 0 {
        let _ = writeln!(text, "[exit {code}]");
    }
    text
}

fn code(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|n| ExitCode::from(*n) == code).unwrap()
}

/// Something written to that can be read back.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
