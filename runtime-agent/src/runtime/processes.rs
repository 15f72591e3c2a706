//! A container's processes as proc(5) shows them, without any program's help.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::cgroup;

/// One process. Times are clock ticks of a hundredth of a second, as everywhere in proc(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// As the host sees it.
    pub pid: i32,
    /// Its parent.
    pub ppid: i32,
    /// Its group.
    pub pgrp: i32,
    /// Its session.
    pub session: i32,
    /// The terminal's device number; 0 without one.
    pub tty: u64,
    /// The group in that terminal's foreground.
    pub foreground: i32,
    /// Effective user and group.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// One letter.
    pub state: char,
    /// In programs and in the kernel, together.
    pub ticks: u64,
    /// Since the boot.
    pub started: u64,
    /// Of the scheduler.
    pub priority: i64,
    /// Of the scheduler.
    pub nice: i64,
    /// How many.
    pub threads: u64,
    /// Bytes of address space.
    pub virtual_size: u64,
    /// Bytes in memory.
    pub resident: u64,
    /// Short.
    pub name: String,
    /// Empty for what has none.
    pub arguments: Vec<String>,
}

/// Those in the container's control group, by pid. Some end while we look.
pub(super) fn of(pid: i32, id: &str) -> io::Result<Vec<ProcessFacts>> {
    let groups = cgroup::container(pid, id)?;
    Ok(cgroup::members(&groups).into_iter().filter_map(read).collect())
}

fn read(pid: i32) -> Option<ProcessFacts> {
    let folder = Path::new("/proc").join(pid.to_string());
    let metadata = std::fs::metadata(&folder).ok()?;
    let mut facts = parse(&std::fs::read_to_string(folder.join("stat")).ok()?)?;
    (facts.uid, facts.gid) = (metadata.uid(), metadata.gid());
    let arguments = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let arguments = arguments.strip_suffix(&[0]).unwrap_or(&arguments);
    if !arguments.is_empty() {
        facts.arguments =
            arguments.split(|byte| *byte == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    }
    Some(facts)
}

/// Of `stat`. The name stands in parentheses and may contain more of them.
fn parse(stat: &str) -> Option<ProcessFacts> {
    let (head, tail) = (stat.find('(')?, stat.rfind(')')?);
    let fields: Vec<&str> = stat[tail + 1..].split_whitespace().collect();
    // Counted from the third, which is the first after the name.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    let unsigned = |number: usize| field(number).parse::<u64>().unwrap_or(0);
    let signed = |number: usize| field(number).parse::<i64>().unwrap_or(0);
    let pid = |number: usize| field(number).parse::<i32>().unwrap_or(0);
    Some(ProcessFacts {
        pid: stat[..head].trim().parse().ok()?,
        name: stat.get(head + 1..tail)?.to_owned(),
        state: field(3).chars().next()?,
        ppid: pid(4),
        pgrp: pid(5),
        session: pid(6),
        tty: unsigned(7),
        foreground: pid(8),
        ticks: unsigned(14) + unsigned(15),
        priority: signed(18),
        nice: signed(19),
        threads: unsigned(20),
        started: unsigned(22),
        virtual_size: unsigned(23),
        resident: unsigned(24) * page_size(),
        ..ProcessFacts::default()
    })
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_described() {
        let own = read(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(own.pid.unsigned_abs(), std::process::id());
        assert!(
            own.threads > 0
                && own.resident > 0
                && own.virtual_size > own.resident
                && !own.arguments.is_empty()
        );
    }

    #[test]
    fn a_name_may_be_anything() {
        let line = "7 (a) (b c) S 1 7 7 34817 7 4194304 1 0 0 0 3 4 0 0 20 -5 2 0 100 4096 1 0";
        let facts = parse(line).unwrap();
        assert_eq!((facts.name.as_str(), facts.state, facts.ticks, facts.nice), ("a) (b c", 'S', 7, -5));
        assert_eq!((facts.started, facts.tty, facts.threads), (100, 34817, 2));
    }
}
