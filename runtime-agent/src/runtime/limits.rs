//! Limits of a container that runs: written into its control groups, all of them or none.

use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::{self, Group};

/// What changes; the rest stays. -1 takes a limit away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<i64>,
    /// Memory and swap together.
    pub memory_and_swap: Option<i64>,
    /// What is left to it when memory is short.
    pub reservation: Option<i64>,
    /// Its weight, 1024 being the usual one.
    pub shares: Option<i64>,
    /// Microseconds in each period.
    pub quota: Option<i64>,
    /// Microseconds.
    pub period: Option<i64>,
    /// Processors that it may use.
    pub processors: Option<String>,
    /// Memory nodes that it may use.
    pub nodes: Option<String>,
    /// Processes and threads.
    pub pids: Option<i64>,
    /// 10 to 1000.
    pub block_weight: Option<u16>,
}

/// One file and what it shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    path: PathBuf,
    value: String,
}

/// Sets them for the container whose first process this is.
pub(super) fn set(pid: i32, id: &str, limits: &Limits) -> io::Result<()> {
    apply(&settings(&cgroup::container(pid, id)?, limits))
}

/// What was written is written back when a later one is refused.
fn apply(settings: &[Setting]) -> io::Result<()> {
    let mut before = Vec::new();
    for setting in settings {
        let old = std::fs::read_to_string(&setting.path).unwrap_or_default();
        if let Err(error) = write(setting) {
            for undo in before.iter().rev() {
                // The first refusal is the one to tell.
                let _ = write(undo);
            }
            return Err(error);
        }
        before.push(Setting { path: setting.path.clone(), value: old.trim().to_owned() });
    }
    Ok(())
}

fn write(setting: &Setting) -> io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(&setting.path);
    let written = file.and_then(|mut file| io::Write::write_all(&mut file, setting.value.as_bytes()));
    let Setting { path, value } = setting;
    written.map_err(|error| {
        io::Error::new(error.kind(), format!("writing {value} to {}: {error}", path.display()))
    })
}

fn settings(groups: &[Group], limits: &Limits) -> Vec<Setting> {
    let legacy =
        |name: &str| groups.iter().find(|group| group.controls(name)).map(|group| group.folder.as_path());
    let unified = groups.iter().find(|group| group.is_v2()).map(|group| group.folder.as_path());
    let mut settings = Settings(Vec::new());
    match (legacy("memory"), unified) {
        (Some(folder), _) => settings.memory_v1(folder, limits),
        (None, Some(folder)) => settings.memory_v2(folder, limits),
        (None, None) => {}
    }
    match (legacy("cpu"), unified) {
        (Some(folder), _) => settings.processor_v1(folder, limits),
        (None, Some(folder)) => settings.processor_v2(folder, limits),
        (None, None) => {}
    }
    if let Some(folder) = legacy("cpuset").or(unified) {
        settings.add(folder, "cpuset.cpus", limits.processors.clone());
        settings.add(folder, "cpuset.mems", limits.nodes.clone());
    }
    if let Some(folder) = legacy("pids").or(unified) {
        settings.add(folder, "pids.max", limits.pids.map(or_max));
    }
    let weight = limits.block_weight;
    match (legacy("blkio"), unified) {
        (Some(folder), _) => {
            let names = ["blkio.weight", "blkio.bfq.weight"];
            let name = names.into_iter().find(|name| folder.join(name).exists()).unwrap_or(names[0]);
            settings.add(folder, name, weight.map(|weight| weight.to_string()));
        }
        (None, Some(folder)) => {
            settings.add(folder, "io.weight", weight.map(|weight| format!("default {weight}")));
        }
        (None, None) => {}
    }
    settings.0
}

struct Settings(Vec<Setting>);

impl Settings {
    fn add(&mut self, folder: &Path, file: &str, value: Option<String>) {
        self.0.extend(value.map(|value| Setting { path: folder.join(file), value }));
    }

    /// Memory may never be more than memory and swap together, at no moment.
    fn memory_v1(&mut self, folder: &Path, limits: &Limits) {
        let now = number(folder, "memory.memsw.limit_in_bytes").unwrap_or(i64::MAX);
        let memory = limits.memory.map(|limit| ("memory.limit_in_bytes", limit));
        let swap = limits.memory_and_swap.map(|limit| ("memory.memsw.limit_in_bytes", limit));
        let raises = memory.is_some_and(|(_, limit)| limit > now || limit < 0);
        for (file, limit) in if raises { [swap, memory] } else { [memory, swap] }.into_iter().flatten() {
            self.add(folder, file, Some(limit.to_string()));
        }
        self.add(folder, "memory.soft_limit_in_bytes", limits.reservation.map(|limit| limit.to_string()));
    }

    /// Here swap is counted alone.
    fn memory_v2(&mut self, folder: &Path, limits: &Limits) {
        self.add(folder, "memory.max", limits.memory.map(or_max));
        let memory = limits.memory.or_else(|| number(folder, "memory.max"));
        let swap = limits.memory_and_swap.map(|both| match memory {
            Some(memory) if both >= memory && memory >= 0 => (both - memory).to_string(),
            _ => or_max(both),
        });
        self.add(folder, "memory.swap.max", swap);
        self.add(folder, "memory.low", limits.reservation.map(or_max));
    }

    fn processor_v1(&mut self, folder: &Path, limits: &Limits) {
        self.add(folder, "cpu.shares", limits.shares.map(|shares| shares.to_string()));
        self.add(folder, "cpu.cfs_period_us", limits.period.map(|period| period.to_string()));
        self.add(folder, "cpu.cfs_quota_us", limits.quota.map(|quota| quota.to_string()));
    }

    fn processor_v2(&mut self, folder: &Path, limits: &Limits) {
        self.add(folder, "cpu.weight", limits.shares.map(|shares| weight(shares).to_string()));
        if limits.quota.is_none() && limits.period.is_none() {
            return;
        }
        let now = std::fs::read_to_string(folder.join("cpu.max")).unwrap_or_default();
        let mut now = now.split_whitespace().map(str::to_owned);
        let (quota, period) = (now.next().unwrap_or("max".into()), now.next().unwrap_or("100000".into()));
        let quota = limits.quota.map_or(quota, or_max);
        let period = limits.period.map_or(period, |period| period.to_string());
        self.add(folder, "cpu.max", Some(format!("{quota} {period}")));
    }
}

/// Shares from 2 to 262144 become weights from 1 to 10000, as every runtime has it.
fn weight(shares: i64) -> i64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

fn or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

fn number(folder: &Path, file: &str) -> Option<i64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(groups: &[Group], limits: &Limits) -> Vec<(String, String)> {
        let name = |setting: Setting| {
            (setting.path.file_name().unwrap().to_string_lossy().into_owned(), setting.value)
        };
        settings(groups, limits).into_iter().map(name).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(file, value)| ((*file).to_owned(), (*value).to_owned())).collect()
    }

    fn limits() -> Limits {
        Limits {
            memory: Some(100),
            memory_and_swap: Some(150),
            shares: Some(1024),
            quota: Some(5000),
            pids: Some(-1),
            ..Limits::default()
        }
    }

    #[test]
    fn version_2_counts_swap_alone_and_weighs() {
        let folder = tempfile::tempdir().unwrap();
        let found = named(&[Group::new(folder.path(), &[])], &limits());
        let expected = [
            ("memory.max", "100"),
            ("memory.swap.max", "50"),
            ("cpu.weight", "39"),
            ("cpu.max", "5000 100000"),
            ("pids.max", "max"),
        ];
        assert_eq!(found, owned(&expected));
    }

    #[test]
    fn version_1_raises_both_in_the_order_that_the_kernel_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let groups = [Group::new(folder.path(), &["memory"])];
        let put = |value: &str| {
            let mut file = std::fs::File::create(folder.path().join("memory.memsw.limit_in_bytes")).unwrap();
            io::Write::write_all(&mut file, value.as_bytes()).unwrap();
        };
        put("50\n");
        assert_eq!(named(&groups, &limits())[0].0, "memory.memsw.limit_in_bytes");
        put("500\n");
        assert_eq!(named(&groups, &limits())[0].0, "memory.limit_in_bytes");
    }

    #[test]
    fn a_refusal_takes_back_what_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first");
        io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"1").unwrap();
        let setting = |path: &Path| Setting { path: path.to_owned(), value: "2".to_owned() };
        let refused = apply(&[setting(&path), setting(&folder.path().join("missing"))]).unwrap_err();
        assert!(refused.to_string().contains("missing"), "{refused}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1");
    }
}
