//! Devices of the host inside a container, and the rules that say which may be opened.

use serde_json::{Value, json};

use wharfd_api_types::container::HostConfig;

use super::Blueprint;
use crate::engine::error::{Error, Result};

/// A device node of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) inside: String,
    pub(crate) character: bool,
    pub(crate) major: u64,
    pub(crate) minor: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Of `rwm`.
    pub(crate) access: String,
}

/// The nodes to make. The runtime makes the usual ones (null, zero, tty …) by itself.
pub(super) fn nodes(devices: &[Device]) -> Vec<Value> {
    devices
        .iter()
        .map(|device| {
            json!({
                "path": device.inside, "type": kind(device.character), "major": device.major, "minor": device.minor,
                "fileMode": device.mode & 0o7777, "uid": device.uid, "gid": device.gid,
            })
        })
        .collect()
}

/// Who may open what: everything for a privileged container, else the harmless ones and those that were named.
pub(super) fn rules(blueprint: &Blueprint<'_>) -> Result<Vec<Value>> {
    if blueprint.host.privileged {
        return Ok(vec![json!({ "allow": true, "access": "rwm" })]);
    }
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for kind in ["c", "b"] {
        rules.push(json!({ "allow": true, "type": kind, "access": "m" }));
    }
    for (major, minor) in HARMLESS {
        rules.push(json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" }));
    }
    rules.push(json!({ "allow": true, "type": "c", "major": PTS, "access": "rwm" }));
    for device in &blueprint.devices {
        let (major, minor) = (device.major, device.minor);
        let kind = kind(device.character);
        rules.push(
            json!({ "allow": true, "type": kind, "major": major, "minor": minor, "access": device.access }),
        );
    }
    rules.extend(parse_rules(blueprint.host)?);
    Ok(rules)
}

/// The client's own rules.
pub(super) fn parse_rules(host: &HostConfig) -> Result<Vec<Value>> {
    host.device_cgroup_rules.iter().flatten().map(|rule| parse_rule(rule)).collect()
}

/// `c 1:3 rwm`, with `*` for any number.
fn parse_rule(text: &str) -> Result<Value> {
    let invalid = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let parts: Vec<_> = text.split(' ').collect();
    let [kind @ ("a" | "b" | "c"), numbers, access] = parts[..] else { return Err(invalid()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    if access.is_empty() || !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(invalid());
    }
    let mut rule = json!({ "allow": true, "type": kind, "access": access });
    for (key, number) in [("major", major), ("minor", minor)] {
        if number != "*" {
            rule[key] = json!(number.parse::<i64>().map_err(|_| invalid())?);
        }
    }
    Ok(rule)
}

const fn kind(character: bool) -> &'static str {
    if character { "c" } else { "b" }
}

/// null, zero, full, random, urandom, tty, console, ptmx.
const HARMLESS: [(u64, u64); 8] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
/// The terminals of containers.
const PTS: u64 = 136;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_nonsense_refused() {
        assert_eq!(
            parse_rule("c 10:* rw").unwrap(),
            json!({ "allow": true, "type": "c", "access": "rw", "major": 10 })
        );
        for wrong in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:x r", "c 1:3 q", "c 1:3 "] {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }
}
