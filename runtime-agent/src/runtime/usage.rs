//! What a container uses: read from its control groups, of version 1 and 2, and from its network.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::cgroup::{self, Group};

/// One look at everything. What a kernel does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub processors: Processors,
    /// Memory.
    pub memory: Memory,
    /// Block devices.
    pub devices: Devices,
    /// Processes and threads now.
    pub pids: Option<u64>,
    /// The most of them; absent without a limit.
    pub pids_limit: Option<u64>,
    /// Interfaces but the loopback, by name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processors {
    /// All of it.
    pub total: u64,
    /// In the kernel.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
    /// By processor; version 1 only.
    pub each: Option<Vec<u64>>,
    /// Periods of the quota in which it ran.
    pub periods: u64,
    /// Those in which it was stopped.
    pub throttled_periods: u64,
    /// For how long.
    pub throttled: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Now, page cache included.
    pub usage: Option<u64>,
    /// The most there was; version 1 only.
    pub max_usage: Option<u64>,
    /// How often the limit was hit.
    pub failures: Option<u64>,
    /// Absent when there is none.
    pub limit: Option<u64>,
    /// The kernel's own table.
    pub table: BTreeMap<String, u64>,
}

/// Block devices: bytes and operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// Bytes.
    pub bytes: Vec<Transfer>,
    /// Operations.
    pub operations: Vec<Transfer>,
    /// Whether these are version 2's, which tells nothing else.
    pub unified: bool,
}

/// What went to or from one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Of the device.
    pub major: u64,
    /// Of the device.
    pub minor: u64,
    /// In the kernel's words.
    pub operation: String,
    /// How much.
    pub value: u64,
}

/// Counters of one interface: bytes, packets, errors, dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interface {
    /// Received.
    pub received: [u64; 4],
    /// Sent.
    pub sent: [u64; 4],
}

/// Of the container whose first process this is.
pub(super) fn of(pid: i32, id: &str) -> io::Result<Usage> {
    let groups = cgroup::container(pid, id)?;
    let network = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let mut usage = read(&groups);
    usage.interfaces = interfaces(&network);
    Ok(usage)
}

fn read(groups: &[Group]) -> Usage {
    let mut usage = Usage::default();
    let unified =
        groups.iter().find(|group| group.is_v2()).filter(|group| group.folder.join("cpu.stat").exists());
    // Beside version 1, version 2 has no controllers and tells little.
    let legacy =
        |name: &str| groups.iter().find(|group| group.controls(name)).map(|group| group.folder.as_path());
    match (legacy("cpuacct"), unified) {
        (Some(folder), _) => processors_v1(folder, legacy("cpu"), &mut usage.processors),
        (None, Some(group)) => processors_v2(&group.folder, &mut usage.processors),
        (None, None) => {}
    }
    match (legacy("memory"), unified) {
        (Some(folder), _) => memory_v1(folder, &mut usage.memory),
        (None, Some(group)) => memory_v2(&group.folder, &mut usage.memory),
        (None, None) => {}
    }
    match (legacy("blkio"), unified) {
        (Some(folder), _) => devices_v1(folder, &mut usage.devices),
        (None, Some(group)) => devices_v2(&group.folder, &mut usage.devices),
        (None, None) => {}
    }
    if let Some(folder) = legacy("pids").or(unified.map(|group| group.folder.as_path())) {
        usage.pids = number(folder, "pids.current");
        usage.pids_limit = number(folder, "pids.max");
    }
    usage
}

fn processors_v1(accounting: &Path, quota: Option<&Path>, to: &mut Processors) {
    to.total = number(accounting, "cpuacct.usage").unwrap_or(0);
    let ticks = table(accounting, "cpuacct.stat");
    let tick = |key: &str| ticks.get(key).copied().unwrap_or(0).saturating_mul(TICK);
    (to.user, to.kernel) = (tick("user"), tick("system"));
    let each = text(accounting, "cpuacct.usage_percpu");
    to.each = Some(each.split_whitespace().filter_map(|part| part.parse().ok()).collect());
    if let Some(quota) = quota {
        let stat = table(quota, "cpu.stat");
        let of = |key: &str| stat.get(key).copied().unwrap_or(0);
        (to.periods, to.throttled_periods, to.throttled) =
            (of("nr_periods"), of("nr_throttled"), of("throttled_time"));
    }
}

fn processors_v2(folder: &Path, to: &mut Processors) {
    let stat = table(folder, "cpu.stat");
    let of = |key: &str| stat.get(key).copied().unwrap_or(0);
    let nanoseconds = |key: &str| of(key).saturating_mul(1000);
    (to.total, to.user, to.kernel) =
        (nanoseconds("usage_usec"), nanoseconds("user_usec"), nanoseconds("system_usec"));
    (to.periods, to.throttled_periods) = (of("nr_periods"), of("nr_throttled"));
    to.throttled = nanoseconds("throttled_usec");
}

fn memory_v1(folder: &Path, to: &mut Memory) {
    to.usage = number(folder, "memory.usage_in_bytes");
    to.max_usage = number(folder, "memory.max_usage_in_bytes");
    to.failures = number(folder, "memory.failcnt");
    // No limit is a number that no machine has.
    to.limit = number(folder, "memory.limit_in_bytes").filter(|limit| *limit < 1 << 62);
    to.table = table(folder, "memory.stat");
}

fn memory_v2(folder: &Path, to: &mut Memory) {
    to.usage = number(folder, "memory.current");
    to.failures = table(folder, "memory.events").get("oom").copied();
    to.limit = number(folder, "memory.max");
    to.table = table(folder, "memory.stat");
}

fn devices_v1(folder: &Path, to: &mut Devices) {
    // The scheduler's counters where it counts, else those of the throttle.
    let read = |names: [&str; 2]| {
        let found = names.iter().map(|name| transfers_v1(&text(folder, name)));
        found.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
    };
    to.bytes = read(["blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive"]);
    to.operations = read(["blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive"]);
}

/// `8:0 Read 4096`; the sum at the end has no device.
fn transfers_v1(text: &str) -> Vec<Transfer> {
    let line = |line: &str| {
        let mut parts = line.split_whitespace();
        let (major, minor) = parts.next()?.split_once(':')?;
        let operation = parts.next()?.to_owned();
        let value = parts.next()?.parse().ok()?;
        Some(Transfer { major: major.parse().ok()?, minor: minor.parse().ok()?, operation, value })
    };
    text.lines().filter_map(line).collect()
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`
fn devices_v2(folder: &Path, to: &mut Devices) {
    to.unified = true;
    for line in text(folder, "io.stat").lines() {
        let mut parts = line.split_whitespace();
        let numbers = parts.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = numbers.map(|(a, b)| (a.parse(), b.parse())) else { continue };
        for part in parts {
            let Some((key, Ok(value))) = part.split_once('=').map(|(key, value)| (key, value.parse())) else {
                continue;
            };
            let (list, operation) = match key {
                "rbytes" => (&mut to.bytes, "read"),
                "wbytes" => (&mut to.bytes, "write"),
                "rios" => (&mut to.operations, "read"),
                "wios" => (&mut to.operations, "write"),
                _ => continue,
            };
            list.push(Transfer { major, minor, operation: operation.to_owned(), value });
        }
    }
}

fn interfaces(text: &str) -> BTreeMap<String, Interface> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let four = |at: usize| {
            Some([*numbers.get(at)?, *numbers.get(at + 1)?, *numbers.get(at + 2)?, *numbers.get(at + 3)?])
        };
        Some((name.trim().to_owned(), Interface { received: four(0)?, sent: four(8)? }))
    };
    text.lines().filter_map(line).filter(|(name, _)| name != "lo").collect()
}

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap_or_default()
}

/// `max` and what is not there are none.
fn number(folder: &Path, file: &str) -> Option<u64> {
    text(folder, file).trim().parse().ok()
}

fn table(folder: &Path, file: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text(folder, file).lines().filter_map(line).collect()
}

/// Nanoseconds of one tick.
const TICK: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let mut file = std::fs::File::create(folder.path().join(name)).unwrap();
            io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }
        folder
    }

    #[test]
    fn version_2_is_read() {
        let folder = folder(&[
            (
                "cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 5\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\noom 3\n"),
            ("memory.stat", "anon 1\ninactive_file 2\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
            ("pids.current", "7\n"),
            ("pids.max", "100\n"),
        ]);
        let usage = read(&[Group::new(folder.path(), &[])]);
        let processors = &usage.processors;
        assert_eq!((processors.total, processors.user, processors.kernel), (30_000, 20_000, 10_000));
        assert_eq!((processors.periods, processors.throttled_periods, processors.throttled), (4, 2, 5000));
        assert_eq!(
            (usage.memory.usage, usage.memory.limit, usage.memory.failures),
            (Some(4096), None, Some(3))
        );
        assert_eq!(usage.memory.table["inactive_file"], 2);
        assert_eq!((usage.pids, usage.pids_limit), (Some(7), Some(100)));
        assert_eq!((usage.devices.bytes[1].value, usage.devices.operations[0].value), (2, 3));
        assert!(usage.devices.unified && usage.processors.each.is_none());
    }

    #[test]
    fn version_1_is_read() {
        let files = [
            ("cpuacct.usage", "50\n"),
            ("cpuacct.stat", "user 1\nsystem 2\n"),
            ("cpuacct.usage_percpu", "20 30 \n"),
            ("memory.usage_in_bytes", "10\n"),
            ("memory.max_usage_in_bytes", "20\n"),
            ("memory.failcnt", "1\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.stat", "cache 3\ntotal_inactive_file 4\n"),
            ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 5\n8:0 Total 5\nTotal 5\n"),
        ];
        let folder = folder(&files);
        let usage = read(&[Group::new(folder.path(), &["cpuacct", "memory", "blkio"])]);
        assert_eq!((usage.processors.total, usage.processors.kernel), (50, 20_000_000));
        assert_eq!(usage.processors.each, Some(vec![20, 30]));
        assert_eq!((usage.memory.max_usage, usage.memory.limit), (Some(20), None));
        assert_eq!(usage.devices.bytes.len(), 2);
    }

    #[test]
    fn interfaces_are_counted_but_the_loopback() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
                    eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n";
        let found = interfaces(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found["eth0"].received, found["eth0"].sent), ([10, 2, 3, 4], [50, 6, 7, 8]));
    }
}
