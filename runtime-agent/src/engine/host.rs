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

/// Which version of control groups containers get.
pub(crate) fn cgroup_version() -> u8 {
    // The unified hierarchy counts only when it is the root one; beside v1 it has no controllers.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { 2 } else { 1 }
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
    fn this_host_has_a_name_and_a_kernel() {
        let host = describe();
        assert!(!host.kernel.is_empty() && host.processors > 0);
    }
}
