//! Networks as the API shows them.

use std::collections::BTreeMap;

use wharfd_api_types::network::{Ipam, IpamConfig, Network as Wire, NetworkContainer};

use super::Networks;
use super::record::{Bridged, Network};

impl Networks {
    /// With whoever is connected to it.
    pub(crate) fn inspect(&self, network: &Network) -> Wire {
        let prefix = network.bridged().map_or(0, |bridged| bridged.subnet.prefix());
        let state = self.state();
        let containers = state.endpoints_on(&network.id).map(|(sandbox, endpoint)| {
            let shown = NetworkContainer {
                name: sandbox.name.clone(),
                endpoint_id: endpoint.id.clone(),
                mac_address: endpoint.mac.clone(),
                ipv4_address: format!("{}/{prefix}", endpoint.address),
                ipv6_address: String::new(),
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
            enable_ipv6: false,
            ipam: Ipam {
                driver: "default".to_owned(),
                options: self.ipam_options.clone(),
                config: self.bridged().map(|bridged| vec![subnet(bridged)]),
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

fn subnet(bridged: &Bridged) -> IpamConfig {
    IpamConfig {
        subnet: bridged.subnet.to_string(),
        ip_range: bridged.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: bridged.gateway.to_string(),
        auxiliary_addresses: bridged.auxiliary.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
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
