//! The columns of ps, one process at a time.

use crate::engine::containers::moment::Moment;
use crate::runtime::ProcessFacts;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    User,
    UserId,
    Group,
    GroupId,
    Pid,
    Ppid,
    Pgid,
    Session,
    Load,
    Percent,
    MemoryPercent,
    VirtualSize,
    Resident,
    Tty,
    State,
    StateLetter,
    Started,
    LongTime,
    ShortTime,
    Elapsed,
    ElapsedSeconds,
    Nice,
    Priority,
    Threads,
    Name,
    Arguments,
}

/// What a row needs to know about the host.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    passwd: String,
    group: String,
    /// Seconds since the boot.
    uptime: f64,
    now: i128,
    memory: u64,
}

impl Surroundings {
    pub(super) fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let uptime = read("/proc/uptime");
        Self {
            passwd: read("/etc/passwd"),
            group: read("/etc/group"),
            uptime: uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            now: Moment::now().nanoseconds(),
            memory: crate::engine::host::describe().memory_bytes,
        }
    }

    /// Seconds that a process has been there.
    fn age(&self, facts: &ProcessFacts) -> f64 {
        (self.uptime - in_seconds(facts.started)).max(0.0)
    }
}

impl Column {
    /// By ps's name for it, with its usual title.
    pub(super) fn named(name: &str) -> Option<(Self, &'static str)> {
        Some(match name {
            "user" | "euser" | "uname" => (Self::User, "USER"),
            "uid" | "euid" => (Self::UserId, "UID"),
            "group" | "egroup" => (Self::Group, "GROUP"),
            "gid" | "egid" => (Self::GroupId, "GID"),
            "pid" | "tgid" => (Self::Pid, "PID"),
            "ppid" => (Self::Ppid, "PPID"),
            "pgid" | "pgrp" => (Self::Pgid, "PGID"),
            "sid" | "sess" | "session" => (Self::Session, "SID"),
            "c" => (Self::Load, "C"),
            "pcpu" | "%cpu" => (Self::Percent, "%CPU"),
            "pmem" | "%mem" => (Self::MemoryPercent, "%MEM"),
            "vsz" | "vsize" => (Self::VirtualSize, "VSZ"),
            "rss" | "rssize" | "rsz" => (Self::Resident, "RSS"),
            "tty" | "tt" | "tname" => (Self::Tty, "TT"),
            "stat" => (Self::State, "STAT"),
            "s" | "state" => (Self::StateLetter, "S"),
            "start_time" | "bsdstart" | "start" => (Self::Started, "START"),
            "stime" => (Self::Started, "STIME"),
            "time" | "cputime" => (Self::LongTime, "TIME"),
            "bsdtime" => (Self::ShortTime, "TIME"),
            "etime" => (Self::Elapsed, "ELAPSED"),
            "etimes" => (Self::ElapsedSeconds, "ELAPSED"),
            "ni" | "nice" => (Self::Nice, "NI"),
            "pri" => (Self::Priority, "PRI"),
            "nlwp" | "thcount" => (Self::Threads, "NLWP"),
            "comm" | "ucmd" | "ucomm" => (Self::Name, "COMMAND"),
            "args" | "command" => (Self::Arguments, "COMMAND"),
            "cmd" => (Self::Arguments, "CMD"),
            _ => return None,
        })
    }

    pub(super) fn show(self, facts: &ProcessFacts, around: &Surroundings) -> String {
        match self {
            Self::User => account(&around.passwd, facts.uid),
            Self::UserId => facts.uid.to_string(),
            Self::Group => account(&around.group, facts.gid),
            Self::GroupId => facts.gid.to_string(),
            Self::Pid => facts.pid.to_string(),
            Self::Ppid => facts.ppid.to_string(),
            Self::Pgid => facts.pgrp.to_string(),
            Self::Session => facts.session.to_string(),
            Self::Load => format!("{:.0}", percent(facts, around).min(99.0).floor()),
            Self::Percent => format!("{:.1}", percent(facts, around)),
            Self::MemoryPercent => format!("{:.1}", share(facts.resident, around.memory)),
            Self::VirtualSize => (facts.virtual_size / 1024).to_string(),
            Self::Resident => (facts.resident / 1024).to_string(),
            Self::Tty => terminal(facts.tty),
            Self::State => state(facts),
            Self::StateLetter => facts.state.to_string(),
            Self::Started => started(facts, around),
            Self::LongTime => long(facts.ticks / 100),
            Self::ShortTime => format!("{}:{:02}", facts.ticks / 6000, facts.ticks / 100 % 60),
            Self::Elapsed => elapsed(whole(around.age(facts))),
            Self::ElapsedSeconds => whole(around.age(facts)).to_string(),
            Self::Nice => facts.nice.to_string(),
            // The scale that `ps -o pri` uses.
            Self::Priority => (39 - facts.priority).to_string(),
            Self::Threads => facts.threads.to_string(),
            Self::Name if facts.state == 'Z' => format!("{} <defunct>", facts.name),
            Self::Name => facts.name.clone(),
            Self::Arguments if facts.state == 'Z' => format!("[{}] <defunct>", facts.name),
            Self::Arguments if facts.arguments.is_empty() => format!("[{}]", facts.name),
            Self::Arguments => facts.arguments.join(" "),
        }
    }
}

/// A user's or a group's name, or the number.
fn account(file: &str, id: u32) -> String {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    };
    file.lines().find_map(name).unwrap_or_else(|| id.to_string())
}

fn percent(facts: &ProcessFacts, around: &Surroundings) -> f64 {
    let age = around.age(facts);
    if age > 0.0 { in_seconds(facts.ticks) * 100.0 / age } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage with one digit")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "no machine runs for so long")]
fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / 100.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, nor that old"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// tty(4)'s numbers.
fn terminal(number: u64) -> String {
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
    match (major, minor) {
        (0, _) => "?".to_owned(),
        (4, 0..=63) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".to_owned(),
        (136..=143, _) => format!("pts/{}", minor + (major - 136) * 256),
        _ => format!("{major}/{minor}"),
    }
}

/// The letter, and what ps says beside it.
fn state(facts: &ProcessFacts) -> String {
    let mut text = facts.state.to_string();
    let marks = [
        (facts.nice < 0, '<'),
        (facts.nice > 0, 'N'),
        (facts.session == facts.pid, 's'),
        (facts.threads > 1, 'l'),
        (facts.foreground > 0 && facts.foreground == facts.pgrp, '+'),
    ];
    text.extend(marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark));
    text
}

/// The time today, the day this year, else the year; in UTC.
fn started(facts: &ProcessFacts, around: &Surroundings) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a process is not that old")]
    let age = (around.age(facts) * 1e9) as i128;
    let text = |nanoseconds| {
        Moment::from_nanoseconds(nanoseconds).map(|moment| moment.to_string()).unwrap_or_default()
    };
    let (then, now) = (text(around.now - age), text(around.now));
    let month = then.get(5..7).and_then(|month| month.parse::<usize>().ok());
    match (then.get(..10), then.get(..4)) {
        (Some(day), _) if now.starts_with(day) => then.get(11..16).unwrap_or_default().to_owned(),
        (_, Some(year)) if now.starts_with(year) => {
            let month =
                month.and_then(|month| MONTHS.get(month.checked_sub(1)?)).copied().unwrap_or_default();
            format!("{month}{}", then.get(8..10).unwrap_or_default())
        }
        (_, year) => year.unwrap_or_default().to_owned(),
    }
}

/// `[days-]hours:minutes:seconds`.
fn long(seconds: u64) -> String {
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86_400 {
        0 => clock,
        days => format!("{days}-{clock}"),
    }
}

/// The same without hours that did not pass.
fn elapsed(seconds: u64) -> String {
    if seconds < 3600 { format!("{:02}:{:02}", seconds / 60, seconds % 60) } else { long(seconds) }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> ProcessFacts {
        ProcessFacts {
            pid: 7,
            session: 7,
            pgrp: 7,
            foreground: 7,
            tty: 0x8803,
            uid: 33,
            state: 'S',
            ticks: 360_100,
            started: 1000,
            threads: 2,
            resident: 8 << 20,
            name: "sh".to_owned(),
            arguments: vec!["sh".to_owned(), "-c".to_owned()],
            ..ProcessFacts::default()
        }
    }

    fn around() -> Surroundings {
        Surroundings {
            passwd: "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n".to_owned(),
            uptime: 7210.0,
            now: 1_700_000_000_000_000_000,
            memory: 80 << 20,
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_row_reads_as_ps_writes_it() {
        let show = |column: Column| column.show(&facts(), &around());
        assert_eq!((show(Column::User), show(Column::Tty)), ("web".into(), "pts/3".into()));
        assert_eq!((show(Column::LongTime), show(Column::ShortTime)), ("01:00:01".into(), "60:01".into()));
        assert_eq!((show(Column::Load), show(Column::Percent)), ("50".into(), "50.0".into()));
        assert_eq!((show(Column::MemoryPercent), show(Column::State)), ("10.0".into(), "Ssl+".into()));
        assert_eq!((show(Column::Arguments), show(Column::Elapsed)), ("sh -c".into(), "02:00:00".into()));
        // 22:13:20 less two hours.
        assert_eq!(show(Column::Started), "20:13");
    }

    #[test]
    fn the_dead_and_those_from_last_year_are_shown_as_such() {
        let dead = ProcessFacts { state: 'Z', arguments: Vec::new(), ..facts() };
        assert_eq!(Column::Arguments.show(&dead, &around()), "[sh] <defunct>");
        let days = |days: f64| Surroundings { uptime: 10.0 + days * 86_400.0, ..around() };
        assert_eq!(Column::Started.show(&facts(), &days(30.0)), "Oct15");
        assert_eq!(Column::Started.show(&facts(), &days(400.0)), "2022");
    }
}
