//! Which capabilities a container's processes get: the default ones, what is added and dropped, and never more than
//! the host's bounding set has.

use std::collections::BTreeSet;

use wharfd_api_types::container::HostConfig;

use crate::engine::error::{Error, Result};

/// The host's bounding set, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bounds(BTreeSet<String>);

impl Bounds {
    /// Reads `CapBnd` of a `/proc/…/status`.
    pub(crate) fn parse(status: &str) -> Self {
        let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
        let names = NAMES.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        Self(names.map(|(_, name)| format!("CAP_{name}")).collect())
    }

    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self(NAMES.iter().map(|name| format!("CAP_{name}")).collect())
    }

    #[cfg(test)]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }
}

/// The set for a container. A capability that was asked for by name and that the host cannot give is an error; from the
/// default set and from `ALL` it is left out, since the host's own root does not have it either.
pub(crate) fn granted(host: &HostConfig, bounds: &Bounds) -> Result<BTreeSet<String>> {
    if host.privileged {
        return Ok(bounds.0.clone());
    }
    let added = parse(host.cap_add.as_deref().unwrap_or_default())?;
    let dropped = parse(host.cap_drop.as_deref().unwrap_or_default())?;
    let mut set: BTreeSet<String> = match (added.contains(ALL), dropped.contains(ALL)) {
        (true, _) => bounds.0.clone(),
        (false, true) => BTreeSet::new(),
        (false, false) => DEFAULT.iter().map(|name| format!("CAP_{name}")).collect(),
    };
    set.retain(|name| bounds.0.contains(name));
    if !added.contains(ALL) || !dropped.contains(ALL) {
        set.retain(|name| !dropped.contains(name));
    }
    for name in added.iter().filter(|name| *name != ALL) {
        if !bounds.0.contains(name) {
            return Err(Error::invalid(format!(
                "invalid CapAdd: this host does not have the capability {name}"
            )));
        }
        set.insert(name.clone());
    }
    Ok(set)
}

fn parse(names: &[String]) -> Result<BTreeSet<String>> {
    names.iter().map(|name| full_name(name)).collect()
}

fn full_name(name: &str) -> Result<String> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match bare {
        ALL => Ok(ALL.to_owned()),
        known if NAMES.contains(&known) => Ok(format!("CAP_{known}")),
        _ => Err(Error::invalid(format!("invalid capability: unknown capability: \"{name}\""))),
    }
}

const ALL: &str = "ALL";

/// What dockerd gives to a container that asks for nothing.
const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// In the kernel's order, which is the bit's number.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    fn grant(json: &str) -> BTreeSet<String> {
        granted(&host(json), &Bounds::all()).unwrap()
    }

    #[test]
    fn the_default_set_is_dockers() {
        let set = grant("{}");
        assert_eq!(set.len(), 14);
        assert!(set.contains("CAP_NET_RAW") && !set.contains("CAP_SYS_ADMIN"));
    }

    #[test]
    fn adding_and_dropping_takes_any_spelling() {
        let set = grant(r#"{"CapAdd":["net_admin","CAP_SYS_TIME"],"CapDrop":["Cap_Chown"]}"#);
        assert!(set.contains("CAP_NET_ADMIN") && set.contains("CAP_SYS_TIME") && !set.contains("CAP_CHOWN"));
        assert_eq!(grant(r#"{"CapDrop":["ALL"],"CapAdd":["KILL"]}"#), ["CAP_KILL".to_owned()].into());
        let all_but_one = grant(r#"{"CapAdd":["ALL"],"CapDrop":["SYS_ADMIN"]}"#);
        assert!(all_but_one.len() == NAMES.len() - 1 && !all_but_one.contains("CAP_SYS_ADMIN"));
        assert!(granted(&host(r#"{"CapAdd":["MAGIC"]}"#), &Bounds::all()).is_err());
    }

    #[test]
    fn a_short_host_gives_privileged_what_it_has_and_refuses_what_was_named() {
        let short = Bounds::all().without("CAP_SYS_RESOURCE");
        let privileged = granted(&host(r#"{"Privileged":true}"#), &short).unwrap();
        assert_eq!(privileged.len(), NAMES.len() - 1);
        let named = granted(&host(r#"{"CapAdd":["SYS_RESOURCE"]}"#), &short).unwrap_err();
        assert!(named.to_string().contains("CAP_SYS_RESOURCE"));
    }

    #[test]
    fn the_bounding_set_is_read_by_bits() {
        let bounds = Bounds::parse("Name:\tx\nCapBnd:\t0000000000000021\n");
        assert_eq!(bounds.0, ["CAP_CHOWN".to_owned(), "CAP_KILL".to_owned()].into());
    }
}
