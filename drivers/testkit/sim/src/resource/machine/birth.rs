//! What a body is born with, and which of its doors are open.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::image;
use crate::body::{Birth, Rule};
use crate::cloud::{Cloud, State};
use crate::resource::{Kind, Resource, interface, key, network, reference, security};

/// What a body is born with.
pub(crate) fn birth(cloud: &Cloud, state: &State, machine: &Resource) -> Birth {
    let properties = &machine.body["properties"];
    let profile = &properties["osProfile"];
    let decoded = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok());
    let keys = profile["linuxConfiguration"]["ssh"]["publicKeys"].as_array().into_iter().flatten();
    let (private, public) = addresses(state, machine);
    Birth {
        id: machine.id.clone(),
        name: machine.name.clone(),
        host_name: profile["computerName"].as_str().unwrap_or(&machine.name).to_owned(),
        user: profile["adminUsername"].as_str().unwrap_or_default().to_owned(),
        keys: keys.filter_map(|key| key["keyData"].as_str()).map(str::to_owned).collect(),
        custom_data: decoded(&profile["customData"]),
        user_data: decoded(&properties["userData"]),
        cloud_init: image::find(cloud, &properties["storageProfile"]["imageReference"])
            .is_none_or(|(i, _)| i.cloud_init),
        image: ["publisher", "offer", "sku", "exactVersion"]
            .map(|field| properties["storageProfile"]["imageReference"][field].as_str().unwrap_or_default())
            .join(":"),
        cores: super::size(machine).map_or(1, |size| size.cores),
        memory: super::size(machine).map_or(1024, |size| size.memory),
        private_address: private,
        public_address: public,
        rules: rules(state, machine),
    }
}

fn addresses(state: &State, machine: &Resource) -> (Option<String>, Option<String>) {
    let mut found = (None, None);
    for nic in super::interfaces(machine).filter_map(|id| state.of(Kind::Interface, id)) {
        for configuration in interface::configurations(nic) {
            let properties = &configuration["properties"];
            found.0 = found.0.or_else(|| properties["privateIPAddress"].as_str().map(str::to_owned));
            let public =
                reference(properties.get("publicIPAddress")).and_then(|id| state.of(Kind::PublicAddress, id));
            let public = public.and_then(|p| p.body.pointer("/properties/ipAddress")).and_then(Value::as_str);
            found.1 = found.1.or_else(|| public.map(str::to_owned));
        }
    }
    found
}

/// The inbound rules that hold for a machine: its interface's group and its subnet's must both let a connection in. A
/// Standard address without any group is closed, a Basic one open.
pub(crate) fn rules(state: &State, machine: &Resource) -> Vec<Vec<Rule>> {
    let mut lists = Vec::new();
    let mut standard = false;
    for nic in super::interfaces(machine).filter_map(|id| state.of(Kind::Interface, id)) {
        let mut groups: Vec<&str> =
            reference(nic.body.pointer("/properties/networkSecurityGroup")).into_iter().collect();
        for configuration in interface::configurations(nic) {
            let subnet = reference(configuration.pointer("/properties/subnet"));
            let subnet = subnet.and_then(|id| network::find_subnet(state, id));
            let of_subnet =
                subnet.and_then(|(_, s)| reference(s.pointer("/properties/networkSecurityGroup")));
            groups.extend(of_subnet);
            let address = reference(configuration.pointer("/properties/publicIPAddress"));
            let address = address.and_then(|id| state.of(Kind::PublicAddress, id));
            standard |= address
                .is_some_and(|a| a.body.pointer("/sku/name").and_then(Value::as_str) == Some("Standard"));
        }
        groups.dedup_by_key(|id| key(id));
        lists.extend(
            groups.into_iter().filter_map(|id| state.of(Kind::SecurityGroup, id)).map(security::inbound),
        );
    }
    if lists.is_empty() && standard {
        lists.push(Vec::new());
    }
    lists
}
