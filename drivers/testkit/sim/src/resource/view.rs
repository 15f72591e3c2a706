//! What a GET shows: the kept body, what follows from others, and nothing that the version asked for does not know.

use serde_json::{Value, json};

use super::{Kind, Resource, address, disk, interface, machine, security};
use crate::cloud::{Cloud, State};
use crate::description::Description;

/// Adds what is missing.
pub(crate) fn fill(into: &mut Value, defaults: &Value) {
    if !into.is_object() {
        *into = json!({});
    }
    let (Some(into), Some(defaults)) = (into.as_object_mut(), defaults.as_object()) else { return };
    for (name, value) in defaults {
        into.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// The resource as `version` shows it.
pub(crate) fn show(
    cloud: &Cloud,
    state: &State,
    resource: &Resource,
    version: &str,
    expanded: bool,
) -> Value {
    let mut body = resource.body.clone();
    body["id"] = json!(resource.id);
    body["name"] = json!(resource.name);
    body["type"] = json!(resource.kind.full());
    body["location"] = json!(resource.location);
    body["properties"]["provisioningState"] = json!(resource.provisioning);
    body["etag"] = json!(resource.etag);
    match resource.kind {
        Kind::VirtualNetwork => show_network(state, &mut body),
        Kind::SecurityGroup => show_security(state, resource, &mut body),
        Kind::PublicAddress => {
            if let Some((_, configuration)) = address::user(state, resource) {
                body["properties"]["ipConfiguration"] = json!({"id": configuration["id"]});
            }
        }
        Kind::Interface => {
            if let Some(machine) = interface::machine(state, resource) {
                body["properties"]["virtualMachine"] = json!({"id": machine.id});
                body["properties"]["primary"] = json!(true);
            }
        }
        Kind::Disk => show_disk(state, resource, &mut body),
        Kind::Machine => show_machine(cloud, resource, &mut body, expanded),
        Kind::AvailabilitySet | Kind::ProximityGroup => {}
    }
    project(resource.kind, version, &body)
}

/// Only what the version knows.
fn project(kind: Kind, version: &str, body: &Value) -> Value {
    let Some(description) = Description::find(kind.provider(), kind.name(), version) else {
        return body.clone();
    };
    description.body(kind.name()).map_or_else(|| body.clone(), |model| description.project(model, body))
}

fn show_network(state: &State, body: &mut Value) {
    for subnet in body["properties"]["subnets"].as_array_mut().into_iter().flatten() {
        show_subnet(state, subnet);
    }
}

/// A subnet with the configurations that stand in it.
pub(crate) fn show_subnet(state: &State, subnet: &mut Value) {
    let id = super::key(subnet["id"].as_str().unwrap_or_default());
    let inside =
        |c: &&Value| super::reference(c.pointer("/properties/subnet")).is_some_and(|s| super::key(s) == id);
    let configurations = state.every(Kind::Interface).flat_map(interface::configurations).filter(inside);
    let configurations: Vec<_> = configurations.map(|c| json!({"id": c["id"]})).collect();
    if !configurations.is_empty() {
        subnet["properties"]["ipConfigurations"] = json!(configurations);
    }
}

fn show_security(state: &State, group: &Resource, body: &mut Value) {
    let (subnets, nics) = security::users(state, group);
    let ids = |list: Vec<String>| list.into_iter().map(|id| json!({"id": id})).collect::<Vec<_>>();
    if !nics.is_empty() {
        body["properties"]["networkInterfaces"] = json!(ids(nics));
    }
    if !subnets.is_empty() {
        body["properties"]["subnets"] = json!(ids(subnets));
    }
}

fn show_disk(state: &State, disk: &Resource, body: &mut Value) {
    if let Some(machine) = disk::machine(state, disk) {
        body["managedBy"] = json!(machine.id);
        let off = machine.machine.as_ref().is_some_and(|m| m.power == "deallocated");
        body["properties"]["diskState"] = json!(if off { "Reserved" } else { "Attached" });
    }
}

fn show_machine(cloud: &Cloud, vm: &Resource, body: &mut Value, expanded: bool) {
    if let Some(profile) = body["properties"]["osProfile"].as_object_mut() {
        // Never shown again.
        profile.remove("customData");
        profile.remove("adminPassword");
    }
    if let Some(properties) = body["properties"].as_object_mut() {
        properties.remove("userData");
    }
    if expanded {
        body["properties"]["instanceView"] = machine::instance_view(cloud, vm);
    }
}

/// A subnet as `version` shows it.
pub(crate) fn show_part(kind: &str, version: &str, body: &Value) -> Value {
    let Some(description) = Description::find("network", kind, version) else { return body.clone() };
    description.body(kind).map_or_else(|| body.clone(), |model| description.project(model, body))
}

/// What `version` shows of an answer that belongs to no resource; `route` is as the descriptions name it.
pub(crate) fn show_route(provider: &str, version: &str, route: &str, body: &Value) -> Value {
    let kind = route.trim_start_matches('/').split('/').next().unwrap_or_default();
    let described =
        Description::find(provider, kind, version).and_then(|d| Some((d, d.route(route, "GET")?)));
    let model = described.and_then(|(d, said)| Some((d, said["answer"].as_str()?.strip_prefix("ref:")?)));
    model.map_or_else(|| body.clone(), |(description, model)| description.project(model, body))
}
