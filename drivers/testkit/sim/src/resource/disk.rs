//! Managed disks.

use serde_json::{Value, json};

use super::{Kind, Put, Resource, key, reference};
use crate::cloud::State;
use crate::error::{ArmError, parameter};

/// Checks how it is made and how large it is.
pub(super) fn admit(put: &Put<'_>, now: Option<&Resource>) -> Result<(), ArmError> {
    let option = put.text("creationData/createOption").unwrap_or_default();
    let size = put.at("diskSizeGB").and_then(Value::as_i64);
    if option.eq_ignore_ascii_case("Empty") && size.is_none() && now.is_none() {
        return Err(parameter("disk.diskSizeGB", "Required parameter 'disk.diskSizeGB' is missing (null)."));
    }
    if size.is_some_and(|size| !(1..=32_767).contains(&size)) {
        return Err(parameter(
            "disk.diskSizeGB",
            "The value of parameter disk.diskSizeGB is out of range. Value must be between '1' and '32767', inclusive.",
        ));
    }
    let before = now.and_then(|n| n.body.pointer("/properties/diskSizeGB")).and_then(Value::as_i64);
    if before.zip(size).is_some_and(|(before, size)| size < before) {
        return Err(ArmError::conflict("ResizeDiskError", "Disk size reduction is not supported.")
            .target("disk.diskSizeGB"));
    }
    let zones = put.body["zones"].as_array().is_some_and(|z| !z.is_empty());
    if zones && put.cloud.flavour().is_hub() {
        return Err(parameter("zones", "Availability zones are not supported in this location."));
    }
    Ok(())
}

/// Adds times, state and ids.
pub(super) fn complete(state: &mut State, put: &Put<'_>, body: &mut Value, now: Option<&Resource>) {
    let kept = |field: &str| now.and_then(|n| n.body["properties"].get(field).cloned());
    if !body["sku"].is_object() {
        body["sku"] = json!({"name": "Standard_LRS"});
    }
    let premium = body["sku"]["name"].as_str().is_some_and(|name| name.starts_with("Premium"));
    body["sku"]["tier"] = json!(if premium { "Premium" } else { "Standard" });
    let size = kept("diskSizeGB").filter(|_| body["properties"]["diskSizeGB"].is_null());
    if let Some(size) = size {
        body["properties"]["diskSizeGB"] = size;
    }
    let gigabytes = body["properties"]["diskSizeGB"].as_u64().unwrap_or(30);
    let created =
        kept("timeCreated").unwrap_or_else(|| json!(put.cloud.clock().stamp(put.cloud.clock().now())));
    let unique = kept("uniqueId").unwrap_or_else(|| json!(state.random.uuid()));
    let defaults = json!({
        "diskSizeGB": gigabytes, "diskSizeBytes": gigabytes << 30, "timeCreated": created, "uniqueId": unique,
        "diskIOPSReadWrite": 500, "diskMBpsReadWrite": 60, "diskState": "Unattached",
        "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
    });
    super::view::fill(&mut body["properties"], &defaults);
}

/// The machine that a disk is attached to.
pub(crate) fn machine<'s>(state: &'s State, disk: &Resource) -> Option<&'s Resource> {
    state.every(Kind::Machine).find(|vm| {
        let profile = &vm.body["properties"]["storageProfile"];
        let data = profile["dataDisks"].as_array().into_iter().flatten();
        let mut all = std::iter::once(&profile["osDisk"]).chain(data);
        all.any(|d| reference(d.get("managedDisk")).is_some_and(|id| key(id) == key(&disk.id)))
    })
}

/// An attached disk stays.
pub(super) fn held(state: &State, disk: &Resource) -> Result<(), ArmError> {
    let Some(machine) = machine(state, disk) else { return Ok(()) };
    Err(ArmError::conflict(
        "OperationNotAllowed",
        format!("Disk {} is attached to VM {}.", disk.name, machine.id),
    ))
}
