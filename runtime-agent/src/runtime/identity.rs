//! Which process a pid means: pids are used again, so a process is known by its pid, its start time and the boot.

use std::io;

use serde::{Deserialize, Serialize};

/// A process, for as long as the machine is up and no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// In clock ticks since the boot.
    start: u64,
    boot: String,
}

impl Identity {
    /// The process that has this pid now.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start: start_time(pid)?, boot: boot_id()? })
    }

    /// Whether that process still lives; a zombie does not.
    pub(super) fn lives(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
            && start_time(self.pid).is_ok_and(|start| start == self.start)
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
    fn a_name_with_a_parenthesis_does_not_confuse() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse(stat), Some(4242));
        assert_eq!(parse(&stat.replace(" S ", " Z ")), None);
    }
}
