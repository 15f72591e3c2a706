//! Virtual networks and their subnets.

use serde_json::{Value, json};

use super::cidr::Cidr;
use super::{Kind, Put, Resource, key, reference};
use crate::cloud::State;
use crate::error::{ArmError, invalid_reference, not_provisioned};

/// Checks ranges and references.
pub(super) fn admit(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let spaces: Vec<Cidr> = put
        .list("addressSpace/addressPrefixes")
        .map(|prefix| range(prefix, &put.id))
        .collect::<Result<_, _>>()?;
    if spaces.is_empty() {
        return Err(ArmError::bad("InvalidRequestFormat", "Cannot parse the request.").detail(
            "MissingJsonProperty",
            "Required property 'addressPrefixes' is missing in the address space.",
        ));
    }
    let mut taken: Vec<(Cidr, String)> = Vec::new();
    for subnet in put.list("subnets") {
        let name = subnet["name"].as_str().unwrap_or_default().to_owned();
        let prefix = &subnet["properties"]["addressPrefix"];
        let prefix = if prefix.is_null() { &subnet["properties"]["addressPrefixes"][0] } else { prefix };
        let prefix = range(prefix, &format!("{}/subnets/{name}", put.id))?;
        if !spaces.iter().any(|space| space.contains(prefix)) {
            let message = format!("Subnet '{name}' is not valid in virtual network '{}'.", put.name);
            return Err(ArmError::bad("NetcfgInvalidSubnet", message));
        }
        if taken.iter().any(|(other, _)| other.overlaps(prefix)) {
            return Err(ArmError::bad(
                "NetcfgSubnetRangesOverlap",
                format!(
                    "Subnet '{name}' is not valid because its IP address range overlaps with that of an existing \
                     subnet in virtual network '{}'.",
                    put.name
                ),
            ));
        }
        group_of_subnet(state, put, subnet)?;
        taken.push((prefix, name));
    }
    keeps_used(state, put)
}

fn range(prefix: &Value, of: &str) -> Result<Cidr, ArmError> {
    let text = prefix.as_str().unwrap_or_default();
    text.parse().map_err(|()| {
        ArmError::bad(
            "InvalidAddressPrefixFormat",
            format!(
                "Address prefix {text} of resource {of} is not formatted correctly. It should follow CIDR notation, \
                 for example 10.0.0.0/24."
            ),
        )
    })
}

fn group_of_subnet(state: &State, put: &Put<'_>, subnet: &Value) -> Result<(), ArmError> {
    let Some(id) = reference(subnet.pointer("/properties/networkSecurityGroup")) else { return Ok(()) };
    match state.of(Kind::SecurityGroup, id).filter(|group| group.location == put.location) {
        None => Err(invalid_reference(id, &put.id)),
        Some(group) if group.busy.is_some() => Err(not_provisioned(&group.id, &put.id, group.last_write)),
        Some(_) => Ok(()),
    }
}

/// A PUT that leaves a subnet out deletes it: not while it is used.
fn keeps_used(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let Some(now) = state.resource(&put.id) else { return Ok(()) };
    let kept: Vec<_> = put.list("subnets").filter_map(|s| s["name"].as_str()).collect();
    for subnet in subnets(now)
        .filter(|s| !kept.iter().any(|k| s["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(k))))
    {
        free(state, subnet)?;
    }
    Ok(())
}

/// The subnets of a network.
pub(crate) fn subnets(network: &Resource) -> impl Iterator<Item = &Value> {
    network.body["properties"]["subnets"].as_array().into_iter().flatten()
}

/// The network and the subnet that an id names.
pub(crate) fn find_subnet<'s>(state: &'s State, id: &str) -> Option<(&'s Resource, &'s Value)> {
    let (network, _) = id.rsplit_once('/').and_then(|(front, _)| front.rsplit_once('/'))?;
    let network = state.of(Kind::VirtualNetwork, network)?;
    subnets(network)
        .find(|subnet| subnet["id"].as_str().is_some_and(|s| key(s) == key(id)))
        .map(|s| (network, s))
}

/// Whether nothing stands in a subnet.
pub(crate) fn free(state: &State, subnet: &Value) -> Result<(), ArmError> {
    let id = subnet["id"].as_str().unwrap_or_default();
    for nic in state.every(Kind::Interface) {
        for configuration in super::interface::configurations(nic) {
            if reference(configuration.pointer("/properties/subnet")).is_some_and(|used| key(used) == key(id))
            {
                let name = subnet["name"].as_str().unwrap_or_default();
                let by = configuration["id"].as_str().unwrap_or_default();
                return Err(ArmError::bad(
                    "InUseSubnetCannotBeDeleted",
                    format!(
                        "Subnet {name} is in use by {by} and cannot be deleted. In order to delete the subnet, delete \
                         all the resources within the subnet. See aka.ms/deletesubnet."
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Adds ids, tags and states.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let etag = state.random.uuid();
    let guid = now.and_then(|n| n.body.pointer("/properties/resourceGuid").cloned());
    body["properties"]["resourceGuid"] = guid.unwrap_or_else(|| json!(state.random.uuid()));
    let defaults = json!({"subnets": [], "virtualNetworkPeerings": [], "enableDdosProtection": false});
    super::view::fill(&mut body["properties"], &defaults);
    for subnet in body["properties"]["subnets"].as_array_mut().into_iter().flatten() {
        complete_subnet(subnet, &put.id, &etag);
    }
}

/// Completes one subnet.
pub(crate) fn complete_subnet(subnet: &mut Value, network: &str, etag: &str) {
    let name = subnet["name"].as_str().unwrap_or_default().to_owned();
    subnet["id"] = json!(format!("{network}/subnets/{name}"));
    subnet["etag"] = json!(format!("W/\"{etag}\""));
    subnet["type"] = json!("Microsoft.Network/virtualNetworks/subnets");
    let defaults = json!({
        "provisioningState": "Succeeded", "delegations": [],
        "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled",
    });
    super::view::fill(&mut subnet["properties"], &defaults);
}

/// A network whose subnets are used stays.
pub(super) fn held(state: &State, network: &Resource) -> Result<(), ArmError> {
    subnets(network).try_for_each(|subnet| free(state, subnet))
}
