//! Network, firewall, address and interface. Their fields have been the same since 2017, but for one.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::config::Port;

/// Rules of ours begin here; lower numbers are left to people.
const FIRST_PRIORITY: u64 = 200;

pub(super) fn network(subnet: &str, prefix: &str, version: &str) -> Value {
    let mut properties = json!({ "addressPrefix": prefix });
    // Said where it can be said: what holds without it differs between versions.
    if version >= "2023-11-01" {
        properties["defaultOutboundAccess"] = json!(false);
    }
    json!({
        "addressSpace": { "addressPrefixes": [prefix] },
        "subnets": [{ "name": subnet, "properties": properties }],
    })
}

/// The rules of a wish, and one that has its number already.
pub(super) fn firewall(rules: &[(String, Value)], first: Option<(String, Value)>) -> Value {
    let numbered = rules.iter().zip(FIRST_PRIORITY..).map(|((name, rule), priority)| {
        let mut properties = rule.clone();
        properties["priority"] = json!(priority);
        json!({ "name": name, "properties": properties })
    });
    let first = first.map(|(name, properties)| json!({ "name": name, "properties": properties }));
    json!({ "securityRules": numbered.chain(first).collect::<Vec<_>>() })
}

/// The rules of a wish, by name, without their priorities. The same wish has the same names, whoever makes it.
pub(super) fn rules(allowed: &[String], engine_port: u16, open: &[Port]) -> Vec<(String, Value)> {
    let mut rules = Vec::new();
    for source in allowed {
        rules.push(named("ssh", 22, false, source));
        rules.push(named("engine", engine_port, false, source));
    }
    rules.extend(open.iter().map(|port| named("open", port.number, port.udp, "*")));
    rules
}

fn named(what: &str, port: u16, udp: bool, source: &str) -> (String, Value) {
    let protocol = if udp { "Udp" } else { "Tcp" };
    let from = if source == "*" {
        "any".to_owned()
    } else {
        source.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    };
    let name = format!("wharf-{what}-{port}-{}-from-{from}", protocol.to_ascii_lowercase());
    (name, rule(&format!("{what} of container hosts"), port, udp, source))
}

/// A rule that lets `source` in, but for its number.
pub(crate) fn rule(description: &str, port: u16, udp: bool, source: &str) -> Value {
    // No longer one is taken.
    let description: String = description.chars().take(140).collect();
    json!({
        "description": description,
        "protocol": if udp { "Udp" } else { "Tcp" },
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": port.to_string(),
        "access": "Allow",
        "direction": "Inbound",
    })
}

pub(super) fn address(label: Option<&str>) -> Value {
    let mut properties = json!({ "publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4" });
    if let Some(label) = label {
        properties["dnsSettings"] = json!({ "domainNameLabel": label });
    }
    properties
}

pub(super) fn interface(
    subnet: &str,
    firewall: &str,
    address: Option<&str>,
    private: Option<Ipv4Addr>,
    accelerated: bool,
) -> Value {
    let mut configuration = json!({
        "primary": true,
        "privateIPAllocationMethod": if private.is_some() { "Static" } else { "Dynamic" },
        "subnet": { "id": subnet },
    });
    if let Some(private) = private {
        configuration["privateIPAddress"] = json!(private.to_string());
    }
    if let Some(address) = address {
        configuration["publicIPAddress"] = json!({ "id": address });
    }
    let mut properties = json!({
        "ipConfigurations": [{ "name": "primary", "properties": configuration }],
        "networkSecurityGroup": { "id": firewall },
    });
    if accelerated {
        properties["enableAcceleratedNetworking"] = json!(true);
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_does_not_have_is_not_said() {
        let old = network("machines", "10.0.0.0/16", "2018-11-01");
        assert_eq!(old["subnets"][0]["properties"], json!({ "addressPrefix": "10.0.0.0/16" }));
        let new = network("machines", "10.0.0.0/16", "2024-05-01");
        assert_eq!(new["subnets"][0]["properties"]["defaultOutboundAccess"], false);
    }

    #[test]
    fn rules_are_named_after_what_they_let_in() {
        let rules =
            rules(&["10.0.0.0/8".to_owned(), "*".to_owned()], 2376, &[Port { number: 53, udp: true }]);
        let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "wharf-ssh-22-tcp-from-10-0-0-0-8",
                "wharf-engine-2376-tcp-from-10-0-0-0-8",
                "wharf-ssh-22-tcp-from-any",
                "wharf-engine-2376-tcp-from-any",
                "wharf-open-53-udp-from-any"
            ]
        );
        let whole = firewall(&rules, None);
        assert_eq!(whole["securityRules"][4]["properties"]["priority"], FIRST_PRIORITY + 4);
    }
}
