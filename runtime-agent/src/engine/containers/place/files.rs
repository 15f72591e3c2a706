//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`, written into the container's folder at each start.

use std::path::{Path, PathBuf};

use crate::engine::containers::record::ContainerRecord;
use crate::engine::containers::seams::Wired;
use crate::engine::containers::spec::Namespace;
use crate::engine::containers::world::World;
use crate::engine::error::{Error, Result};

/// Writes them, and says what goes where. A container in another's network uses the other's.
pub(in crate::engine::containers) async fn write(
    world: &World,
    record: &ContainerRecord,
    folder: &Path,
    network: &Namespace,
    wired: &Wired,
    linked: &str,
) -> Result<Vec<(PathBuf, &'static str)>> {
    if let Some(other) = record.host.network_mode.strip_prefix("container:") {
        let folder = world.folder_of(&world.index.find(other)?.id);
        return Ok(PLACES.iter().map(|(name, inside)| (folder.join(name), *inside)).collect());
    }
    let texts = [
        format!("{}\n", record.config.hostname),
        hosts(record, network, wired) + linked,
        resolver(world, record, network, wired),
    ];
    let mut places = Vec::new();
    for ((name, inside), text) in PLACES.iter().zip(texts) {
        let path = folder.join(name);
        // Derived: a torn one is written again at the next start.
        tokio::fs::write(&path, text)
            .await
            .map_err(|e| Error::internal(&format!("writing {}", path.display()), e))?;
        places.push((path, *inside));
    }
    Ok(places)
}

/// File name in the container's folder, and its place inside.
pub(crate) const PLACES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

fn hosts(record: &ContainerRecord, network: &Namespace, wired: &Wired) -> String {
    let mut text = match network {
        Namespace::Host => std::fs::read_to_string("/etc/hosts").unwrap_or_else(|_| LOCAL.to_owned()),
        _ => LOCAL.to_owned(),
    };
    let gateway =
        || wired.endpoints.values().map(|end| end.gateway.as_str()).find(|gateway| !gateway.is_empty());
    for extra in record.host.extra_hosts.iter().flatten() {
        let Some((name, address)) = extra.split_once('=').or_else(|| extra.split_once(':')) else { continue };
        let address = match address {
            "host-gateway" => gateway().unwrap_or("127.0.0.1"),
            address => address.trim_matches(['[', ']']),
        };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    let config = &record.config;
    let own = match config.domainname.as_str() {
        "" => config.hostname.clone(),
        domain => format!("{0}.{domain} {0}", config.hostname),
    };
    let addresses = wired.endpoints.values().flat_map(|end| [&end.ip_address, &end.global_ipv6_address]);
    for address in addresses.filter(|address| !address.is_empty()) {
        text.push_str(&format!("{address}\t{own}\n"));
    }
    text
}

/// The network's servers (on a network with names, the engine's own, which asks the client's), else the client's, else
/// the daemon's, else the host's that are reachable from inside.
fn resolver(world: &World, record: &ContainerRecord, network: &Namespace, wired: &Wired) -> String {
    let host = host_resolver();
    let host_network = *network == Namespace::Host;
    let chosen = [&wired.dns, &record.host.dns, &world.dns].into_iter().find(|servers| !servers.is_empty());
    let servers = chosen.cloned().unwrap_or_else(|| values(&host, "nameserver"));
    let reachable =
        servers.into_iter().filter(|server| host_network || chosen.is_some() || !is_loopback(server));
    let search = match record.host.dns_search.as_slice() {
        [] => values(&host, "search"),
        [dot] if dot == "." => Vec::new(),
        own => own.to_vec(),
    };
    let options = match record.host.dns_options.as_slice() {
        [] => values(&host, "options"),
        own => own.to_vec(),
    };
    let mut text: String = reachable.map(|server| format!("nameserver {server}\n")).collect();
    for (key, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{key} {}\n", words.join(" ")));
        }
    }
    text
}

/// systemd's stub listens on the host's loopback only; the file beside it names the real servers.
fn host_resolver() -> String {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if values(&text, "nameserver") == ["127.0.0.53"] {
        return std::fs::read_to_string("/run/systemd/resolve/resolv.conf").unwrap_or(text);
    }
    text
}

fn values(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix([' ', '\t']));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or(server);
    address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

const LOCAL: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_lines_are_read_by_key() {
        let text =
            "# x\nnameserver 1.1.1.1\nnameserver\t127.0.0.1\nsearch a b\noptions ndots:2\nnameservers 9\n";
        assert_eq!(values(text, "nameserver"), ["1.1.1.1", "127.0.0.1"]);
        assert_eq!(values(text, "search"), ["a", "b"]);
        assert!(is_loopback("127.0.0.1") && is_loopback("::1") && !is_loopback("fe80::1%eth0"));
    }
}
