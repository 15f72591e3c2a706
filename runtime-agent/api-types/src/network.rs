//! Networks on the wire: the networks themselves, endpoints and published ports.

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

/// A network, as listed and inspected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// What people call it.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    /// `local`.
    pub scope: String,
    /// bridge, host, null.
    pub driver: String,
    /// Since 1.48; absent before.
    #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// Whether it has IPv6 addresses.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Its addresses.
    #[serde(rename = "IPAM")]
    pub ipam: Ipam,
    /// No way out.
    pub internal: bool,
    /// Of swarm.
    pub attachable: bool,
    /// Of swarm.
    pub ingress: bool,
    /// Of swarm.
    pub config_from: ConfigReference,
    /// Of swarm.
    pub config_only: bool,
    /// Endpoints by container; empty in lists, absent in those from 1.52 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<BTreeMap<String, NetworkContainer>>,
    /// Of the driver.
    #[serde(deserialize_with = "nullable")]
    pub options: BTreeMap<String, String>,
    /// Of whoever made it.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
}

/// Where a network's addresses come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// `default`.
    #[serde(deserialize_with = "nullable")]
    pub driver: String,
    /// As the client sent them, `null` included.
    pub options: Option<BTreeMap<String, String>>,
    /// Its subnets; `null` for host and none.
    pub config: Option<Vec<IpamConfig>>,
}

/// One subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpamConfig {
    /// CIDR.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subnet: String,
    /// CIDR: the part that containers get addresses from.
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub ip_range: String,
    /// The bridge's address.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub gateway: String,
    /// Addresses that are somebody else's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "nullable")]
    pub auxiliary_addresses: BTreeMap<String, String>,
}

/// Of swarm; its name is always empty here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigReference {
    /// Empty.
    #[serde(deserialize_with = "nullable")]
    pub network: String,
}

/// One container on a network, as the network shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkContainer {
    /// The container's name, without a slash.
    pub name: String,
    /// The endpoint's id.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Hardware address.
    pub mac_address: String,
    /// CIDR.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// CIDR; empty on a network without IPv6.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
}

/// `POST /networks/create`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCreateRequest {
    /// Required.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Old: names are unique anyway.
    #[serde(deserialize_with = "nullable")]
    pub check_duplicate: bool,
    /// Empty means bridge.
    #[serde(deserialize_with = "nullable")]
    pub driver: String,
    /// Empty means local.
    #[serde(deserialize_with = "nullable")]
    pub scope: String,
    /// Only `false` is refused.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: Option<bool>,
    /// Whether it shall have IPv6 addresses.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: Option<bool>,
    /// Wanted subnets.
    #[serde(rename = "IPAM")]
    pub ipam: Option<Ipam>,
    /// No way out.
    #[serde(deserialize_with = "nullable")]
    pub internal: bool,
    /// Of swarm.
    #[serde(deserialize_with = "nullable")]
    pub attachable: bool,
    /// Of swarm.
    #[serde(deserialize_with = "nullable")]
    pub ingress: bool,
    /// Of swarm.
    #[serde(deserialize_with = "nullable")]
    pub config_only: bool,
    /// Of swarm.
    pub config_from: Option<ConfigReference>,
    /// Of the driver.
    #[serde(deserialize_with = "nullable")]
    pub options: BTreeMap<String, String>,
    /// Free notes.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCreateResponse {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What could not be honoured.
    pub warning: String,
}

/// `POST /networks/{id}/connect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkConnectRequest {
    /// Name or id.
    #[serde(deserialize_with = "nullable")]
    pub container: String,
    /// Wanted address and names.
    pub endpoint_config: Option<EndpointSettings>,
}

/// `POST /networks/{id}/disconnect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkDisconnectRequest {
    /// Name or id.
    #[serde(deserialize_with = "nullable")]
    pub container: String,
    /// Also a container that is not known any more.
    #[serde(deserialize_with = "nullable")]
    pub force: bool,
}

/// `POST /networks/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworksPruned {
    /// Names; `null` when there were none, as dockerd has it.
    pub networks_deleted: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_looks_as_dockerd_shows_it() {
        let network = Network {
            name: "bridge".into(),
            id: "f".repeat(64),
            created: "2026-01-02T03:04:05.000000006Z".into(),
            scope: "local".into(),
            driver: "bridge".into(),
            enable_ipv4: Some(true),
            ipam: Ipam {
                driver: "default".into(),
                options: None,
                config: Some(vec![IpamConfig {
                    subnet: "172.17.0.0/16".into(),
                    gateway: "172.17.0.1".into(),
                    ..IpamConfig::default()
                }]),
            },
            containers: Some(BTreeMap::new()),
            ..Network::default()
        };
        let golden = format!(
            r#"{{"Name":"bridge","Id":"{}","Created":"2026-01-02T03:04:05.000000006Z","Scope":"local","Driver":"bridge","EnableIPv4":true,"EnableIPv6":false,"IPAM":{{"Driver":"default","Options":null,"Config":[{{"Subnet":"172.17.0.0/16","Gateway":"172.17.0.1"}}]}},"Internal":false,"Attachable":false,"Ingress":false,"ConfigFrom":{{"Network":""}},"ConfigOnly":false,"Containers":{{}},"Options":{{}},"Labels":{{}}}}"#,
            "f".repeat(64)
        );
        assert_eq!(serde_json::to_string(&network).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Network>(&golden).unwrap(), network);
    }

    #[test]
    fn what_the_cli_sends_to_create_is_understood() {
        let sent = r#"{"Name":"n","Driver":"bridge","Scope":"","EnableIPv6":false,"IPAM":{"Driver":"default","Options":{},"Config":[]},"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":{},"Labels":null}"#;
        let request: NetworkCreateRequest = serde_json::from_str(sent).unwrap();
        assert_eq!(request.name, "n");
        assert_eq!(request.ipam.unwrap().config, Some(vec![]));
    }
}
