//! Small texts inside a create: variables, hosts, ports, processor sets, tmpfs options, device permissions. What cannot
//! be read is refused with dockerd's words, before anything is made.

use std::net::IpAddr;

use wharfd_api_types::container::{ContainerConfig, HostConfig};

use crate::engine::error::{Error, Result};

/// Refuses the first that cannot be read.
pub(super) fn check(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    if let Some(line) = config.env.iter().flatten().find(|line| line.is_empty() || line.starts_with('=')) {
        return Err(Error::invalid(format!("invalid environment variable: {line}")));
    }
    host.extra_hosts.iter().flatten().try_for_each(|line| extra_host(line))?;
    let places = host.port_bindings.values().flatten().flatten();
    for place in places {
        host_port(&place.host_port)?;
        host_address(&place.host_ip)?;
    }
    processor_set("cpus", &host.cpuset_cpus)?;
    processor_set("mems", &host.cpuset_mems)?;
    for options in host.tmpfs.iter().flat_map(|tmpfs| tmpfs.values()) {
        options.split(',').filter(|option| !option.is_empty()).try_for_each(tmpfs_option)?;
    }
    let permissions = host.devices.iter().map(|device| device.cgroup_permissions.as_str());
    match permissions.into_iter().find(|text| text.contains(|c: char| !"rwm".contains(c))) {
        Some(wrong) => Err(Error::invalid(format!("bad mode specified: {wrong}"))),
        None => Ok(()),
    }
}

/// `name:address` or `name=address`; an address may stand in brackets, and be `host-gateway`.
fn extra_host(line: &str) -> Result<()> {
    let parts = line.split_once('=').or_else(|| line.split_once(':'));
    let Some((_, address)) = parts.filter(|(name, _)| !name.is_empty()) else {
        return Err(Error::invalid(format!("bad format for add-host: {line:?}")));
    };
    let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if plain == "host-gateway" || plain.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid IP address in add-host: {address:?}")))
}

/// Nothing, a port, or a range of ports.
fn host_port(text: &str) -> Result<()> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let read = low.parse::<u16>().ok().zip(high.parse::<u16>().ok());
    if text.is_empty() || read.is_some_and(|(low, high)| low <= high) {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid port specification: {text:?}")))
}

/// Nothing, which is everywhere, or an address; IPv6 ones may stand in brackets.
fn host_address(text: &str) -> Result<()> {
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if text.is_empty() || plain.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid IP address: {text}")))
}

/// `0-2,4`.
fn processor_set(what: &str, text: &str) -> Result<()> {
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let read = low.trim().parse::<u32>().ok().zip(high.trim().parse::<u32>().ok());
        read.is_some_and(|(low, high)| low <= high)
    };
    if text.is_empty() || text.split(',').all(range) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid value {text} for cpuset {what}: invalid format: {text}")))
}

fn tmpfs_option(option: &str) -> Result<()> {
    const FLAGS: [&str; 26] = [
        "async",
        "atime",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "mand",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "private",
        "relatime",
        "remount",
        "ro",
        "rprivate",
        "rw",
        "strictatime",
        "suid",
        "sync",
        "slave",
    ];
    const VALUES: [&str; 7] = ["gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];
    let known = match option.split_once('=') {
        Some((name, _)) => VALUES.contains(&name),
        None => FLAGS.contains(&option) || option.trim_start_matches('r') == "shared",
    };
    if known { Ok(()) } else { Err(Error::invalid(format!("invalid tmpfs option [{option:?}]"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &str, host: &str) -> Option<String> {
        let read = (serde_json::from_str(config).unwrap(), serde_json::from_str(host).unwrap());
        check(&read.0, &read.1).err().map(|error| error.to_string())
    }

    #[test]
    fn what_clients_send_passes() {
        let host = r#"{"ExtraHosts":["a:1.2.3.4","b=[::1]","c:host-gateway","d:fe80::1"],"CpusetCpus":"0-1,3",
            "PortBindings":{"80/tcp":[{"HostPort":""},{"HostPort":"80"},{"HostIp":"[::1]","HostPort":"80-90"}],"1/udp":null},
            "Tmpfs":{"/t":"rw,size=1m,mode=1777","/u":""},"Devices":[{"PathOnHost":"/dev/null","CgroupPermissions":"rw"}]}"#;
        assert_eq!(refusal(r#"{"Env":["A=b","C","D="]}"#, host), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (host, text) in [
            (r#"{"ExtraHosts":["bogus"]}"#, r#"bad format for add-host: "bogus""#),
            (r#"{"ExtraHosts":["a:x"]}"#, r#"invalid IP address in add-host: "x""#),
            (
                r#"{"PortBindings":{"80/tcp":[{"HostPort":"90-80"}]}}"#,
                r#"invalid port specification: "90-80""#,
            ),
            (
                r#"{"PortBindings":{"80/tcp":[{"HostPort":"70000"}]}}"#,
                r#"invalid port specification: "70000""#,
            ),
            (r#"{"PortBindings":{"80/tcp":[{"HostIp":"x"}]}}"#, "invalid IP address: x"),
            (r#"{"CpusetCpus":"x"}"#, "Invalid value x for cpuset cpus: invalid format: x"),
            (r#"{"Tmpfs":{"/t":"bogus"}}"#, r#"invalid tmpfs option ["bogus"]"#),
            (r#"{"Devices":[{"CgroupPermissions":"x"}]}"#, "bad mode specified: x"),
        ] {
            assert_eq!(refusal("{}", host).as_deref(), Some(text));
        }
        assert_eq!(refusal(r#"{"Env":["=x"]}"#, "{}").as_deref(), Some("invalid environment variable: =x"));
    }
}
