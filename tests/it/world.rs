//! A person's computer on the lab's network: a store, a docker configuration, and the two programs they type.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use wharf_tests::{Host, Lab, static_agent, wharf_program};

use crate::docker::wait_until;

pub(crate) struct World {
    pub(crate) lab: Lab,
    /// `WHARF_HOME`.
    pub(crate) store: PathBuf,
    pub(crate) home: PathBuf,
}

impl World {
    /// With hosts that have the agent already.
    pub(crate) fn new() -> Self {
        Self::on(Lab::new().with_agent())
    }

    /// With hosts that have nothing of ours yet.
    pub(crate) fn with_bare_hosts() -> Self {
        Self::on(Lab::new())
    }

    fn on(lab: Lab) -> Self {
        let home = lab.scratch().join("home");
        std::fs::create_dir_all(&home).unwrap();
        Self { store: home.join("wharf"), home, lab }
    }

    /// `wharf` with these arguments, in a clean environment.
    pub(crate) fn wharf(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        self.wharf_by(wharf_program(), arguments)
    }

    /// The same by another program, with more drivers than everyday's.
    pub(crate) fn wharf_by(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut wharf = self.clean(program);
        wharf.env("WHARF_AGENT", static_agent()).args(arguments);
        wharf
    }

    /// Another program, in the same environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.clean(program)
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

    /// From now on this computer reaches the lab's machines from `address`.
    pub(crate) fn come_from(&self, address: &str) {
        let ip = |arguments: &[&str]| drop(expect_success(self.lab.command("ip").args(arguments)));
        ip(&["address", "replace", &format!("{address}/24"), "dev", "br0"]);
        ip(&["route", "replace", "10.99.0.0/24", "dev", "br0", "src", address]);
    }

    /// Whether this port takes connections from `source`, an address of this computer.
    pub(crate) fn opens(&self, source: &str, address: &str, port: u16) -> bool {
        let probe = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1, (sys.argv[3], 0))";
        let mut python = self.lab.command("python3");
        python.args(["-c", probe, address, &port.to_string(), source]);
        python.output().unwrap().status.success()
    }

    /// No host of a simulated cloud is left, and no context of a machine.
    pub(crate) fn no_machine_is_left(&self) {
        let hosts = self.lab.scratch().parent().unwrap().join("hosts");
        wait_until("the hosts are gone", || {
            let left = std::fs::read_dir(&hosts).unwrap().flatten();
            left.filter(|host| host.file_name().to_string_lossy().starts_with('v')).count() == 0
        });
        let contexts = expect_success(&mut self.docker("default", ["context", "ls", "-q"]));
        assert_eq!(contexts.trim(), "default");
    }

    fn clean(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.lab.command(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &self.home).env("WHARF_HOME", &self.store);
        command.env("DOCKER_CONFIG", self.home.join(".docker")).stdin(Stdio::null());
        command
    }
}

/// What brings the end of a machine's time nearer on the machine itself: its engine's next start finds it over.
pub(crate) const OVER: &str = "sed -i s/--expires=[0-9]*/--expires=1/ /etc/systemd/system/wharfd.service && \
                               systemctl daemon-reload && systemctl restart wharfd";

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ended with `code` and these words, and with advice that has `hint` where it failed.
pub(crate) fn ended(output: &Output, code: i32, says: &str, hint: &str) -> String {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{says}: {said}");
    assert!(said.contains(says), "{says}: {said}");
    if code == 0 {
        assert!(!said.contains("error: "), "{said}");
    } else {
        let advice = said.lines().filter(|line| line.contains("hint: ")).collect::<String>();
        assert!(advice.contains(hint) && !advice.is_empty(), "{says}, `{hint}`: {said}");
    }
    said
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
