//! Virtual machines.
//!
//! ```text
//!            PUT                        deallocate, powerOff
//! (nothing) ────► Creating ──► running ◄───────────────────► deallocated, stopped
//!                    │                        start
//!                    └───────► Failed: stays until it is deleted, and its interface is reserved for 180 s more
//! ```

mod admit;
mod birth;
mod image;
mod os;

use serde_json::{Value, json};

pub(super) use admit::admit;
pub(crate) use admit::{cores_in_use, over_quota};
pub(crate) use birth::{birth, rules};

use super::{Put, Resource, key, reference};
use crate::catalog::{self, Size};
use crate::cloud::{Cloud, State};

/// The interfaces that a machine names.
pub(crate) fn interfaces(machine: &Resource) -> impl Iterator<Item = &str> {
    let list = machine.body.pointer("/properties/networkProfile/networkInterfaces").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|nic| reference(Some(nic)))
}

/// The size of a machine.
pub(crate) fn size(machine: &Resource) -> Option<&'static Size> {
    let wanted = machine.body.pointer("/properties/hardwareProfile/vmSize").and_then(Value::as_str)?;
    catalog::sizes(crate::flavour::Flavour::Public).find(|size| size.name.eq_ignore_ascii_case(wanted))
}

/// Whether it may be taken away at any time.
pub(crate) fn is_spot(body: &Value) -> bool {
    let priority = body.pointer("/properties/priority").and_then(Value::as_str).unwrap_or_default();
    ["spot", "low"].contains(&priority.to_ascii_lowercase().as_str())
}

/// Adds ids, versions and defaults; leaves out what is never shown again.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let kept = |field: &str| now.and_then(|n| n.body["properties"].get(field).cloned());
    body["properties"]["vmId"] = kept("vmId").unwrap_or_else(|| json!(state.random.uuid()));
    let created =
        kept("timeCreated").unwrap_or_else(|| json!(put.cloud.clock().stamp(put.cloud.clock().now())));
    body["properties"]["timeCreated"] = created;
    if let Some(now) = now {
        // An update may leave out what cannot change.
        merge_missing(&mut body["properties"], &now.body["properties"]);
    }
    storage(state, put, body);
    if body["properties"]["osProfile"].is_object() {
        let defaults =
            json!({"allowExtensionOperations": true, "requireGuestProvisionSignal": true, "secrets": []});
        super::view::fill(&mut body["properties"]["osProfile"], &defaults);
    }
}

/// Takes from `old` what `new` leaves out.
fn merge_missing(new: &mut Value, old: &Value) {
    let (Some(new), Some(old)) = (new.as_object_mut(), old.as_object()) else { return };
    for (name, value) in old {
        merge_missing(new.entry(name.clone()).or_insert_with(|| value.clone()), value);
    }
}

fn storage(state: &mut State, put: &Put<'_>, body: &mut Value) {
    let profile = &mut body["properties"]["storageProfile"];
    let found = image::find(put.cloud, &profile["imageReference"]);
    if let Some((image, version)) = found {
        profile["imageReference"]["exactVersion"] = json!(version);
        super::view::fill(&mut profile["osDisk"], &json!({"osType": "Linux", "diskSizeGB": image.disk}));
    }
    let defaults = json!({"osType": "Linux", "caching": "ReadWrite", "deleteOption": "Detach"});
    super::view::fill(&mut profile["osDisk"], &defaults);
    if !profile["osDisk"]["name"].is_string() {
        let name = format!("{}_OsDisk_1_{}", put.name, state.random.uuid().replace('-', ""));
        profile["osDisk"]["name"] = json!(name);
    }
    let name = profile["osDisk"]["name"].as_str().unwrap_or_default().to_owned();
    if !profile["osDisk"]["managedDisk"].is_object() {
        profile["osDisk"]["managedDisk"] = json!({});
    }
    let disk = &mut profile["osDisk"]["managedDisk"];
    super::view::fill(
        disk,
        &json!({"storageAccountType": "Standard_LRS", "id": put.cloud.id(&put.group, super::Kind::Disk, &name)}),
    );
    super::view::fill(profile, &json!({"dataDisks": []}));
    for disk in profile["dataDisks"].as_array_mut().into_iter().flatten() {
        data_disk(state, disk);
    }
}

/// Says of a disk that is attached what it is called and how large it is.
fn data_disk(state: &State, disk: &mut Value) {
    let Some(attached) = reference(disk.get("managedDisk")).and_then(|id| state.resource(id)) else { return };
    let size = attached.body.pointer("/properties/diskSizeGB").cloned().unwrap_or_default();
    let kind = attached.body.pointer("/sku/name").cloned().unwrap_or_default();
    let defaults = json!({
        "name": attached.name, "diskSizeGB": size, "caching": "None", "deleteOption": "Detach", "toBeDetached": false,
    });
    super::view::fill(disk, &defaults);
    super::view::fill(&mut disk["managedDisk"], &json!({"storageAccountType": kind}));
}

/// The disk that a machine's system is on.
pub(crate) fn system_disk(machine: &Resource) -> Option<&str> {
    reference(machine.body.pointer("/properties/storageProfile/osDisk/managedDisk"))
}

/// What goes with a machine because its `deleteOption` says so.
pub(crate) fn goes_along(machine: &Resource) -> Vec<String> {
    let properties = &machine.body["properties"];
    let wants =
        |value: &Value| value["deleteOption"].as_str().is_some_and(|o| o.eq_ignore_ascii_case("Delete"));
    let list = |pointer: &str| properties.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let disks =
        std::iter::once(&properties["storageProfile"]["osDisk"]).chain(list("/storageProfile/dataDisks"));
    let ephemeral = |disk: &Value| disk["diffDiskSettings"]["option"].is_string();
    let disks = disks.filter(|d| wants(d) || ephemeral(d)).filter_map(|d| reference(d.get("managedDisk")));
    let nics = list("/networkProfile/networkInterfaces");
    let nics = nics.filter(|nic| wants(&nic["properties"])).filter_map(|nic| reference(Some(nic)));
    disks.chain(nics).map(key).collect()
}

/// What `instanceView` shows.
pub(crate) fn instance_view(cloud: &Cloud, machine: &Resource) -> Value {
    let stamp = cloud.clock().stamp(machine.born);
    let (code, shown) = match machine.provisioning {
        "Succeeded" => ("succeeded".to_owned(), "Provisioning succeeded"),
        "Failed" => ("failed".to_owned(), "Provisioning failed"),
        other => (other.to_ascii_lowercase(), "Provisioning in progress"),
    };
    let mut statuses = vec![json!({
        "code": format!("ProvisioningState/{code}"), "level": "Info", "displayStatus": shown, "time": stamp,
    })];
    let Some(state) = &machine.machine else { return json!({"statuses": statuses}) };
    if let (Some(error), "Failed") = (&state.failure, machine.provisioning) {
        statuses[0]["code"] = json!(format!("ProvisioningState/failed/{}", error.code));
        statuses[0]["level"] = json!("Error");
        statuses[0]["message"] = json!(error.message);
    }
    if state.provisioned {
        let shown = format!("VM {}", state.power);
        let power =
            json!({"code": format!("PowerState/{}", state.power), "level": "Info", "displayStatus": shown});
        statuses.push(power);
    }
    let mut view = json!({"statuses": statuses, "disks": [], "bootDiagnostics": {}});
    if state.power == "running" && state.provisioned {
        view["vmAgent"] = json!({"vmAgentVersion": "2.11.1.12", "statuses": [{
            "code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready",
            "message": "Guest Agent is running", "time": stamp,
        }]});
        let name = machine.body.pointer("/properties/osProfile/computerName").cloned().unwrap_or_default();
        view["computerName"] = name;
    }
    view
}
