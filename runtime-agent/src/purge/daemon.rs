//! Ends the daemon of these folders, and first the watchdog that would start it again.
//!
//! Known by what they execute and by their flags, in our own mount namespace only: elsewhere the same paths are another
//! host's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Flags, Report};
use crate::config::Config;
use crate::runtime::Identity;

/// A daemon drains its connections first.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a process of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Watchdog,
    Daemon,
}

pub(super) fn end(roots: &Flags, report: &mut Report) {
    let mut found: Vec<(Role, Identity)> = processes().filter_map(|pid| recognize(pid, roots)).collect();
    found.sort_by_key(|(role, _)| *role);
    for (role, process) in found {
        let name = match role {
            Role::Watchdog => "watchdog",
            Role::Daemon => "daemon",
        };
        let ended = process.end(PATIENCE).map_err(|error| format!("cannot end the {name}: {error}"));
        report.note(ended.map(|()| format!("ended the {name} (process {})", process.pid())));
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(move |pid| *pid != own)
}

/// A process that ends while we look is none of those we look for.
fn recognize(pid: i32, roots: &Flags) -> Option<(Role, Identity)> {
    let process = Identity::of(pid).ok()?;
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let here = std::fs::read_link("/proc/self/ns/mnt").ok()?;
    if !is_wharfd(&folder) || std::fs::read_link(folder.join("ns/mnt")).ok()? != here {
        return None;
    }
    let role = role(&std::fs::read(folder.join("cmdline")).ok()?, roots)?;
    // Its flags were those of this very process only if it is still the same.
    process.lives().then_some((role, process))
}

fn is_wharfd(folder: &Path) -> bool {
    let name = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some(name.strip_suffix(" (deleted)").map_or(name.clone(), str::to_owned))
    };
    let theirs = std::fs::read_link(folder.join("exe")).ok().and_then(name);
    let own = std::env::current_exe().ok().and_then(name);
    theirs.is_some_and(|theirs| theirs == "wharfd" || Some(theirs) == own)
}

fn role(command_line: &[u8], roots: &Flags) -> Option<Role> {
    let arguments = command_line.strip_suffix(&[0]).unwrap_or(command_line).split(|byte| *byte == 0);
    let mut arguments: Vec<OsString> =
        arguments.map(|argument| OsString::from_vec(argument.to_vec())).collect();
    let mut role = Role::Daemon;
    if arguments.get(1).is_some_and(|first| first == "watchdog") {
        arguments.remove(1);
        role = Role::Watchdog;
    }
    let config = Config::parse(arguments).ok()?;
    (config.data_root == roots.data_root || config.exec_root == roots.exec_root).then_some(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_daemons_of_these_folders_are_meant() {
        let roots = Flags { data_root: "/d".into(), exec_root: "/e".into() };
        let role = |line: &str| role(line.replace(' ', "\0").as_bytes(), &roots);
        assert_eq!(role("wharfd --data-root /d --exec-root /e "), Some(Role::Daemon));
        assert_eq!(role("wharfd --data-root=/d -D "), Some(Role::Daemon));
        assert_eq!(role("wharfd watchdog --data-root /x --exec-root /e "), Some(Role::Watchdog));
        assert_eq!(role("wharfd --data-root /x --exec-root /y "), None);
        assert_eq!(role("wharfd "), None);
        assert_eq!(role("wharfd shim 0123 "), None);
        assert_eq!(role("wharfd purge --data-root /d "), None);
    }
}
