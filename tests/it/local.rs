//! The local driver for real: a kernel, a guest and the whole of bootstrap, under emulation where nothing else works.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wharf_tests::{static_agent, wharf_program};

use crate::world::{expect_success, text};

/// For machines of tests that need no second processor: two emulated ones wait for each other so much that the same work
/// takes a third more of real ones.
pub(crate) const ONE: &str = "--local-cpus=1";

/// One machine is made once and put through everything, since each takes seconds of two processors.
#[test]
fn a_machine_lives_and_dies_on_this_computer() {
    let world = World::new();
    let begun = Instant::now();
    world.wharf_ok(["create", ONE, "demo"]);
    println!("create: {:.1} s", begun.elapsed().as_secs_f32());
    assert_eq!(world.state(), "Running");

    println!("ssh, and a file that is to survive");
    assert_eq!(world.ssh("cat /etc/wharf-guest >/dev/null && hostname").trim(), "demo");
    world.ssh("echo kept >/var/lib/wharf/kept && sync");
    let copied = world.store.join("copied").display().to_string();
    world.wharf_ok(["scp", "-q", "demo:/var/lib/wharf/kept", &copied]);
    assert_eq!(fs::read_to_string(&copied).unwrap(), "kept\n");
    world.wharf_ok(["scp", "-q", &copied, "demo:/tmp/back"]);
    assert_eq!(world.ssh("cat /tmp/back").trim(), "kept");
    assert_eq!(
        world.ssh("stat -c %a /sys/firmware/qemu_fw_cfg/by_name/opt/org.wharf/host_key/raw").trim(),
        "400"
    );
    let apart = world.ssh("date +%s").trim().parse::<u64>().unwrap().abs_diff(now());
    assert!(apart <= 2, "the guest's clock is {apart} s away");

    println!("stop and start");
    let endpoint = world.wharf_ok(["url", "demo"]);
    world.wharf_ok(["stop", "demo"]);
    assert_eq!(world.state(), "Stopped");
    world.wharf_ok(["start", "demo"]);
    assert_eq!(world.wharf_ok(["url", "demo"]), endpoint, "the ports are the same");
    assert_eq!(world.ssh("cat /var/lib/wharf/kept").trim(), "kept");

    println!("kill -9 of QEMU, seen as stopped; what was synced survives");
    world.kill_nine("qemu.pid");
    world.until("Stopped");
    world.wharf_ok(["start", "demo"]);
    assert_eq!(world.ssh("cat /var/lib/wharf/kept").trim(), "kept");

    println!("kill -9 of the supervisor, replaced by the next command");
    world.kill_nine("supervisor.lock");
    world.until("Running");

    println!("kill, and rm");
    world.wharf_ok(["kill", "demo"]);
    assert_eq!(world.state(), "Stopped");
    world.wharf_ok(["rm", "-y", "demo"]);
    world.until_nothing_runs();
    assert!(!world.store.join("machines/demo").exists());
}

/// Three real kills of the command that makes a machine: early, while the guest boots, and while it is provisioned.
#[test]
fn a_create_that_is_killed_leaves_nothing_after_rm() {
    for seconds in [0.2_f32, 2.0, 6.0] {
        let world = World::new();
        let mut create =
            world.wharf(["create", ONE, "demo"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f32(seconds));
        create.kill().unwrap();
        create.wait().unwrap();
        let removed = world.wharf(["rm", "-y", "demo"]).output().unwrap();
        // Killed before anything stood in the journal, there is no such machine.
        assert!(matches!(removed.status.code(), Some(0 | 4)), "{}", text(&removed));
        world.until_nothing_runs();
        // Killed before its first event, a create may leave an empty folder.
        let left = fs::read_dir(world.store.join("machines/demo/driver")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "killed after {seconds} s");
    }
}

/// A person's computer without a network of its own.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) store: PathBuf,
    guest: PathBuf,
    /// Who runs everything, where that is not us, and where their programs are.
    person: Option<Person>,
}

struct Person {
    id: u32,
    programs: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wharf-it-local-").tempdir().unwrap();
        Self { store: folder.path().join("wharf"), folder, guest: guest(), person: None }
    }

    /// The computer of somebody who is not root, with everything that they run in a place of theirs.
    pub(crate) fn of_somebody(id: u32) -> Self {
        let mut world = Self::new();
        let programs = world.folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let guest = programs.join("guest");
        let image = world.guest.clone();
        expect_success(Command::new("cp").arg("-rL").arg(image).arg(&guest));
        for (program, name) in [
            (wharf_program().to_owned(), "wharf"),
            (static_agent().to_owned(), "agent"),
            (which(&docker_client()), "docker"),
        ] {
            expect_success(Command::new("cp").arg("-L").arg(program).arg(programs.join(name)));
        }
        let owner = format!("{id}:{id}");
        expect_success(Command::new("chown").arg("-R").arg(owner).arg(world.folder.path()));
        world.guest = guest;
        world.person = Some(Person { id, programs });
        world
    }

    /// Where a copy of this program is, which they may run.
    pub(crate) fn give(&self, program: &Path, name: &str) -> PathBuf {
        let Some(person) = &self.person else { return program.to_owned() };
        let copy = person.programs.join(name);
        expect_success(Command::new("cp").arg("-L").arg(program).arg(&copy));
        copy
    }

    /// The home folder.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str, ours: impl Into<PathBuf>) -> PathBuf {
        self.person.as_ref().map_or_else(|| ours.into(), |person| person.programs.join(name))
    }

    pub(crate) fn wharf(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.plain(self.program("wharf", wharf_program()));
        let agent = self.program("agent", static_agent());
        command.env("WHARF_GUEST", &self.guest).env("WHARF_AGENT", agent).args(arguments);
        command
    }

    /// A program that sees this world alone.
    pub(crate) fn plain(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(person) = &self.person {
            command.uid(person.id).gid(person.id);
        }
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("WHARF_HOME", &self.store).stdin(Stdio::null());
        command
    }

    pub(crate) fn wharf_ok<const N: usize>(&self, arguments: [&str; N]) -> String {
        expect_success(&mut self.wharf(arguments))
    }

    /// The docker client, for the machine.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = self.plain(self.program("docker", docker_client()));
        command.args(["--context", "demo"]).args(arguments);
        command
    }

    pub(crate) fn ssh(&self, command: &str) -> String {
        self.wharf_ok(["ssh", "demo", command])
    }

    fn state(&self) -> String {
        let output = self.wharf(["ls", "-o", "json"]).output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let machine = list.as_array().map_or(&list["machines"][0], |machines| &machines[0]);
        let state = machine["state"].as_str().unwrap_or_else(|| panic!("no state in {list}"));
        state[..1].to_uppercase() + &state[1..]
    }

    fn until(&self, state: &str) {
        let patience = Instant::now() + Duration::from_secs(120);
        while self.state() != state {
            assert!(Instant::now() < patience, "never {state}, but {}", self.state());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills the process whose id stands in this file.
    pub(crate) fn kill_nine(&self, file: &str) {
        let pid = fs::read_to_string(self.store.join("machines/demo/driver").join(file)).unwrap();
        expect_success(Command::new("kill").args(["-9", pid.trim()]));
    }

    /// What was begun for a killed command notices its end a moment later.
    pub(crate) fn until_nothing_runs(&self) {
        let patience = Instant::now() + Duration::from_secs(120);
        while !self.processes().is_empty() {
            assert!(Instant::now() < patience, "left running: {:#?}", self.processes());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The command lines of everything that runs for this world: named in its arguments, or begun in its environment.
    fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let line = |entry: fs::DirEntry| {
            let read = |file: &str| fs::read(entry.path().join(file)).ok();
            let line = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ");
            let ours = line.contains(&folder) || String::from_utf8_lossy(&read("environ")?).contains(&folder);
            ours.then_some(line)
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(line).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Also after a failed test nothing may go on.
        let _ = self.wharf(["rm", "-y", "demo"]).output();
    }
}

fn docker_client() -> PathBuf {
    std::env::var_os("WHARF_TEST_DOCKER").unwrap_or_else(|| "docker".into()).into()
}

/// Where a program on the PATH is.
fn which(program: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()).unwrap()
}

/// The guest's image, built where nobody named one.
fn guest() -> PathBuf {
    if let Some(guest) = std::env::var_os("WHARF_TEST_GUEST") {
        return guest.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../drivers/local/guest/build.sh");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the guest's image could not be built");
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap().into()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
