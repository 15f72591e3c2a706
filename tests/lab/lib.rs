//! Test hosts: a network namespace, a root of their own, an init system (or none) and sshd, booted in seconds.
//!
//! A [`Lab`] is a network of its own that reaches nothing else; a [`Host`] is a machine on it, as `lab.sh` beside this
//! file makes it. Dropping the lab ends and removes everything; when the test process is killed instead, a guardian
//! process does it, and when that was killed too, the next lab sweeps up first.
//!
//! Tests run on the far side of a namespace: start programs with [`Lab::command`], and code that opens sockets in
//! [`Lab::enter`].
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a library of tests: a broken lab is a failed test")]

mod agent;
mod machines;
mod skip;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

pub use agent::{static_agent, wharf_program};
pub use machines::Machines;
pub use skip::skip;

/// Where labs live: a real disk, so that hosts may lay an overlay on it.
const LABS: &str = "/var/tmp/wharf-labs";
/// An exchange of keys that is soon computed: what ssh would choose takes longer than all else about a short command, and
/// hosts are asked hundreds of times.
pub const QUICK: &str = "-oKexAlgorithms=curve25519-sha256";
const BOOT: Duration = Duration::from_secs(60);

/// A network with hosts on it.
#[derive(Debug)]
pub struct Lab {
    folder: PathBuf,
    name: String,
    hosts: AtomicU32,
    /// Holds the guardian's standard input open; it cleans up when this closes.
    guard: Option<(Child, ChildStdin)>,
}

/// One machine, which answers SSH.
#[derive(Debug, Clone)]
pub struct Host {
    /// What it calls itself.
    pub name: String,
    /// Its address in the lab.
    pub address: String,
    /// Its SSH port.
    pub ssh_port: u16,
    /// The private key that signs in as root, as `ann` (who may sudo) and as `bob` (who may not).
    pub key_file: PathBuf,
    /// Its SSH host key's public half, one line.
    pub host_key: String,
    lab: PathBuf,
    namespace: String,
}

/// What starts a host's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// systemd.
    Systemd,
    /// OpenRC, under sysvinit.
    OpenRc,
    /// Nothing: sshd is the first process's only child.
    Bare,
    /// systemd, with everybody else who makes firewall rules, none of which is started.
    Firewalls,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::OpenRc => "openrc",
            Self::Bare => "bare",
            Self::Firewalls => "firewalls",
        }
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// A network without hosts.
    ///
    /// # Panics
    /// When the machine cannot make one.
    #[must_use]
    pub fn new() -> Self {
        static SWEPT: Once = Once::new();
        static LABS_MADE: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(|| {
            run(lab_script().arg("sweep"));
        });
        let owner = std::process::id();
        let name = format!("wl-{owner}-{}", LABS_MADE.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(LABS).join(&name);
        // The guardian stands before there is anything to guard.
        let mut guard = lab_script()
            .arg("guard")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the lab's guardian starts");
        let held = guard.stdin.take().expect("the guardian has a standard input");
        let lab = Self { folder, name, hosts: AtomicU32::new(0), guard: Some((guard, held)) };
        run(lab_script().arg("up").arg(&lab.folder).arg(owner.to_string()));
        lab
    }

    /// Hosts that are made from now on have the agent on their disk, as an image of one's own may: bootstrap finds it there,
    /// and brings nothing. For what is not about how an agent gets to a host, which is half of what a host costs.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn with_agent(self) -> Self {
        let folder = self.folder.join("brought/usr/local/bin");
        std::fs::create_dir_all(&folder).expect("a folder for the agent");
        let (agent, file) = (static_agent(), folder.join("wharfd"));
        // The layer is only read.
        std::fs::hard_link(agent, &file)
            .or_else(|_| std::fs::copy(agent, &file).map(drop))
            .expect("the agent's layer");
        self
    }

    /// Boots a host and waits until it answers SSH.
    ///
    /// # Panics
    /// When it does not within a minute, with its console.
    pub fn host(&self) -> Host {
        self.host_of(Kind::Systemd)
    }

    /// The same, of another kind.
    ///
    /// # Panics
    /// When it does not within a minute, with its console.
    pub fn host_of(&self, kind: Kind) -> Host {
        let host = self.boot(kind);
        host.wait();
        host
    }

    /// Boots several at once.
    pub fn hosts(&self, count: usize) -> Vec<Host> {
        let hosts: Vec<_> = (0..count).map(|_| self.boot(Kind::Systemd)).collect();
        hosts.iter().for_each(Host::wait);
        hosts
    }

    fn boot(&self, kind: Kind) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let (name, address) = (format!("h{number}"), format!("10.99.0.{}", 10 + number));
        run(lab_script().arg("host").arg(&self.folder).args([name.as_str(), &address, kind.name()]));
        let key = self.folder.join("hosts").join(&name).join("upper/etc/ssh/ssh_host_ed25519_key.pub");
        Host {
            host_key: std::fs::read_to_string(key).expect("the host has a key").trim().to_owned(),
            key_file: self.folder.join("key"),
            ssh_port: 22,
            name,
            address,
            lab: self.folder.clone(),
            namespace: self.name.clone(),
        }
    }

    /// Makes the bodies of a simulated cloud's machines; the cloud must run on the lab's network, too. To be called outside
    /// of it, since what hosts are made of is downloaded once.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn machines(&self) -> Arc<Machines> {
        run(base_script().arg("systemd"));
        Arc::new(Machines::new(self.folder.clone(), self.name.clone()))
    }

    /// The same, on which the real cloud-init does what user data says.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn cloud_init_machines(&self) -> Arc<Machines> {
        run(base_script().arg("cloud-init"));
        Arc::new(Machines::new(self.folder.clone(), self.name.clone()).with_cloud_init())
    }

    /// The network namespace, as `nsenter --net` takes it.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// A program that runs on the lab's network.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        inside(&self.name, program)
    }

    /// From the lab's own computer no way leads to this host any more; the other hosts still reach it.
    ///
    /// # Panics
    /// When the machine cannot do that.
    pub fn hide(&self, host: &Host) {
        self.route("add", host);
    }

    /// Takes [`Lab::hide`] back.
    ///
    /// # Panics
    /// When the machine cannot do that.
    pub fn show(&self, host: &Host) {
        self.route("delete", host);
    }

    fn route(&self, verb: &str, host: &Host) {
        run(Command::new("ip").args(["-n", &self.name, "route", verb, "unreachable", &host.address]));
    }

    /// A folder that goes with the lab, for stores and clients' files.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        let folder = self.folder.join("scratch");
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        folder
    }

    /// Runs code on the lab's network, on a thread of its own. A tokio runtime that it builds stays there, too.
    ///
    /// # Panics
    /// When the code does.
    pub fn enter<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(self.network()).expect("the lab's namespace");
        let joined = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET).expect("entering the lab's namespace");
                code()
            });
            thread.join()
        });
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Closing the guardian's input is the signal; waiting makes sure that nothing is left when the test ends.
        if let Some((mut guard, held)) = self.guard.take() {
            drop(held);
            let _ = guard.wait();
        }
    }
}

impl Host {
    /// Runs a shell command as root, and returns what it printed.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub fn run(&self, command: &str) -> String {
        let output = self.try_run(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` on {}: {}\n{said}", self.name, output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a shell command as root: beside its init process, without a login, or by SSH where that is not to be found.
    pub fn try_run(&self, command: &str) -> Output {
        let Some(init) = self.init() else { return self.ssh_run(command) };
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &init.to_string()]);
        inside.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--no-fork"]);
        // Only what is started from here on is among the host's processes. nsenter would start it, too, but stops itself
        // where that is stopped, as all are by a host that goes down: which then waits for it, and it for nobody.
        inside.args(["--", "bash", "-c", "bash -c \"$0\"; exit $?", &format!("cd\n{command}")]);
        inside.env_clear().envs([
            ("HOME", "/root"),
            ("USER", "root"),
            ("SHELL", "/bin/bash"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ]);
        inside.stdin(Stdio::null()).output().expect("nsenter starts")
    }

    fn ssh_run(&self, command: &str) -> Output {
        self.ssh("root").arg(command).stdin(Stdio::null()).output().expect("ssh starts")
    }

    /// Puts a file there.
    pub fn put(&self, from: &Path, to: &str, mode: u32) {
        let mut child = self
            .ssh("root")
            .arg(format!("cat > {to}.new && chmod {mode:o} {to}.new && mv {to}.new {to}"))
            .stdin(File::open(from).expect("the file to put"))
            .spawn()
            .expect("ssh starts");
        assert!(child.wait().expect("ssh ends").success(), "putting {} to {}", from.display(), self.name);
    }

    /// What the host's console shows.
    #[must_use]
    pub fn console(&self) -> String {
        std::fs::read_to_string(self.folder().join("console")).unwrap_or_default()
    }

    /// The host's own root, as this machine sees what was written to it.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.folder().join("upper")
    }

    /// Its init process, as this machine sees it.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.init().unwrap_or_else(|| panic!("{} has no init", self.name))
    }

    fn init(&self) -> Option<u32> {
        let numbers = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let (ours, launcher) = (numbers("self")?, std::fs::read_to_string(self.folder().join("launcher")));
        let mut pid = launcher.ok()?.trim().to_owned();
        // The launcher, the one that has the mounts, the script, systemd-nspawn, and what numbers its processes by itself.
        while let Some(child) = first_child(&pid) {
            pid = child;
            if numbers(&pid)? != ours {
                return pid.parse().ok();
            }
        }
        None
    }

    /// Waits until SSH answers.
    ///
    /// # Panics
    /// When it does not within a minute, with the console.
    pub fn wait(&self) {
        let deadline = Instant::now() + BOOT;
        while !self.ssh_run("true").status.success() {
            assert!(Instant::now() < deadline, "{} does not answer SSH:\n{}", self.name, self.console());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn folder(&self) -> PathBuf {
        self.lab.join("hosts").join(&self.name)
    }

    fn ssh(&self, user: &str) -> Command {
        let known = self.folder().join("known_hosts");
        if !known.exists() {
            let mut file = File::create(&known).expect("known_hosts");
            writeln!(file, "{} {}", self.address, self.host_key).expect("known_hosts");
        }
        let mut ssh = inside(&self.namespace, "ssh");
        ssh.arg("-i").arg(&self.key_file).arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        ssh.args(["-F/dev/null", "-oBatchMode=yes", "-oConnectTimeout=5", "-oLogLevel=ERROR", QUICK]);
        ssh.arg(format!("{user}@{}", self.address));
        ssh
    }
}

fn first_child(pid: &str) -> Option<String> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next().map(str::to_owned)
}

/// Only the network: `ip netns exec` would remount /sys.
fn inside(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program);
    command
}

fn lab_script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/lab.sh"))
}

fn base_script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/base.sh"))
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the lab's script starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
