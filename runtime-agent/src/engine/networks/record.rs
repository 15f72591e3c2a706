//! What is kept of networks on disk: their definitions, and what containers were given until they end.
//!
//! ```text
//! <data-root>/networks/<id>.json      a network; survives a reboot
//! <exec-root>/net/<container>.json    what one container holds; written before the kernel is asked for any of it
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::net::{Address, Subnet};
use crate::store::record;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: String,
    pub(crate) driver: Driver,
    #[serde(default)]
    pub(crate) internal: bool,
    #[serde(default)]
    pub(crate) attachable: bool,
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) ipam_options: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Driver {
    /// A bridge with a subnet.
    Bridge(Bridged),
    /// The host's own.
    Host,
    /// Nothing but a loopback.
    Null,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bridged {
    pub(crate) bridge: String,
    #[serde(flatten)]
    pub(crate) pool: Pool<Ipv4Addr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pool_ipv6: Option<Pool<Ipv6Addr>>,
    /// The one that containers are connected to without asking: no names there, as with dockerd.
    #[serde(default)]
    pub(crate) is_default: bool,
    /// The bridge was there before the network, and stays after it.
    #[serde(default)]
    pub(crate) is_adopted: bool,
}

/// A network's addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "A: Address + Serialize", deserialize = "A: Address + Deserialize<'de>"))]
pub(crate) struct Pool<A> {
    pub(crate) subnet: Subnet<A>,
    pub(crate) gateway: A,
    /// Containers get addresses from here only.
    #[serde(default)]
    pub(crate) range: Option<Subnet<A>>,
    /// Addresses that are somebody else's, by name.
    #[serde(default)]
    pub(crate) auxiliary: BTreeMap<String, A>,
}

/// What one container holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) namespace: PathBuf,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) ports: Vec<Port>,
    /// Where names that are nobody's here are looked up, instead of the host's servers.
    pub(crate) dns: Vec<IpAddr>,
}

/// A container's end of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    /// The network's id.
    pub(crate) network: String,
    pub(crate) address: Ipv4Addr,
    /// On a network that has IPv6.
    #[serde(default)]
    pub(crate) address_ipv6: Option<Ipv6Addr>,
    pub(crate) mac: String,
    /// The link's end on the host.
    pub(crate) link: String,
    /// Its end inside.
    pub(crate) inside: String,
    /// What others on the network may call it.
    pub(crate) names: Vec<String>,
    /// What it calls others on the network by itself: `name:alias`.
    #[serde(default)]
    pub(crate) links: Vec<String>,
    /// The container's way to everywhere else.
    pub(crate) gateway: bool,
    /// Its way for IPv6: not every network has that.
    #[serde(default)]
    pub(crate) gateway_ipv6: bool,
}

/// A port that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) protocol: crate::net::Protocol,
    pub(crate) host: SocketAddr,
    pub(crate) container: SocketAddrV4,
    /// Where a port on an IPv6 address leads, if the container has one as well.
    #[serde(default)]
    pub(crate) container_ipv6: Option<SocketAddrV6>,
}

impl Endpoint {
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        std::iter::once(self.address.into()).chain(self.address_ipv6.map(IpAddr::from))
    }
}

impl record::Record for Network {
    const VERSION: u32 = 1;
}

impl record::Record for Sandbox {
    const VERSION: u32 = 1;
}

impl Network {
    pub(crate) const fn bridged(&self) -> Option<&Bridged> {
        match &self.driver {
            Driver::Bridge(bridged) => Some(bridged),
            Driver::Host | Driver::Null => None,
        }
    }

    pub(crate) const fn driver_name(&self) -> &'static str {
        match &self.driver {
            Driver::Bridge(_) => "bridge",
            Driver::Host => "host",
            Driver::Null => "null",
        }
    }

    /// Made by the engine, not by anybody.
    pub(crate) fn is_predefined(&self) -> bool {
        self.bridged().is_none_or(|bridged| bridged.is_default)
    }

    /// Whether its containers find each other by name.
    pub(crate) fn has_names(&self) -> bool {
        self.bridged().is_some_and(|bridged| !bridged.is_default)
    }

    /// Where ports are published when nobody says where; none means everywhere.
    pub(crate) fn host_binding(&self) -> Option<Ipv4Addr> {
        let address = self.options.get("com.docker.network.bridge.host_binding_ipv4")?.parse().ok()?;
        (address != Ipv4Addr::UNSPECIFIED).then_some(address)
    }

    pub(crate) fn mtu(&self) -> u32 {
        self.options.get("com.docker.network.driver.mtu").and_then(|mtu| mtu.parse().ok()).unwrap_or(1500)
    }

    pub(crate) fn is_on(&self, option: &str) -> bool {
        self.options.get(option).is_none_or(|value| matches!(value.as_str(), "true" | "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_networks_had_ipv6_is_read() {
        let network = serde_json::json!({
            "version": 1, "id": "f".repeat(64), "name": "front", "created": "2026-01-01T00:00:00Z",
            "driver": {
                "kind": "bridge", "bridge": "wb-ffffffffffff", "subnet": "172.18.0.0/16", "gateway": "172.18.0.1",
            },
        });
        let network: Network = serde_json::from_value(network).unwrap();
        let bridged = network.bridged().unwrap();
        assert_eq!((bridged.pool.gateway, bridged.pool_ipv6.clone()), (Ipv4Addr::new(172, 18, 0, 1), None));

        let sandbox = serde_json::json!({
            "version": 1, "container": "c".repeat(64), "name": "web", "namespace": "/run/x", "dns": [],
            "endpoints": [{
                "id": "e", "network": network.id, "address": "172.18.0.2", "mac": "02:42:ac:12:00:02",
                "link": "v1", "inside": "eth0", "names": ["web"], "gateway": true,
            }],
            "ports": [{"protocol": "tcp", "host": "0.0.0.0:8080", "container": "172.18.0.2:80"}],
        });
        let sandbox: Sandbox = serde_json::from_value(sandbox).unwrap();
        assert_eq!(sandbox.endpoints[0].addresses().count(), 1);
        assert!(!sandbox.endpoints[0].gateway_ipv6 && sandbox.ports[0].container_ipv6.is_none());
    }
}
