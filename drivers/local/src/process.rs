//! Processes that are not our children: found by what they run, ended for sure.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::folder::{Folder, name};

/// Ends every QEMU of this machine at once, whoever started it. What is looked at is the command line, which names
/// the machine's own pid file: a process id that was given to somebody else is left alone.
pub(crate) fn kill_qemu(folder: &Folder) {
    for pid in qemus(folder) {
        // Gone between the look and the signal is as good.
        kill_process(pid, Signal::KILL).ok();
    }
}

/// Sends a signal to the supervisor of this machine, if its lock is held.
pub(crate) fn signal_supervisor(folder: &Folder, signal: Signal) {
    if !folder.is_locked(name::SUPERVISOR_LOCK) {
        return;
    }
    if let Some(pid) = folder.lock_holder(name::SUPERVISOR_LOCK).and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// Ends the group of the process that holds this lock, if one does.
pub(crate) fn kill_group_of(folder: &Folder, lock: &str) {
    if let Some(pid) = folder.lock_holder(lock).and_then(Pid::from_raw).filter(|_| folder.is_locked(lock)) {
        kill_process_group(pid, Signal::KILL).ok();
    }
}

/// The argument by which a machine's QEMU is known: an absolute path that no other machine has.
pub(crate) fn mark(folder: &Folder) -> String {
    folder.file(name::QEMU_PID).display().to_string()
}

fn qemus(folder: &Folder) -> Vec<Pid> {
    let mark = mark(folder);
    command_lines().into_iter().filter(|(_, line)| line.contains(&mark)).map(|(pid, _)| pid).collect()
}

#[cfg(target_os = "linux")]
fn command_lines() -> Vec<(Pid, Vec<String>)> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let line = std::fs::read(Path::new("/proc").join(entry.file_name()).join("cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        Some((pid, words.collect()))
    };
    std::fs::read_dir("/proc").into_iter().flatten().filter_map(read).collect()
}

#[cfg(not(target_os = "linux"))]
fn command_lines() -> Vec<(Pid, Vec<String>)> {
    let Ok(listing) =
        std::process::Command::new(Path::new("ps")).args(["-axww", "-o", "pid=,command="]).output()
    else {
        return Vec::new();
    };
    let read = |line: &str| {
        let (pid, command) = line.trim_start().split_once(' ')?;
        // The path may contain spaces, so the whole rest is one word more.
        let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        words.extend(
            command.split(" -pidfile ").nth(1).map(|rest| rest.split(" -").next().unwrap_or(rest).to_owned()),
        );
        Some((Pid::from_raw(pid.parse().ok()?)?, words))
    };
    String::from_utf8_lossy(&listing.stdout).lines().filter_map(read).collect()
}
