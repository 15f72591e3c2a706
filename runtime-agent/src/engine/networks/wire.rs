//! Networks as the API shows them.

use std::collections::BTreeMap;

use wharfd_api_types::network::{Ipam, IpamConfig, Network as Wire, NetworkContainer};

use super::Networks;
use super::record::{Network, Pool};
use crate::net::Address;

impl Networks {
    /// With whoever is connected to it.
    pub(crate) fn inspect(&self, network: &Network) -> Wire {
        let prefix = network.bridged().map_or(0, |bridged| bridged.pool.subnet.prefix());
        let on_ipv6 = network.bridged().and_then(|bridged| bridged.pool_ipv6.as_ref());
        let prefix_ipv6 = on_ipv6.map_or(0, |pool| pool.subnet.prefix());
        let state = self.state();
        let containers = state.endpoints_on(&network.id).map(|(sandbox, endpoint)| {
            let shown = NetworkContainer {
                name: sandbox.name.clone(),
                endpoint_id: endpoint.id.clone(),
                mac_address: endpoint.mac.clone(),
                ipv4_address: format!("{}/{prefix}", endpoint.address),
                ipv6_address: endpoint
                    .address_ipv6
                    .map(|address| format!("{address}/{prefix_ipv6}"))
                    .unwrap_or_default(),
            };
            (sandbox.container.clone(), shown)
        });
        Wire { containers: Some(containers.collect()), ..network.to_wire() }
    }
}

impl Network {
    /// Without whoever is connected to it.
    pub(crate) fn to_wire(&self) -> Wire {
        Wire {
            name: self.name.clone(),
            id: self.id.clone(),
            created: self.created.clone(),
            scope: "local".to_owned(),
            driver: self.driver_name().to_owned(),
            enable_ipv4: Some(true),
            enable_ipv6: self.bridged().is_some_and(|bridged| bridged.pool_ipv6.is_some()),
            ipam: Ipam {
                driver: "default".to_owned(),
                options: self.ipam_options.clone(),
                config: self.bridged().map(|bridged| {
                    std::iter::once(subnet(&bridged.pool))
                        .chain(bridged.pool_ipv6.as_ref().map(subnet))
                        .collect()
                }),
            },
            internal: self.internal,
            attachable: self.attachable,
            containers: Some(BTreeMap::new()),
            options: self.options.clone(),
            labels: self.labels.clone(),
            ..Wire::default()
        }
    }
}

fn subnet<A: Address>(pool: &Pool<A>) -> IpamConfig {
    IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: pool.gateway.to_string(),
        auxiliary_addresses: pool.auxiliary.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
    }
}

/// RFC 3339 with nanoseconds, always nine digits.
pub(super) fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    format!(
        "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.nanosecond()
    )
}
