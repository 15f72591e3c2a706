//! Which process a pid means: pids are used again, so a process is known by its pid, its start time and the boot.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::sys;

/// A process, for as long as the machine is up and no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(super) pid: i32,
    /// In clock ticks since the boot.
    start: u64,
    boot: String,
}

impl Identity {
    /// The process that has this pid now.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start: start_time(pid)?, boot: boot_id()? })
    }

    /// Whether that process still lives; a zombie does not.
    pub(crate) fn lives(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
            && start_time(self.pid).is_ok_and(|start| start == self.start)
    }

    pub(crate) const fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks it to end, and kills it when it has not within this time.
    pub(crate) fn end(&self, patience: Duration) -> io::Result<()> {
        self.signal(libc::SIGTERM)?;
        if self.is_gone_within(patience) { Ok(()) } else { self.kill() }
    }

    /// Returns when it is gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        const DYING: Duration = Duration::from_secs(10);
        self.signal(libc::SIGKILL)?;
        if self.is_gone_within(DYING) { Ok(()) } else { Err(io::Error::other("it does not die")) }
    }

    /// Being gone already is success.
    fn signal(&self, signal: i32) -> io::Result<()> {
        if !self.lives() {
            return Ok(());
        }
        match sys::kill(self.pid, signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
            _ => Ok(()),
        }
    }

    fn is_gone_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.lives() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_time(pid: i32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(&stat).ok_or_else(|| io::Error::other("not a living process"))
}

/// Field 22 of proc(5)'s stat; the command's name before it may contain anything, `)` too. None for the dead.
fn parse(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_itself_and_no_other() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.lives());
        assert!(!Identity { start: own.start + 1, ..own.clone() }.lives());
        assert!(!Identity { boot: "another".into(), ..own }.lives());
    }

    #[test]
    fn ends_what_will_not_end_by_itself_and_nobody_else() {
        let mut stubborn = std::process::Command::new("sh")
            .args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        io::Read::read_exact(stubborn.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
        let process = Identity::of(i32::try_from(stubborn.id()).unwrap()).unwrap();
        Identity { start: process.start + 1, ..process.clone() }.kill().unwrap();
        assert!(process.lives(), "another process had the pid");
        process.end(Duration::from_millis(20)).unwrap();
        assert!(!process.lives());
        process.end(Duration::ZERO).unwrap();
        stubborn.wait().unwrap();
    }

    #[test]
    fn a_name_with_a_parenthesis_does_not_confuse() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse(stat), Some(4242));
        assert_eq!(parse(&stat.replace(" S ", " Z ")), None);
    }
}
