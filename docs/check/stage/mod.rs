//! Where a page's commands run: a home folder of their own, the programs under test, and the place that the page is about.
//!
//! | stage | what there is |
//! |---|---|
//! | `alone` | nothing but the program |
//! | `records` | a simulated public Azure and an Azure Stack Hub as clouds `public` and `stamp1`, of machines that are records |
//! | `docker-machine` | machines as docker-machine kept them, in `~/.docker/machine` |
//! | `local` | what the driver `local` needs |
//! | `host` | a host that answers SSH at 192.0.2.7, with its key in `host.key` |
//! | `azure`, `stamp` | a simulated public Azure or Azure Stack Hub whose machines are hosts, and its user's environment |
//! | `aws` | the same for EC2, and a program with the driver |
//!
//! What a page writes instead of what is only known here (an address, an endpoint) is replaced in commands, and put back
//! into what they print.

pub mod clouds;

use std::any::Any;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use wharf_tests::{Lab, static_agent, wharf_program};

/// What no command of a page takes longer than, on a busy machine.
const PATIENCE: &str = "180";
/// The home folder, as pages show it.
const HOME: &str = "/home/ann";

/// A stage.
#[derive(Debug)]
pub struct Stage {
    /// In this order they end: clouds, then the network that they and their machines are on.
    kept: Vec<Box<dyn Any>>,
    lab: Option<Lab>,
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    stands: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed on both streams, as they came.
    pub printed: String,
}

impl Stage {
    /// Sets the stage called `name`, or says what it lacks here.
    ///
    /// # Errors
    /// What is missing on this computer.
    ///
    /// # Panics
    /// When there is no such stage, or it cannot be set although nothing is missing.
    pub fn set(name: &str) -> Result<Self, String> {
        let mut stage = Self::empty(wharf_program());
        match name {
            "alone" => {}
            "local" => {
                let guest = std::env::var("WHARF_TEST_GUEST");
                let guest = guest.map_err(|_| "WHARF_TEST_GUEST names no guest image".to_owned())?;
                stage.sets("WHARF_GUEST", &guest);
            }
            "records" => stage.records(),
            "docker-machine" => stage.docker_machine(),
            "host" => stage.host()?,
            "azure" => stage.azure(wharf_sim::Flavour::Public)?,
            "stamp" => stage.azure(wharf_sim::Flavour::Hub2020)?,
            "aws" => stage.aws()?,
            _ => panic!("there is no stage `{name}`"),
        }
        Ok(stage)
    }

    fn empty(program: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("wharf-docs-").tempdir().expect("a folder");
        for folder in ["bin", "work"] {
            std::fs::create_dir(home.path().join(folder)).expect("a folder in it");
        }
        let shown = (HOME.to_owned(), home.path().display().to_string());
        let stage = Self { kept: Vec::new(), lab: None, home, environment: Vec::new(), stands: vec![shown] };
        stage.program("wharf", program);
        let docker = std::env::var_os("WHARF_TEST_DOCKER").map(PathBuf::from);
        if let Some(docker) = docker.filter(|docker| docker.is_absolute()) {
            stage.program("docker", &docker);
        }
        stage
    }

    fn docker_machine(&self) {
        let from = crate::root().join("cli/tests/fixtures/docker-machine");
        let to = self.home.path().join(".docker/machine");
        std::fs::create_dir_all(to.join("machines")).expect("docker-machine's folder");
        let whole = ["dev", "elsewhere", "rack", "runner", "stack"].map(|name| format!("machines/{name}"));
        for part in whole.iter().map(String::as_str).chain(["certs"]) {
            let copied = Command::new("cp").arg("-r").arg(from.join(part)).arg(to.join(part)).status();
            assert!(copied.expect("cp").success(), "docker-machine's folder is copied");
        }
    }

    fn program(&self, name: &str, file: &Path) {
        let link = self.home.path().join("bin").join(name);
        let _ = std::fs::remove_file(&link);
        symlink(file, link).expect("a link to a program");
    }

    fn sets(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// From now on pages may write `shown` where this computer has `real`.
    fn stands(&mut self, shown: &str, real: &str) {
        self.stands.push((shown.to_owned(), real.to_owned()));
    }

    /// The folder that commands start in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("work")
    }

    /// Puts a file there.
    ///
    /// # Panics
    /// When that fails.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        let mut file = std::fs::File::create(path).expect("a file on the stage");
        file.write_all(self.real(text).as_bytes()).expect("a file on the stage");
    }

    /// `text` as it is here.
    fn real(&self, text: &str) -> String {
        self.stands.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    /// `text` as a page shows it.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.stands.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(real, shown))
    }

    /// What a shell of this stage's person runs, which remembers what earlier ones set.
    #[must_use]
    pub fn shell(&self, script: &str) -> Command {
        let mut command = match &self.lab {
            Some(lab) => lab.command("env"),
            None => Command::new("env"),
        };
        let home = self.home.path().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        command.arg("-i").arg(format!("PATH={home}/bin:{path}"));
        command.args([format!("HOME={home}"), "USER=ann".to_owned(), "SHELL=/bin/bash".to_owned()]);
        command.args(["LANG=C.UTF-8", "TERM=xterm-256color", "WHARF_KEYRING=off"]);
        command.arg(format!("WHARF_AGENT={}", static_agent().display()));
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        let state = format!("{home}/state");
        let script = format!(
            "[ ! -f {state} ] || . {state}\ncd {home}/work\n{}\ncode=$?\nexport -p >{state}\nexit $code\n",
            self.real(script)
        );
        command.args(["timeout", "--foreground", PATIENCE, "bash", "-c", &script]);
        command
    }

    /// Runs one command of a page.
    ///
    /// # Panics
    /// When no shell starts.
    #[must_use]
    pub fn run(&self, command: &str) -> Ended {
        let mut shell = self.shell(&format!("exec 2>&1 </dev/null\n{command}"));
        let output = shell.output().expect("a shell starts");
        let printed = self.shown(&String::from_utf8_lossy(&output.stdout));
        Ended { code: output.status.code().unwrap_or(-1), printed }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Also what a failed page left behind goes, while there is somebody to ask.
        let _ = self.run("wharf ls -q | xargs -r wharf rm -y --purge");
        self.kept.clear();
    }
}
