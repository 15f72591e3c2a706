//! The virtual machine with its system disk.

use serde_json::{Map, Value, json};

use crate::action::{Image, Machine};
use crate::config::Eviction;
use crate::names;
use crate::seed::Birth;

/// `deleteOption` of disks and interfaces is known from here on.
const DELETE_OPTIONS: &str = "2021-03-01";
/// Trusted launch, a console without a storage account, spot and more are known from here on.
const MANAGED_CONSOLE: &str = "2020-06-01";
/// Disk encryption sets, ephemeral disks, spot and proximity groups are known from here on; a stamp has none of them.
const FEATURES: &str = "2020-06-01";
const TRUSTED_LAUNCH: &str = "2021-03-01";

/// Fills the body of `wish` in.
pub(super) fn fill(body: &mut Value, wish: &Machine, birth: Option<&Birth>, version: &str) {
    let mut properties = json!({
        "hardwareProfile": { "vmSize": wish.size },
        "storageProfile": { "imageReference": image(&wish.image), "osDisk": disk(wish, version) },
        "networkProfile": { "networkInterfaces": [interface(&wish.interface, version)] },
    });
    if let Some(birth) = birth {
        properties["osProfile"] = system(birth);
    }
    if wish.console && version >= MANAGED_CONSOLE {
        properties["diagnosticsProfile"] = json!({ "bootDiagnostics": { "enabled": true } });
    }
    if wish.trusted_launch && version >= TRUSTED_LAUNCH {
        properties["securityProfile"] = json!({
            "securityType": "TrustedLaunch",
            "uefiSettings": { "secureBootEnabled": true, "vTpmEnabled": true },
        });
    }
    if let Some(id) = &wish.availability_set {
        properties["availabilitySet"] = json!({ "id": id });
    }
    if version >= FEATURES {
        features(&mut properties, wish);
    }
    if let Some([publisher, product, name]) = &wish.plan {
        body["plan"] = json!({ "publisher": publisher, "product": product, "name": name });
    }
    if let Some(zone) = &wish.zone {
        body["zones"] = json!([zone]);
    }
    if let Some(identity) = identity(wish) {
        body["identity"] = identity;
    }
    body["properties"] = properties;
}

fn features(properties: &mut Value, wish: &Machine) {
    if let Some(id) = &wish.proximity_group {
        properties["proximityPlacementGroup"] = json!({ "id": id });
    }
    if let Some(eviction) = wish.spot {
        properties["priority"] = json!("Spot");
        properties["evictionPolicy"] = json!(match eviction {
            Eviction::Deallocate => "Deallocate",
            Eviction::Delete => "Delete",
        });
        // Up to the usual price: it is never taken away because of what others bid.
        properties["billingProfile"] = json!({ "maxPrice": -1 });
    }
}

fn image(image: &Image) -> Value {
    match image {
        Image::Market { publisher, offer, sku, version } => {
            json!({ "publisher": publisher, "offer": offer, "sku": sku, "version": version })
        }
        Image::Id(id) => json!({ "id": id }),
    }
}

fn disk(wish: &Machine, version: &str) -> Value {
    let ephemeral = wish.disk.ephemeral && version >= FEATURES;
    let mut managed =
        json!({ "storageAccountType": if ephemeral { "Standard_LRS" } else { &wish.disk.kind } });
    if let Some(id) = wish.disk.encryption_set.as_ref().filter(|_| version >= FEATURES) {
        managed["diskEncryptionSet"] = json!({ "id": id });
    }
    let mut disk = json!({
        "name": names::last(&wish.disk_id),
        "createOption": "FromImage",
        "caching": if ephemeral { "ReadOnly" } else { "ReadWrite" },
        "managedDisk": managed,
    });
    if ephemeral {
        disk["diffDiskSettings"] = json!({ "option": "Local" });
    }
    if let Some(size) = wish.disk.size_gib {
        disk["diskSizeGB"] = json!(size);
    }
    if version >= DELETE_OPTIONS {
        disk["deleteOption"] = json!("Delete");
    }
    disk
}

fn interface(id: &str, version: &str) -> Value {
    let mut properties = json!({ "primary": true });
    if version >= DELETE_OPTIONS {
        // It is removed by itself, so that what is left of a machine that was never made is known.
        properties["deleteOption"] = json!("Detach");
    }
    json!({ "id": id, "properties": properties })
}

fn system(birth: &Birth) -> Value {
    json!({
        "computerName": birth.host_name,
        "adminUsername": birth.user,
        "customData": birth.custom_data,
        "linuxConfiguration": {
            "disablePasswordAuthentication": true,
            "ssh": { "publicKeys": [{
                "path": format!("/home/{}/.ssh/authorized_keys", birth.user),
                "keyData": birth.key,
            }] },
        },
    })
}

fn identity(wish: &Machine) -> Option<Value> {
    let users: Map<String, Value> = wish.identities.iter().map(|id| (id.clone(), json!({}))).collect();
    let kind = match (wish.system_identity, users.is_empty()) {
        (false, true) => return None,
        (true, true) => "SystemAssigned",
        (false, false) => "UserAssigned",
        (true, false) => "SystemAssigned, UserAssigned",
    };
    let mut identity = json!({ "type": kind });
    if !users.is_empty() {
        identity["userAssignedIdentities"] = Value::Object(users);
    }
    Some(identity)
}
