//! Everything in the subscription that says whose it is. Asked for by one list of everything: a list that is filtered by
//! a tag shows no tags.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;
use wharf_arm::{Arm, Call, date, moment};
use wharf_driver::{Found, Owned, Result, Strange};

use crate::config::Config;
use crate::kind::{DISKS, GROUPS, INTERFACES, Kind};
use crate::names;
use crate::resource::{Parts, Resource};
use crate::tags;

/// In the order in which they are removed.
const KINDS: [Kind; 6] =
    [Kind::Machine, Kind::Interface, Kind::Address, Kind::Firewall, Kind::Network, Kind::Group];
/// The group that docker-machine makes machines in, and whose network and availability set it names like this, too.
const DOCKER_MACHINE: &str = "docker-machine";
/// What docker-machine puts behind a machine's name; no driver here has this one.
const FIREWALL: &str = "-firewall";

pub(crate) async fn find_owned(arm: &Arm, config: &Config) -> Result<Found<Resource>> {
    let path = format!("/subscriptions/{}/resources", arm.subscription());
    let query = [("$expand", "createdTime")];
    let call = Call::get("looking for everything that is marked as ours", GROUPS, &path).asking(&query);
    let groups = format!("/subscriptions/{}/resourcegroups", arm.subscription());
    let groups = Call::get("looking for groups that are marked as ours", GROUPS, &groups);
    let (listed, groups) = tokio::try_join!(arm.list_with_headers(&call), arm.list(&groups))?;
    let (listed, headers) = listed;
    let now = date(&headers).unwrap_or_else(|| arm.clock().wall());
    let all = listed.iter().chain(&groups);
    let owned = all.filter_map(|body| owned(&arm.cloud().endpoint, body, &config.tags)).collect();
    Ok(Found { now, owned, strange: strange(&listed) })
}

/// A thing that carries our tags.
fn owned(endpoint: &str, body: &Value, wished: &BTreeMap<String, String>) -> Option<Owned<Resource>> {
    let (tag, said) = tags::read(body)?;
    let id = body["id"].as_str()?.to_owned();
    let kind = kind(body["type"].as_str().unwrap_or(GROUPS))?;
    let shared = tags::says_shared(body);
    let name = names::last(&id).to_owned();
    let machine = if kind == Kind::Machine { Some(parts(&id)?) } else { None };
    let stage = KINDS.iter().position(|one| *one == kind).and_then(|at| u8::try_from(at).ok())?;
    // A group does not say when it was made, and is removed only when nothing is in it.
    let since: SystemTime = body["createdTime"].as_str().and_then(moment).unwrap_or(said);
    let step = if shared { names::everywhere(endpoint, &id) } else { name.clone() };
    let lacks = if shared { Vec::new() } else { tags::lacking(body, wished) };
    let resource = Resource { kind, id, ours: true, shared, machine };
    Some(Owned { resource, kind: kind.noun(), step, name, shared, stage, tag, lacks, since })
}

fn kind(arm: &str) -> Option<Kind> {
    if arm.eq_ignore_ascii_case("Microsoft.Resources/resourceGroups") {
        return Some(Kind::Group);
    }
    KINDS.into_iter().find(|kind| kind.arm().eq_ignore_ascii_case(arm))
}

/// What a machine is made of, by its name: all that belongs to it is called alike.
fn parts(id: &str) -> Option<Parts> {
    let base = id.strip_suffix("-vm")?;
    let (group, name) = base.split_once("/providers/Microsoft.Compute/virtualMachines/")?;
    let sibling = |kind: &str, suffix: &str| format!("{group}/providers/{kind}/{name}-{suffix}");
    Some(Parts {
        disk: sibling(DISKS, "disk"),
        interface: sibling(INTERFACES, Kind::Interface.suffix()),
        address: Some(sibling(Kind::Address.arm(), Kind::Address.suffix())),
        user: None,
        engine_port: 2376,
    })
}

/// What docker-machine leaves: everything in its group, and machines' firewalls wherever else it was sent to. It marks
/// nothing, so that only names say so.
fn strange(listed: &[Value]) -> Vec<Strange> {
    let one = |body: &Value| {
        let id = body["id"].as_str()?;
        if tags::read(body).is_some() {
            return None;
        }
        let group = id.split('/').nth(4)?;
        let (kind, name) = (kind(body["type"].as_str()?), names::last(id));
        let because = if group.eq_ignore_ascii_case(DOCKER_MACHINE) {
            format!("it is in the group {group}, which docker-machine makes machines in")
        } else if kind == Some(Kind::Firewall) && name.ends_with(FIREWALL) {
            "docker-machine gives firewalls such names".to_owned()
        } else {
            return None;
        };
        let noun = kind.map_or_else(|| body["type"].to_string(), |kind| kind.noun().to_owned());
        Some(Strange { kind: noun.trim_matches('"').to_owned(), name: name.to_owned(), because })
    };
    listed.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_machine_left_is_known_by_its_names_alone() {
        let id = |group: &str, rest: &str| {
            format!("/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Network/{rest}")
        };
        let firewall = "Microsoft.Network/networkSecurityGroups";
        let listed = [
            json!({ "id": id("docker-machine", "virtualNetworks/docker-machine-vnet"),
                    "type": "Microsoft.Network/virtualNetworks" }),
            json!({ "id": id("prod", "networkSecurityGroups/web-firewall"), "type": firewall }),
            json!({ "id": id("prod", "networkSecurityGroups/web"), "type": firewall }),
        ];
        let found = strange(&listed);
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["docker-machine-vnet", "web-firewall"]);
        assert_eq!(found[0].kind, "virtual network");
    }
}
