//! Networks on the wire: endpoints and published ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::nullable;

/// A place on the host that a port is published on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// Empty means every address.
    #[serde(deserialize_with = "nullable")]
    pub host_ip: String,
    /// A number, a range, or empty for a free one.
    #[serde(deserialize_with = "nullable")]
    pub host_port: String,
}

/// One container's end of one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSettings {
    /// Wanted addresses; `null` when none are.
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<EndpointIpamConfig>,
    /// Old links.
    pub links: Option<Vec<String>>,
    /// Names beside the container's own.
    pub aliases: Option<Vec<String>>,
    /// Hardware address.
    #[serde(deserialize_with = "nullable")]
    pub mac_address: String,
    /// Of the network's driver.
    pub driver_opts: Option<BTreeMap<String, String>>,
    /// Which network becomes the default route.
    #[serde(deserialize_with = "nullable")]
    pub gw_priority: i64,
    /// The network's id.
    #[serde(rename = "NetworkID", deserialize_with = "nullable")]
    pub network_id: String,
    /// The endpoint's id.
    #[serde(rename = "EndpointID", deserialize_with = "nullable")]
    pub endpoint_id: String,
    /// IPv4.
    #[serde(deserialize_with = "nullable")]
    pub gateway: String,
    /// IPv4.
    #[serde(rename = "IPAddress", deserialize_with = "nullable")]
    pub ip_address: String,
    /// IPv4.
    #[serde(rename = "IPPrefixLen", deserialize_with = "nullable")]
    pub ip_prefix_len: i64,
    /// IPv6.
    #[serde(rename = "IPv6Gateway", deserialize_with = "nullable")]
    pub ipv6_gateway: String,
    /// IPv6.
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "nullable")]
    pub global_ipv6_address: String,
    /// IPv6.
    #[serde(rename = "GlobalIPv6PrefixLen", deserialize_with = "nullable")]
    pub global_ipv6_prefix_len: i64,
    /// Every name that it answers to.
    #[serde(rename = "DNSNames")]
    pub dns_names: Option<Vec<String>>,
}

/// Addresses that a client asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointIpamConfig {
    /// IPv4.
    #[serde(rename = "IPv4Address", skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub ipv4_address: String,
    /// IPv6.
    #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub ipv6_address: String,
    /// Link-local ones.
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Option::is_none")]
    pub link_local_ips: Option<Vec<String>>,
}
