//! Network interfaces.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use super::cidr::Cidr;
use super::{Kind, Put, Resource, key, network, reference};
use crate::cloud::State;
use crate::error::{ArmError, invalid_reference, not_provisioned};

/// The configurations of an interface.
pub(crate) fn configurations(nic: &Resource) -> impl Iterator<Item = &Value> {
    nic.body["properties"]["ipConfigurations"].as_array().into_iter().flatten()
}

/// Checks that what it names is there, ready, in the same region and free.
pub(super) fn admit(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let accelerated = put.at("enableAcceleratedNetworking").and_then(Value::as_bool) == Some(true);
    if accelerated && put.cloud.flavour().is_hub() {
        return Err(ArmError::bad(
            "FeatureNotSupported",
            format!(
                "Network interface {} uses accelerated networking, which is not supported in this location.",
                put.id
            ),
        ));
    }
    if put.list("ipConfigurations").next().is_none() {
        return Err(ArmError::bad(
            "NetworkInterfaceMustHaveIpConfiguration",
            format!("Network interface {} must have at least one IP configuration.", put.id),
        ));
    }
    for configuration in put.list("ipConfigurations") {
        let name = configuration["name"].as_str().unwrap_or_default();
        let id = format!("{}/ipConfigurations/{name}", put.id);
        subnet(state, put, configuration, &id)?;
        public_address(state, put, configuration, &id)?;
    }
    if let Some(id) = reference(put.at("networkSecurityGroup")) {
        ready(state, put, Kind::SecurityGroup, id)?;
    }
    Ok(())
}

fn ready<'s>(state: &'s State, put: &Put<'_>, kind: Kind, id: &str) -> Result<&'s Resource, ArmError> {
    match state.of(kind, id).filter(|resource| resource.location == put.location) {
        None => Err(invalid_reference(id, &put.id)),
        Some(used) if used.busy.is_some() => Err(not_provisioned(&used.id, &put.id, used.last_write)),
        Some(used) => Ok(used),
    }
}

fn subnet(state: &State, put: &Put<'_>, configuration: &Value, id: &str) -> Result<(), ArmError> {
    let Some(wanted) = reference(configuration.pointer("/properties/subnet")) else {
        return Err(ArmError::bad(
            "SubnetIsRequired",
            format!("Required subnet is missing for IP configuration {id}."),
        ));
    };
    let found = network::find_subnet(state, wanted).filter(|(network, _)| network.location == put.location);
    let (network, subnet) = found.ok_or_else(|| invalid_reference(wanted, &put.id))?;
    if network.busy.is_some() {
        return Err(not_provisioned(wanted, id, network.last_write));
    }
    let Some(address) = configuration.pointer("/properties/privateIPAddress").and_then(Value::as_str) else {
        return Ok(());
    };
    let range = prefix(subnet);
    let address: Option<Ipv4Addr> = address.parse().ok();
    if address.zip(range).is_some_and(|(address, range)| range.holds(address)) {
        return Ok(());
    }
    let message = format!("Private static IP address of {id} does not belong to the range of subnet prefix.");
    Err(ArmError::bad("PrivateIPAddressNotInSubnet", message))
}

fn prefix(subnet: &Value) -> Option<Cidr> {
    let one = &subnet["properties"]["addressPrefix"];
    let one = if one.is_null() { &subnet["properties"]["addressPrefixes"][0] } else { one };
    one.as_str().and_then(|text| text.parse().ok())
}

fn public_address(state: &State, put: &Put<'_>, configuration: &Value, id: &str) -> Result<(), ArmError> {
    let Some(wanted) = reference(configuration.pointer("/properties/publicIPAddress")) else { return Ok(()) };
    let address = ready(state, put, Kind::PublicAddress, wanted)?;
    match super::address::user(state, address) {
        Some((nic, other)) if key(&nic.id) != key(&put.id) => Err(ArmError::bad(
            "PublicIPAddressInUse",
            format!(
                "Resource {id} is referencing public IP address {} that is already allocated to resource {}.",
                address.id,
                other["id"].as_str().unwrap_or_default()
            ),
        )),
        _ => Ok(()),
    }
}

/// Adds private addresses, ids and defaults.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let etag = state.random.uuid();
    let kept = |field: &str| now.and_then(|n| n.body["properties"].get(field).cloned());
    body["properties"]["resourceGuid"] = kept("resourceGuid").unwrap_or_else(|| json!(state.random.uuid()));
    let defaults = json!({
        "enableAcceleratedNetworking": false, "enableIPForwarding": false, "nicType": "Standard",
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []}, "tapConfigurations": [], "hostedWorkloads": [],
    });
    super::view::fill(&mut body["properties"], &defaults);
    if let Some(mac) = kept("macAddress") {
        body["properties"]["macAddress"] = mac;
    }
    let mut taken = addresses_in_use(state, &put.id);
    let before: Vec<Value> = now.into_iter().flat_map(configurations).cloned().collect();
    let list = body["properties"]["ipConfigurations"].as_array_mut().into_iter().flatten();
    for (number, configuration) in list.enumerate() {
        let name = configuration["name"].as_str().unwrap_or_default().to_owned();
        configuration["id"] = json!(format!("{}/ipConfigurations/{name}", put.id));
        configuration["etag"] = json!(format!("W/\"{etag}\""));
        configuration["type"] = json!("Microsoft.Network/networkInterfaces/ipConfigurations");
        let defaults = json!({
            "provisioningState": "Succeeded", "privateIPAllocationMethod": "Dynamic", "primary": number == 0,
            "privateIPAddressVersion": "IPv4",
        });
        super::view::fill(&mut configuration["properties"], &defaults);
        let old = before.iter().find(|c| c["name"] == configuration["name"]);
        let old = old.and_then(|c| c.pointer("/properties/privateIPAddress").cloned());
        if configuration["properties"]["privateIPAddress"].is_null() {
            let subnet = reference(configuration.pointer("/properties/subnet")).unwrap_or_default();
            let fresh = || free_address(state, subnet, &taken).map(|a| json!(a.to_string()));
            configuration["properties"]["privateIPAddress"] = old.or_else(fresh).unwrap_or_default();
        }
        taken.extend(
            configuration["properties"]["privateIPAddress"]
                .as_str()
                .map(|a| (subnet_key(configuration), a.to_owned())),
        );
    }
}

fn subnet_key(configuration: &Value) -> String {
    reference(configuration.pointer("/properties/subnet")).map(key).unwrap_or_default()
}

fn addresses_in_use(state: &State, except: &str) -> BTreeSet<(String, String)> {
    let others = state.every(Kind::Interface).filter(|nic| key(&nic.id) != key(except));
    let used = others.flat_map(configurations).filter_map(|c| {
        let address = c.pointer("/properties/privateIPAddress")?.as_str()?;
        Some((subnet_key(c), address.to_owned()))
    });
    used.collect()
}

fn free_address(state: &State, subnet: &str, taken: &BTreeSet<(String, String)>) -> Option<Ipv4Addr> {
    let range = prefix(network::find_subnet(state, subnet)?.1)?;
    range.usable().find(|address| !taken.contains(&(key(subnet), address.to_string())))
}

/// The machine that an interface belongs to.
pub(crate) fn machine<'s>(state: &'s State, nic: &Resource) -> Option<&'s Resource> {
    state.every(Kind::Machine).find(|vm| super::machine::interfaces(vm).any(|id| key(id) == key(&nic.id)))
}

/// An interface that belongs to a machine, or is still reserved for one that failed, stays.
pub(super) fn held(state: &State, nic: &Resource, now: Duration) -> Result<(), ArmError> {
    if let Some(machine) = machine(state, nic) {
        return Err(ArmError::bad(
            "NicInUse",
            format!(
                "Network Interface {} is used by existing resource {}. In order to delete the network interface, it \
                 must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
                nic.id, machine.id
            ),
        ));
    }
    reserved(state, &nic.id, "", now)
}

/// Whether an interface is reserved for another machine than `machine`.
pub(crate) fn reserved(state: &State, nic: &str, machine: &str, now: Duration) -> Result<(), ArmError> {
    match state.reserved.get(&key(nic)) {
        Some((other, until)) if now < *until && key(other) != key(machine) => Err(ArmError::bad(
            "NicReservedForAnotherVm",
            format!(
                "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide another \
                 nic(s) or retry after 180 seconds. Reserved VM: {other}"
            ),
        )),
        _ => Ok(()),
    }
}
