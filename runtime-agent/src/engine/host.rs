//! What the machine is and can do, as `/version` and `/info` tell it.

use std::path::Path;

/// The architecture as Go names it, which is what clients compare.
pub(crate) const ARCHITECTURE_IN_GO: &str = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => "amd64",
    b"aarch64" => "arm64",
    _ => std::env::consts::ARCH,
};

/// Facts that can change while the daemon runs are read anew each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) operating_system: String,
    pub(crate) operating_system_version: String,
    pub(crate) processors: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) forwards_ipv4: bool,
}

/// Reads them. What cannot be read is empty or zero: a strange host still gets an answer.
pub(crate) fn describe() -> Host {
    let uname = rustix::system::uname();
    let os_release =
        ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| std::fs::read_to_string(path).ok());
    let os_release = os_release.unwrap_or_default();
    Host {
        name: uname.nodename().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        operating_system: release_field(&os_release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        operating_system_version: release_field(&os_release, "VERSION_ID").unwrap_or_default(),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        memory_bytes: std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| memory_total(&text))
            .unwrap_or(0),
        forwards_ipv4: std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")
            .is_ok_and(|text| text.trim() == "1"),
    }
}

/// What control groups can limit here. Read anew each time: systemd may delegate more while we run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Which version of control groups containers get.
    pub(crate) cgroup_version: u8,
    pub(crate) memory: bool,
    pub(crate) swap: bool,
    pub(crate) cpu: bool,
    pub(crate) cpuset: bool,
    pub(crate) pids: bool,
    pub(crate) oom_kill_disable: bool,
}

pub(crate) fn limits() -> Limits {
    limits_of(Path::new(CGROUPS))
}

const CGROUPS: &str = "/sys/fs/cgroup";

fn limits_of(root: &Path) -> Limits {
    // The unified hierarchy counts only when it is the root one; beside v1 it has no controllers.
    let Ok(unified) = std::fs::read_to_string(root.join("cgroup.controllers")) else {
        return legacy_limits(root);
    };
    let has = |controller: &str| unified.split_whitespace().any(|c| c == controller);
    Limits {
        cgroup_version: 2,
        memory: has("memory"),
        swap: has("memory") && Path::new("/proc/swaps").exists(),
        cpu: has("cpu"),
        cpuset: has("cpuset"),
        pids: has("pids"),
        oom_kill_disable: false,
    }
}

fn legacy_limits(root: &Path) -> Limits {
    let has = |file: &str| root.join(file).exists();
    Limits {
        cgroup_version: 1,
        memory: has("memory/memory.limit_in_bytes"),
        swap: has("memory/memory.memsw.limit_in_bytes"),
        cpu: has("cpu/cpu.cfs_quota_us"),
        cpuset: has("cpuset/cpuset.cpus"),
        pids: has("pids"),
        oom_kill_disable: has("memory/memory.oom_control"),
    }
}

fn release_field(text: &str, field: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix('='))?;
    Some(line.trim_matches(['"', '\'']).to_owned())
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_files_as_distributions_write_them() {
        let text = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=12\n";
        assert_eq!(release_field(text, "PRETTY_NAME").unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(release_field(text, "VERSION_ID").unwrap(), "12");
        assert_eq!(release_field(text, "VERSION"), None);
        assert_eq!(memory_total("MemTotal:       24000 kB\nMemFree: 1 kB\n"), Some(24_576_000));
    }

    #[test]
    fn limits_follow_the_controllers() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(limits_of(root.path()), Limits { cgroup_version: 1, ..Limits::default() });
        for folder in ["memory", "pids"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        std::fs::File::create(root.path().join("memory/memory.limit_in_bytes")).unwrap();
        let legacy = limits_of(root.path());
        assert!(legacy.memory && legacy.pids && !legacy.swap && !legacy.cpu);
        let mut file = std::fs::File::create(root.path().join("cgroup.controllers")).unwrap();
        std::io::Write::write_all(&mut file, b"cpu pids\n").unwrap();
        let unified = limits_of(root.path());
        assert_eq!(
            (unified.cgroup_version, unified.cpu, unified.pids, unified.memory),
            (2, true, true, false)
        );
    }

    #[test]
    fn this_host_has_a_name_and_a_kernel() {
        let host = describe();
        assert!(!host.kernel.is_empty() && host.processors > 0);
    }
}
