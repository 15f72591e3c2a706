//! A person's computer on the lab's network: a store, a docker configuration, and the two programs they type.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use wharf_tests::{Host, Lab, static_agent, wharf_program};

pub(crate) struct World {
    pub(crate) lab: Lab,
    /// `WHARF_HOME`.
    pub(crate) store: PathBuf,
    pub(crate) home: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let lab = Lab::new();
        let home = lab.scratch().join("home");
        std::fs::create_dir_all(&home).unwrap();
        Self { store: home.join("wharf"), home, lab }
    }

    /// `wharf` with these arguments, in a clean environment.
    pub(crate) fn wharf(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut wharf = self.clean(wharf_program());
        wharf.env("WHARF_AGENT", static_agent()).args(arguments);
        wharf
    }

    /// The docker client, for the machine of this name.
    pub(crate) fn docker(
        &self,
        machine: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut docker = self.clean(Self::docker_program());
        docker.args(["--context", machine]).args(arguments);
        docker
    }

    /// The docker client's program.
    pub(crate) fn docker_program() -> std::ffi::OsString {
        std::env::var_os("WHARF_TEST_DOCKER").unwrap_or_else(|| "docker".into())
    }

    /// Runs a docker command and returns what it printed, standard error behind standard output.
    pub(crate) fn docker_ok(&self, machine: &str, arguments: &[&str]) -> String {
        expect_success(&mut self.docker(machine, arguments))
    }

    pub(crate) fn wharf_ok(&self, arguments: &[&str]) -> String {
        expect_success(&mut self.wharf(arguments))
    }

    /// The arguments that make a machine of this host.
    pub(crate) fn create_arguments(&self, name: &str, host: &Host) -> Vec<String> {
        self.create_arguments_as("root", name, host)
    }

    /// The same, for somebody who signs in as `user`.
    pub(crate) fn create_arguments_as(&self, user: &str, name: &str, host: &Host) -> Vec<String> {
        let key_file = host.key_file.display().to_string();
        let fingerprint = fingerprint(&host.host_key);
        [
            "create",
            "--driver",
            "ssh",
            "--ssh-address",
            &host.address,
            "--ssh-user",
            user,
            "--ssh-key",
            &key_file,
            "--ssh-host-key",
            &fingerprint,
            name,
        ]
        .map(str::to_owned)
        .into()
    }

    pub(crate) fn create(&self, name: &str, host: &Host) -> String {
        expect_success(&mut self.wharf(self.create_arguments(name, host)))
    }

    fn clean(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.lab.command(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &self.home).env("WHARF_HOME", &self.store);
        command.env("DOCKER_CONFIG", self.home.join(".docker")).stdin(Stdio::null());
        command
    }
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn expect_success(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
    text(&output)
}

/// As `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(public: &str) -> String {
    let mut keygen = Command::new("ssh-keygen")
        .args(["-lf", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut keygen.stdin.take().unwrap(), public.as_bytes()).unwrap();
    let printed = String::from_utf8(keygen.wait_with_output().unwrap().stdout).unwrap();
    printed.split_whitespace().nth(1).unwrap().to_owned()
}
