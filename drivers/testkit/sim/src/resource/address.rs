//! Public addresses.

use serde_json::{Value, json};

use super::{Kind, Put, Resource, key, reference};
use crate::cloud::State;
use crate::error::ArmError;

/// Checks SKU, allocation, zones and label.
pub(super) fn admit(state: &State, put: &Put<'_>, now: Option<&Resource>) -> Result<(), ArmError> {
    let hub = put.cloud.flavour().is_hub();
    let sku = put.body.pointer("/sku/name").and_then(Value::as_str).unwrap_or("Basic");
    let standard = sku.eq_ignore_ascii_case("Standard");
    let v6 = put.text("publicIPAddressVersion").is_some_and(|v| v.eq_ignore_ascii_case("IPv6"));
    let zones = put.body["zones"].as_array().is_some_and(|z| !z.is_empty());
    if hub && (standard || v6 || zones) {
        let what = if standard {
            "SKU Standard"
        } else if v6 {
            "IP version IPv6"
        } else {
            "availability zones"
        };
        return Err(ArmError::bad(
            "FeatureNotSupported",
            format!("Public IP address {} uses {what}, which is not supported in this location.", put.id),
        ));
    }
    if !hub && !standard && now.is_none() {
        return Err(ArmError::bad(
            "IPv4BasicSkuPublicIpCountLimitReached",
            "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this region.",
        ));
    }
    let dynamic = !put.text("publicIPAllocationMethod").is_some_and(|m| m.eq_ignore_ascii_case("Static"));
    if standard && dynamic {
        return Err(ArmError::bad(
            "StandardSkuPublicIPAddressesMustBeStatic",
            format!("Standard sku publicIp {} must have AllocationMethod set to Static.", put.id),
        ));
    }
    if zones && !standard {
        return Err(ArmError::bad(
            "ZonesNotAllowedForBasicSkuPublicIp",
            format!("Public IP address {} of Basic sku cannot have zones.", put.id),
        ));
    }
    let minutes = put.at("idleTimeoutInMinutes").and_then(Value::as_i64).unwrap_or(4);
    if !(4..=30).contains(&minutes) {
        let message = format!(
            "The idle timeout value {minutes} of public IP address {} is outside the range 4-30.",
            put.id
        );
        return Err(ArmError::bad("PublicIPAddressIdleTimeoutInvalid", message));
    }
    label(state, put)?;
    quota(state, put, now)
}

fn label(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let Some(label) = put.text("dnsSettings/domainNameLabel") else { return Ok(()) };
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (3..=63).contains(&label.len())
        && label.starts_with(|c: char| c.is_ascii_lowercase())
        && !label.ends_with('-')
        && label.chars().all(inner);
    if !fits {
        return Err(ArmError::bad(
            "InvalidDomainNameLabel",
            format!(
                "The domain name label {label} is invalid. It must conform to the following regular expression: \
                 ^[a-z][a-z0-9-]{{1,61}}[a-z0-9]$."
            ),
        ));
    }
    let full = name(put, label);
    let taken = |other: &Resource| {
        other.body.pointer("/properties/dnsSettings/fqdn").and_then(Value::as_str) == Some(&full)
            && key(&other.id) != key(&put.id)
    };
    if state.every(Kind::PublicAddress).any(taken) {
        let message = format!("DNS record {full} is already used by another public IP.");
        return Err(ArmError::bad("DnsRecordInUse", message));
    }
    Ok(())
}

fn name(put: &Put<'_>, label: &str) -> String {
    format!("{label}.{}.{}", put.location, put.cloud.flavour().address_suffix())
}

fn quota(state: &State, put: &Put<'_>, now: Option<&Resource>) -> Result<(), ArmError> {
    let used = state.every(Kind::PublicAddress).filter(|a| a.location == put.location).count();
    let most = put.cloud.quotas().addresses as usize;
    if now.is_none() && used >= most {
        return Err(ArmError::bad(
            "PublicIPCountLimitReached",
            format!(
                "Cannot create more than {most} public IP addresses for this subscription in this region."
            ),
        ));
    }
    Ok(())
}

/// Adds the address, the name and defaults.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let basic = json!({"name": "Basic", "tier": "Regional"});
    if !body["sku"].is_object() {
        body["sku"] = basic.clone();
    }
    super::view::fill(&mut body["sku"], &basic);
    let defaults = json!({
        "publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Dynamic", "idleTimeoutInMinutes": 4, "ipTags": [],
    });
    super::view::fill(&mut body["properties"], &defaults);
    if let Some(label) = put.text("dnsSettings/domainNameLabel") {
        body["properties"]["dnsSettings"]["fqdn"] = json!(name(put, label));
    }
    let kept = |field: &str| now.and_then(|n| n.body["properties"].get(field).cloned());
    body["properties"]["resourceGuid"] = kept("resourceGuid").unwrap_or_else(|| json!(state.random.uuid()));
    let fixed = body["properties"]["publicIPAllocationMethod"] == "Static";
    if let Some(address) = kept("ipAddress") {
        body["properties"]["ipAddress"] = address;
    } else if fixed {
        body["properties"]["ipAddress"] = json!(put.cloud.free_address(state));
    }
}

/// The configuration of an interface that this address belongs to.
pub(crate) fn user<'s>(state: &'s State, address: &Resource) -> Option<(&'s Resource, &'s Value)> {
    state.every(Kind::Interface).find_map(|nic| {
        let mut configurations = super::interface::configurations(nic);
        let uses = |c: &&Value| {
            reference(c.pointer("/properties/publicIPAddress")).is_some_and(|id| key(id) == key(&address.id))
        };
        configurations.find(uses).map(|configuration| (nic, configuration))
    })
}

/// An address that belongs to an interface stays.
pub(super) fn held(state: &State, address: &Resource) -> Result<(), ArmError> {
    let Some((_, configuration)) = user(state, address) else { return Ok(()) };
    Err(ArmError::bad(
        "PublicIPAddressCannotBeDeleted",
        format!(
            "Public IP address {} can not be deleted since it is still allocated to resource {}. In order to delete the \
             public IP, disassociate/detach the Public IP address from the resource. To learn how to do this, see \
             aka.ms/deletepublicip.",
            address.id,
            configuration["id"].as_str().unwrap_or_default()
        ),
    ))
}
