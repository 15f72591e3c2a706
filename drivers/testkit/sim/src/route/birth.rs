//! The first moments of a machine.

use serde_json::{Value, json};

use super::Request;
use crate::cloud::{Due, State};
use crate::resource::{self, BodyState, Kind, Put, Resource, key, machine};

/// What happens when a machine is accepted: its disk is there, and its body is on its way.
pub(super) fn begin(request: &Request<'_>, state: &mut State, id: &str) {
    let cloud = request.cloud;
    make_system_disk(request, state, id);
    if !cloud.config.bodies.real() {
        return;
    }
    if let Some(machine) = state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()) {
        machine.body = BodyState::Coming;
    }
    let now = cloud.clock().now();
    state.schedule(now, Due::Boot(id.to_owned()));
}

/// The disk that the system is on is a resource of its own from the moment the machine is accepted.
fn make_system_disk(request: &Request<'_>, state: &mut State, id: &str) {
    let Some(vm) = state.resources.get(id).cloned() else { return };
    let profile = &vm.body["properties"]["storageProfile"];
    let from_image =
        profile["osDisk"]["createOption"].as_str().is_some_and(|o| o.eq_ignore_ascii_case("FromImage"));
    let Some(disk_id) = machine::system_disk(&vm).filter(|_| from_image).map(str::to_owned) else { return };
    let cloud = request.cloud;
    let disk = &profile["osDisk"];
    let mut body = json!({
        "sku": {"name": disk["managedDisk"]["storageAccountType"]},
        "properties": {
            "osType": disk["osType"], "hyperVGeneration": "V1", "diskSizeGB": disk["diskSizeGB"],
            "creationData": {"createOption": "FromImage", "imageReference": {"id": image_id(request, profile)}},
        },
    });
    // The provider copies the machine's tags on the disk that it makes for it.
    for field in ["tags", "zones"] {
        if !vm.body[field].is_null() {
            body[field] = vm.body[field].clone();
        }
    }
    let name = disk["name"].as_str().unwrap_or_default().to_owned();
    let put = Put {
        cloud,
        kind: Kind::Disk,
        id: disk_id.clone(),
        name: name.clone(),
        group: vm.group.clone(),
        location: vm.location.clone(),
        body,
    };
    let body = resource::complete(state, &put, None);
    let (etag, now) = (format!("W/\"{}\"", state.random.uuid()), cloud.clock().now());
    state.resources.insert(
        key(&disk_id),
        Resource {
            kind: Kind::Disk,
            id: disk_id,
            name,
            group: vm.group,
            location: vm.location,
            body,
            provisioning: "Succeeded",
            last_write: "",
            busy: None,
            born: now,
            etag,
            machine: None,
        },
    );
}

fn image_id(request: &Request<'_>, profile: &Value) -> String {
    let text = |field: &str| profile["imageReference"][field].as_str().unwrap_or_default();
    format!(
        "/Subscriptions/{}/Providers/Microsoft.Compute/Locations/{}/Publishers/{}/ArtifactTypes/VMImage/Offers/{}/Skus/{}/\
         Versions/{}",
        request.cloud.config.account.subscription,
        request.cloud.flavour().locations()[0].0,
        text("publisher"),
        text("offer"),
        text("sku"),
        text("exactVersion")
    )
}
