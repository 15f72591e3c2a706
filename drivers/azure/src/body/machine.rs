//! The virtual machine with its system disk, by the models of its official description. They know the newest fields; what
//! a version has is decided here, since a field that it does not have is refused.

use azure_mgmt_compute::package_2024_03_01::models::{
    self, BillingProfile, BootDiagnostics, Caching, CreateOption, DeleteOption, DiagnosticsProfile,
    DiffDiskOption, DiffDiskSettings, DiskEncryptionSetParameters, EvictionPolicy, HardwareProfile,
    ImageReference, LinuxConfiguration, ManagedDiskParameters, NetworkInterfaceReference,
    NetworkInterfaceReferenceProperties, NetworkProfile, OsDisk, OsProfile, Plan, Priority, SecurityProfile,
    SshConfiguration, SshPublicKey, StorageProfile, SubResource, UefiSettings, VirtualMachineProperties,
};
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
    body["properties"] = written(&properties(wish, birth, version));
    if let Some([publisher, product, name]) = &wish.plan {
        body["plan"] = written(&Plan {
            publisher: Some(publisher.clone()),
            product: Some(product.clone()),
            name: Some(name.clone()),
            ..Plan::default()
        });
    }
    if let Some(zone) = &wish.zone {
        body["zones"] = json!([zone]);
    }
    if let Some(identity) = identity(wish) {
        body["identity"] = identity;
    }
}

fn properties(wish: &Machine, birth: Option<&Birth>, version: &str) -> VirtualMachineProperties {
    let has = |since: &str| version >= since;
    let spot = wish.spot.filter(|_| has(FEATURES));
    VirtualMachineProperties {
        hardware_profile: Some(HardwareProfile {
            // There are more than the model names, and it writes this one as it stands.
            vm_size: Some(models::hardware_profile::VmSize::UnknownValue(wish.size.clone())),
            ..HardwareProfile::default()
        }),
        storage_profile: Some(StorageProfile {
            image_reference: Some(image(&wish.image)),
            os_disk: Some(disk(wish, version)),
            ..StorageProfile::default()
        }),
        network_profile: Some(NetworkProfile {
            network_interfaces: vec![interface(&wish.interface, version)],
            ..NetworkProfile::default()
        }),
        os_profile: birth.map(system),
        diagnostics_profile: (wish.console && has(MANAGED_CONSOLE)).then(console),
        security_profile: (wish.trusted_launch && has(TRUSTED_LAUNCH)).then(trusted_launch),
        availability_set: wish.availability_set.as_deref().map(reference),
        proximity_placement_group: wish.proximity_group.as_deref().filter(|_| has(FEATURES)).map(reference),
        priority: spot.map(|_| Priority::Spot),
        eviction_policy: spot.map(|eviction| match eviction {
            Eviction::Deallocate => EvictionPolicy::Deallocate,
            Eviction::Delete => EvictionPolicy::Delete,
        }),
        // Up to the usual price: it is never taken away because of what others bid.
        billing_profile: spot.map(|_| BillingProfile { max_price: Some(-1.0) }),
        ..VirtualMachineProperties::default()
    }
}

fn reference(id: &str) -> SubResource {
    SubResource { id: Some(id.to_owned()) }
}

fn console() -> DiagnosticsProfile {
    let boot_diagnostics = BootDiagnostics { enabled: Some(true), ..BootDiagnostics::default() };
    DiagnosticsProfile { boot_diagnostics: Some(boot_diagnostics) }
}

fn trusted_launch() -> SecurityProfile {
    SecurityProfile {
        security_type: Some(models::security_profile::SecurityType::TrustedLaunch),
        uefi_settings: Some(UefiSettings { secure_boot_enabled: Some(true), v_tpm_enabled: Some(true) }),
        ..SecurityProfile::default()
    }
}

fn image(image: &Image) -> ImageReference {
    match image {
        Image::Market { publisher, offer, sku, version } => ImageReference {
            publisher: Some(publisher.clone()),
            offer: Some(offer.clone()),
            sku: Some(sku.clone()),
            version: Some(version.clone()),
            ..ImageReference::default()
        },
        Image::Id(id) => ImageReference { sub_resource: reference(id), ..ImageReference::default() },
    }
}

fn disk(wish: &Machine, version: &str) -> OsDisk {
    let ephemeral = wish.disk.ephemeral && version >= FEATURES;
    let kind = if ephemeral { "Standard_LRS" } else { &wish.disk.kind };
    let encryption = wish.disk.encryption_set.as_deref().filter(|_| version >= FEATURES);
    OsDisk {
        name: Some(names::last(&wish.disk_id).to_owned()),
        caching: Some(if ephemeral { Caching::ReadOnly } else { Caching::ReadWrite }),
        managed_disk: Some(ManagedDiskParameters {
            storage_account_type: Some(models::StorageAccountType::UnknownValue(kind.to_owned())),
            disk_encryption_set: encryption
                .map(|id| DiskEncryptionSetParameters { sub_resource: reference(id) }),
            ..ManagedDiskParameters::default()
        }),
        diff_disk_settings: ephemeral
            .then(|| DiffDiskSettings { option: Some(DiffDiskOption::Local), ..DiffDiskSettings::default() }),
        disk_size_gb: wish.disk.size_gib.and_then(|size| size.try_into().ok()),
        delete_option: (version >= DELETE_OPTIONS).then_some(DeleteOption::Delete),
        ..OsDisk::new(CreateOption::FromImage)
    }
}

fn interface(id: &str, version: &str) -> NetworkInterfaceReference {
    // It is removed by itself, so that what is left of a machine that was never made is known.
    let detach = models::network_interface_reference_properties::DeleteOption::Detach;
    NetworkInterfaceReference {
        sub_resource: reference(id),
        properties: Some(NetworkInterfaceReferenceProperties {
            primary: Some(true),
            delete_option: (version >= DELETE_OPTIONS).then_some(detach),
        }),
    }
}

fn system(birth: &Birth) -> OsProfile {
    let key = SshPublicKey {
        path: Some(format!("/home/{}/.ssh/authorized_keys", birth.user)),
        key_data: Some(birth.key.clone()),
    };
    OsProfile {
        computer_name: Some(birth.host_name.clone()),
        admin_username: Some(birth.user.clone()),
        custom_data: Some(birth.custom_data.clone()),
        linux_configuration: Some(LinuxConfiguration {
            disable_password_authentication: Some(true),
            ssh: Some(SshConfiguration { public_keys: vec![key] }),
            ..LinuxConfiguration::default()
        }),
        ..OsProfile::default()
    }
}

/// By hand: the model has no room for the ids.
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

/// A model as JSON, without the nulls that some fields become.
fn written(model: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(model).unwrap_or_default();
    drop_nulls(&mut value);
    value
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_the_model_does_not_know_are_written_as_they_are() {
        let written = written(&VirtualMachineProperties {
            hardware_profile: Some(HardwareProfile {
                vm_size: Some(models::hardware_profile::VmSize::UnknownValue("Standard_X9".into())),
                ..HardwareProfile::default()
            }),
            ..VirtualMachineProperties::default()
        });
        assert_eq!(written, json!({ "hardwareProfile": { "vmSize": "Standard_X9" } }));
    }
}
