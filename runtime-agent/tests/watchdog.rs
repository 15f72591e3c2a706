//! The watchdog: a killed daemon comes back, a stopped one does not, wrong flags end it at once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Watchdog {
    child: Child,
    folder: tempfile::TempDir,
}

impl Watchdog {
    fn start(extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_wharfd"))
            .args(["watchdog", "--bridge=none"])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(extra)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn pidfile(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    fn signal(pid: i32, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            Self::signal(self.child.id().cast_signed(), nix::sys::signal::Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_pid(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.parse().ok()
}

#[test]
fn a_killed_daemon_comes_back_and_a_stopped_one_stays_down() {
    let mut watchdog = Watchdog::start(&[]);
    let first = wait_for("the daemon", || read_pid(&watchdog.pidfile()));
    Watchdog::signal(first, nix::sys::signal::Signal::SIGKILL);
    let second = wait_for("the next daemon", || read_pid(&watchdog.pidfile()).filter(|pid| *pid != first));
    Watchdog::signal(watchdog.child.id().cast_signed(), nix::sys::signal::Signal::SIGTERM);
    let status = wait_for("the end", || watchdog.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(!Path::new(&format!("/proc/{second}")).exists(), "the daemon outlived its watchdog");
    assert!(!watchdog.pidfile().exists());
}

#[test]
fn wrong_flags_are_not_tried_again() {
    let mut watchdog = Watchdog::start(&["--bip", "nonsense"]);
    let status = wait_for("the end", || watchdog.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(2));
}
