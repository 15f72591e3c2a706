//! Network security groups and their rules.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Kind, Put, Resource, key, reference};
use crate::cloud::State;
use crate::error::ArmError;

/// Checks every rule, and that no two clash.
pub(super) fn admit(put: &Put<'_>) -> Result<(), ArmError> {
    let mut seen = BTreeSet::new();
    let mut names = BTreeSet::new();
    for rule in put.list("securityRules") {
        let name = rule["name"].as_str().unwrap_or_default();
        admit_rule(put, name, &rule["properties"])?;
        let place = (rule["properties"]["direction"].to_string(), rule["properties"]["priority"].as_i64());
        if !seen.insert(place) {
            let message = format!(
                "Security rule {name} conflicts with another rule of the group. Rules cannot have the same Priority \
                 and Direction. To learn more, see aka.ms/nsgrules."
            );
            return Err(ArmError::bad("SecurityRuleConflict", message));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            let message = format!("Resource {} has two child resources with the same name ({name}).", put.id);
            return Err(ArmError::bad("InvalidRequestFormat", "Cannot parse the request.")
                .detail("DuplicateResourceName", message));
        }
    }
    Ok(())
}

fn admit_rule(put: &Put<'_>, name: &str, rule: &Value) -> Result<(), ArmError> {
    let bad = |code: &str, message: String| Err(ArmError::bad(code, message));
    let required = ["protocol", "access", "direction", "priority"];
    if let Some(missing) = required.iter().find(|field| rule[**field].is_null()) {
        let message = format!(
            "Required security rule parameters are missing for security rule with Id: {}/securityRules/{name}. Security rule must specify {missing}.",
            put.id
        );
        return bad("SecurityRuleParameterMissing", message);
    }
    for (one, many) in [
        ("sourceAddressPrefix", "sourceAddressPrefixes"),
        ("destinationAddressPrefix", "destinationAddressPrefixes"),
        ("sourcePortRange", "sourcePortRanges"),
        ("destinationPortRange", "destinationPortRanges"),
    ] {
        let listed = rule[many].as_array().is_some_and(|l| !l.is_empty());
        let groups = rule[one.replace("AddressPrefix", "ApplicationSecurityGroups")].is_array();
        if rule[one].as_str().is_none_or(str::is_empty) && !listed && !groups {
            let message = format!(
                "Required security rule parameters are missing for security rule with Id: {}/securityRules/{name}. Security rule must specify either {many} or {one}.",
                put.id
            );
            return bad("SecurityRuleParameterMissing", message);
        }
    }
    let priority = rule["priority"].as_i64().unwrap_or_default();
    if !(100..=4096).contains(&priority) {
        let message =
            format!("Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096.");
        return bad("SecurityRuleInvalidPriority", message);
    }
    let protocol = rule["protocol"].as_str().unwrap_or_default();
    if put.cloud.flavour().is_hub() && !["tcp", "udp", "*"].contains(&protocol.to_ascii_lowercase().as_str())
    {
        let message = format!(
            "Security rule has invalid protocol. Value provided: {protocol} Allowed values are Tcp, Udp, *."
        );
        return bad("SecurityRuleInvalidProtocol", message);
    }
    for prefix in texts(rule, "sourceAddressPrefix").chain(texts(rule, "destinationAddressPrefix")) {
        if !address(prefix) {
            return bad(
                "SecurityRuleInvalidAddressPrefix",
                format!("Security rule {name} has invalid Address prefix. Value provided: {prefix}"),
            );
        }
    }
    for range in texts(rule, "sourcePortRange").chain(texts(rule, "destinationPortRange")) {
        if ports(range).is_none() {
            let message = format!(
                "Security rule has invalid Port range. Value provided: {range}. Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535."
            );
            return bad("SecurityRuleInvalidPortRange", message);
        }
    }
    Ok(())
}

/// One value or many: `sourceAddressPrefix` and `sourceAddressPrefixes`.
fn texts<'r>(rule: &'r Value, one: &str) -> impl Iterator<Item = &'r str> + use<'r> {
    let plural = if one.ends_with('x') { format!("{one}es") } else { format!("{one}s") };
    let many = rule[plural].as_array().into_iter().flatten();
    rule[one].as_str().filter(|s| !s.is_empty()).into_iter().chain(many.filter_map(Value::as_str))
}

fn address(prefix: &str) -> bool {
    const TAGS: &[&str] = &["*", "Internet", "VirtualNetwork", "AzureLoadBalancer", "Any", "AzureCloud"];
    let (host, bits) = prefix.split_once('/').unwrap_or((prefix, "0"));
    let bits: Option<u8> = bits.parse().ok();
    TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(prefix))
        || host.parse::<std::net::Ipv4Addr>().is_ok() && bits.is_some_and(|b| b <= 32)
        || host.parse::<std::net::Ipv6Addr>().is_ok() && bits.is_some_and(|b| b <= 128)
}

/// The ports of a range.
fn ports(range: &str) -> Option<(u16, u16)> {
    if range == "*" {
        return Some((0, u16::MAX));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// Adds the default rules, ids and states.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let etag = state.random.uuid();
    let guid = now.and_then(|n| n.body.pointer("/properties/resourceGuid").cloned());
    body["properties"]["resourceGuid"] = guid.unwrap_or_else(|| json!(state.random.uuid()));
    super::view::fill(&mut body["properties"], &json!({"securityRules": []}));
    for rule in body["properties"]["securityRules"].as_array_mut().into_iter().flatten() {
        complete_rule(rule, &put.id, &etag, "securityRules");
    }
    let mut defaults = default_rules();
    for rule in &mut defaults {
        complete_rule(rule, &put.id, &etag, "defaultSecurityRules");
    }
    body["properties"]["defaultSecurityRules"] = json!(defaults);
}

/// Completes one rule.
pub(crate) fn complete_rule(rule: &mut Value, group: &str, etag: &str, list: &str) {
    let name = rule["name"].as_str().unwrap_or_default().to_owned();
    rule["id"] = json!(format!("{group}/{list}/{name}"));
    rule["etag"] = json!(format!("W/\"{etag}\""));
    rule["type"] = json!(format!("Microsoft.Network/networkSecurityGroups/{list}"));
    let defaults = json!({
        "provisioningState": "Succeeded", "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
        "sourcePortRanges": [], "destinationPortRanges": [],
    });
    super::view::fill(&mut rule["properties"], &defaults);
}

fn default_rules() -> Vec<Value> {
    let rule = |name: &str, access: &str, priority: u32, direction: &str, from: &str, to: &str| {
        json!({"name": name, "properties": {
            "description": name, "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*",
            "sourceAddressPrefix": from, "destinationAddressPrefix": to,
            "access": access, "priority": priority, "direction": direction,
        }})
    };
    vec![
        rule("AllowVnetInBound", "Allow", 65000, "Inbound", "VirtualNetwork", "VirtualNetwork"),
        rule("AllowAzureLoadBalancerInBound", "Allow", 65001, "Inbound", "AzureLoadBalancer", "*"),
        rule("DenyAllInBound", "Deny", 65500, "Inbound", "*", "*"),
        rule("AllowVnetOutBound", "Allow", 65000, "Outbound", "VirtualNetwork", "VirtualNetwork"),
        rule("AllowInternetOutBound", "Allow", 65001, "Outbound", "*", "Internet"),
        rule("DenyAllOutBound", "Deny", 65500, "Outbound", "*", "*"),
    ]
}

/// Who uses this group: subnets and interfaces.
pub(crate) fn users(state: &State, group: &Resource) -> (Vec<String>, Vec<String>) {
    let uses = |value: Option<&Value>| reference(value).is_some_and(|id| key(id) == key(&group.id));
    let subnets = state.every(Kind::VirtualNetwork).flat_map(super::network::subnets);
    let subnets = subnets.filter(|s| uses(s.pointer("/properties/networkSecurityGroup")));
    let subnets = subnets.filter_map(|s| s["id"].as_str()).map(str::to_owned).collect();
    let nics =
        state.every(Kind::Interface).filter(|n| uses(n.body.pointer("/properties/networkSecurityGroup")));
    (subnets, nics.map(|nic| nic.id.clone()).collect())
}

/// A used group stays.
pub(super) fn held(state: &State, group: &Resource) -> Result<(), ArmError> {
    let (subnets, nics) = users(state, group);
    let by = [subnets, nics].concat();
    if by.is_empty() {
        return Ok(());
    }
    Err(ArmError::bad(
        "InUseNetworkSecurityGroupCannotBeDeleted",
        format!(
            "Network security group {} cannot be deleted because it is in use by the following resources: {}. In order \
             to delete the Network security group, remove the association with the resource(s). To learn how to do \
             this, see aka.ms/deletensg.",
            group.id,
            by.join(", ")
        ),
    ))
}

/// The inbound rules of a group in the order in which they decide.
pub(crate) fn inbound(group: &Resource) -> Vec<crate::body::Rule> {
    let properties = &group.body["properties"];
    let lists = ["securityRules", "defaultSecurityRules"];
    let mut rules: Vec<_> = lists
        .iter()
        .flat_map(|list| properties[*list].as_array().into_iter().flatten())
        .map(|rule| &rule["properties"])
        .filter(|rule| rule["direction"].as_str().is_some_and(|d| d.eq_ignore_ascii_case("inbound")))
        .map(|rule| crate::body::Rule {
            priority: rule["priority"].as_u64().and_then(|p| u16::try_from(p).ok()).unwrap_or(u16::MAX),
            allow: rule["access"].as_str().is_some_and(|a| a.eq_ignore_ascii_case("allow")),
            protocol: rule["protocol"].as_str().unwrap_or("*").to_ascii_lowercase(),
            sources: texts(rule, "sourceAddressPrefix").map(str::to_owned).collect(),
            ports: texts(rule, "destinationPortRange").filter_map(ports).collect(),
        })
        .collect();
    rules.sort_by_key(|rule| rule.priority);
    rules
}
