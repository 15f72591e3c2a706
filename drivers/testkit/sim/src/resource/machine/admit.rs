//! What the compute provider checks before it accepts a machine.

use serde_json::Value;

use super::{image, os};
use crate::catalog::{self, Size};
use crate::cloud::{Cloud, State};
use crate::error::{ArmError, parameter};
use crate::resource::{Kind, Put, Resource, interface, key, reference};

/// Checks size, image, system, interfaces, zones and quota, in the order in which the provider complains.
pub(crate) fn admit(state: &State, put: &Put<'_>, now: Option<&Resource>) -> Result<(), ArmError> {
    if let Some(now) = now {
        unchanged(put, now)?;
    }
    for needed in ["hardwareProfile", "storageProfile", "networkProfile"] {
        if now.is_none() && put.at(needed).is_none() {
            return Err(parameter(needed, format!("Required parameter '{needed}' is missing (null).")));
        }
    }
    let size = size(put, now)?;
    if now.is_none() {
        let image = image::admit(put, size)?;
        os::admit(put)?;
        security(put, size, image)?;
        ephemeral(put, size)?;
        disk_name(state, put)?;
    }
    interfaces(state, put, size)?;
    zones(state, put)?;
    references(state, put)?;
    spot(put, size)?;
    quota(state, put, now, size)
}

fn size<'s>(put: &Put<'_>, now: Option<&Resource>) -> Result<&'s Size, ArmError> {
    let before =
        now.and_then(|n| n.body.pointer("/properties/hardwareProfile/vmSize")).and_then(Value::as_str);
    let wanted = put.text("hardwareProfile/vmSize").or(before);
    let Some(wanted) = wanted else {
        return Err(parameter("vmSize", "Required parameter 'hardwareProfile.vmSize' is missing (null)."));
    };
    catalog::sizes(put.cloud.flavour()).find(|size| size.name.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
        let valid: Vec<_> = catalog::sizes(put.cloud.flavour()).map(|size| size.name).collect();
        let message = format!(
            "The value {wanted} provided for the VM size is not valid. The valid sizes in the current region are: {}. \
             Find out more on the valid VM sizes in each region at https://aka.ms/azure-regions.",
            valid.join(",")
        );
        parameter("vmSize", message)
    })
}

/// What cannot change once a machine is there.
fn unchanged(put: &Put<'_>, now: &Resource) -> Result<(), ArmError> {
    const FIXED: &[&str] = &[
        "osProfile/computerName",
        "osProfile/adminUsername",
        "osProfile/adminPassword",
        "osProfile/customData",
        "osProfile/linuxConfiguration/ssh/publicKeys",
        "storageProfile/imageReference/offer",
        "storageProfile/imageReference/publisher",
        "storageProfile/imageReference/sku",
        "storageProfile/osDisk/name",
        "availabilitySet/id",
        "priority",
    ];
    for path in FIXED {
        let before = now.body.pointer(&format!("/properties/{path}"));
        let same = |a: &Value, b: &Value| match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => a == b,
        };
        if put.at(path).is_some_and(|after| before.is_none_or(|before| !same(before, after))) {
            let path = path.replace('/', ".");
            return Err(ArmError::conflict(
                "PropertyChangeNotAllowed",
                format!("Changing property '{path}' is not allowed."),
            )
            .target(path));
        }
    }
    let zones = |value: &Value| value["zones"].as_array().cloned().unwrap_or_default();
    if zones(&put.body) != zones(&now.body) {
        return Err(ArmError::conflict(
            "ResourceAvailabilityZonesCannotBeModified",
            "Zones of an existing resource cannot be modified.",
        ));
    }
    Ok(())
}

fn security(put: &Put<'_>, size: &Size, image: Option<&catalog::Image>) -> Result<(), ArmError> {
    let kind = put.text("securityProfile/securityType").unwrap_or("Standard");
    let trusted = kind.eq_ignore_ascii_case("TrustedLaunch");
    if put.at("securityProfile/uefiSettings").is_some() && !trusted {
        return Err(parameter(
            "securityProfile.securityType",
            "Use of UEFI settings is not supported for a virtual machine whose securityType is not set.",
        ));
    }
    if trusted && !size.trusted {
        let message = format!(
            "The VM size '{}' is not supported for creation of VMs and Virtual Machine Scale Set with 'TrustedLaunch' security type.",
            size.name
        );
        return Err(ArmError::bad("BadRequest", message));
    }
    if trusted && image.is_some_and(|image| !image.trusted) {
        return Err(ArmError::bad(
            "BadRequest",
            "The provided image is not supported for Trusted Launch. Please use a Gen2 image that supports it.",
        ));
    }
    Ok(())
}

fn ephemeral(put: &Put<'_>, size: &Size) -> Result<(), ArmError> {
    if put.at("storageProfile/osDisk/diffDiskSettings/option").is_none() {
        return Ok(());
    }
    if !size.ephemeral {
        let message = format!("Ephemeral OS disk is not supported for VM size {}.", size.name);
        return Err(ArmError::bad("NotSupported", message).target("osDisk.diffDiskSettings"));
    }
    let caching = put.text("storageProfile/osDisk/caching").unwrap_or_default();
    if !caching.eq_ignore_ascii_case("ReadOnly") {
        return Err(parameter("osDisk.caching", "Ephemeral OS disk requires caching to be 'ReadOnly'."));
    }
    Ok(())
}

/// A disk of the name that the system's is to have must not be there.
fn disk_name(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let Some(name) = put.text("storageProfile/osDisk/name") else { return Ok(()) };
    let from_image =
        put.text("storageProfile/osDisk/createOption").is_some_and(|o| o.eq_ignore_ascii_case("FromImage"));
    if from_image && state.resource(&put.cloud.id(&put.group, Kind::Disk, name)).is_some() {
        let message = format!(
            "Disk {name} already exists in resource group {}. Only CreateOption.Attach is supported.",
            put.group
        );
        return Err(ArmError::conflict("ConflictingUserInput", message).target("osDisk.name"));
    }
    Ok(())
}

fn interfaces(state: &State, put: &Put<'_>, size: &Size) -> Result<(), ArmError> {
    let now = put.cloud.clock().now();
    let nics: Vec<_> = put.list("networkProfile/networkInterfaces").collect();
    if nics.is_empty() && put.at("networkProfile").is_some() {
        return Err(parameter(
            "networkProfile",
            "Required parameter 'networkProfile.networkInterfaces' is missing (null).",
        ));
    }
    for nic in nics {
        let id = reference(Some(nic)).unwrap_or_default();
        let Some(found) = state.of(Kind::Interface, id) else {
            let message = format!(
                "Resource {id} referenced by resource {} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.",
                put.id
            );
            return Err(ArmError::bad("InvalidResourceReference", message));
        };
        if found.location != put.location {
            let message = format!(
                "The location {} of the network interface {id} differs from the location {} of the virtual machine.",
                found.location, put.location
            );
            return Err(ArmError::bad("InvalidResourceReference", message));
        }
        if found.provisioning != "Succeeded" {
            return Err(crate::error::not_provisioned(&found.id, &put.id, found.last_write));
        }
        if let Some(other) = interface::machine(state, found).filter(|vm| key(&vm.id) != key(&put.id)) {
            let message = format!(
                "Network Interface {id} is used by existing resource {}. In order to use it, it must be dissociated from the resource.",
                other.id
            );
            return Err(ArmError::bad("NicInUse", message));
        }
        interface::reserved(state, id, &put.id, now)?;
        let fast = found.body.pointer("/properties/enableAcceleratedNetworking") == Some(&Value::Bool(true));
        if fast && !size.accelerated {
            let message = format!(
                "VMSize {} is not permitted to enable AcceleratedNetworking on NIC(s) {id} on VM {}.",
                size.name, put.id
            );
            return Err(ArmError::bad("VMSizeIsNotPermittedToEnableAcceleratedNetworking", message));
        }
    }
    Ok(())
}

fn zones(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    let zones: Vec<_> =
        put.body["zones"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if zones.is_empty() {
        return Ok(());
    }
    if put.cloud.flavour().is_hub() || zones.len() > 1 || !zones.iter().all(|z| ["1", "2", "3"].contains(z)) {
        let message = format!(
            "The zone(s) '{}' for resource 'Microsoft.Compute/virtualMachines/{}' is not supported. The supported zones for location '{}' are '{}'",
            zones.join(","),
            put.name,
            put.location,
            if put.cloud.flavour().is_hub() { "" } else { "1,2,3" }
        );
        return Err(ArmError::bad("InvalidAvailabilityZone", message));
    }
    for nic in put
        .list("networkProfile/networkInterfaces")
        .filter_map(|nic| state.of(Kind::Interface, reference(Some(nic))?))
    {
        for configuration in interface::configurations(nic) {
            let address = reference(configuration.pointer("/properties/publicIPAddress"));
            let Some(address) = address.and_then(|id| state.of(Kind::PublicAddress, id)) else { continue };
            let there: Vec<_> =
                address.body["zones"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !there.is_empty() && !there.contains(&zones[0]) {
                let message = format!(
                    "Compute resource {} has a zone constraint {} but the PublicIPAddress {} used by the compute resource via NetworkInterface or LoadBalancer has a different zone constraint {}.",
                    put.id,
                    zones[0],
                    address.id,
                    there.join(",")
                );
                return Err(ArmError::bad("VmAndPublicIPAddressZoneMismatch", message));
            }
        }
    }
    Ok(())
}

fn references(state: &State, put: &Put<'_>) -> Result<(), ArmError> {
    for (field, kind) in
        [("availabilitySet", Kind::AvailabilitySet), ("proximityPlacementGroup", Kind::ProximityGroup)]
    {
        if let Some(id) = reference(put.at(field)).filter(|id| state.of(kind, id).is_none()) {
            let name = id.rsplit('/').next().unwrap_or_default();
            return Err(crate::error::resource_not_found(&kind.full(), name, &put.group).target(field));
        }
    }
    for disk in put.list("storageProfile/dataDisks") {
        let attach = disk["createOption"].as_str().is_some_and(|o| o.eq_ignore_ascii_case("Attach"));
        let id = reference(disk.get("managedDisk")).unwrap_or_default();
        if attach && state.of(Kind::Disk, id).is_none() {
            let name = id.rsplit('/').next().unwrap_or_default();
            return Err(crate::error::resource_not_found("Microsoft.Compute/disks", name, &put.group));
        }
    }
    Ok(())
}

fn spot(put: &Put<'_>, size: &Size) -> Result<(), ArmError> {
    let spot = super::is_spot(&put.body);
    if spot && (!size.spot || put.cloud.flavour().is_hub()) {
        let message = format!("The requested VM size {} does not support priority 'Spot'.", size.name);
        return Err(ArmError::bad("BadRequest", message).target("vm.properties.priority"));
    }
    if !spot && put.text("evictionPolicy").is_some() {
        return Err(ArmError::bad(
            "OperationNotAllowed",
            "Eviction policy can be set only on Azure Spot Virtual Machines. For more information, see http://aka.ms/AzureSpot/errormessages.",
        ));
    }
    if !spot && put.at("billingProfile/maxPrice").is_some() {
        return Err(ArmError::bad(
            "OperationNotAllowed",
            "Max price can be set only on Azure Spot Virtual Machines. For more information, see http://aka.ms/AzureSpot/errormessages.",
        ));
    }
    Ok(())
}

fn quota(state: &State, put: &Put<'_>, now: Option<&Resource>, size: &Size) -> Result<(), ArmError> {
    let spot = super::is_spot(&put.body);
    let used = cores_in_use(state, &put.location, spot);
    let had = now.and_then(super::size).map_or(0, |size| size.cores);
    let quotas = put.cloud.quotas();
    let most = if spot { quotas.spot_cores } else { quotas.cores };
    if used - had.min(used) + size.cores > most {
        return Err(over_quota(put.cloud, &put.location, spot, most, used, size.cores));
    }
    let machines = state.every(Kind::Machine).filter(|vm| vm.location == put.location).count() as u32;
    if now.is_none() && machines >= quotas.machines {
        return Err(over_quota(put.cloud, &put.location, spot, quotas.machines, machines, 1));
    }
    Ok(())
}

/// Cores that count against the quota: those of every machine that isn't deallocated.
pub(crate) fn cores_in_use(state: &State, location: &str, spot: bool) -> u32 {
    let machines =
        state.every(Kind::Machine).filter(|vm| vm.location == location && super::is_spot(&vm.body) == spot);
    let on = machines.filter(|vm| vm.machine.as_ref().is_some_and(|m| m.power != "deallocated"));
    on.filter_map(super::size).map(|size| size.cores).sum()
}

/// More than the quota allows.
pub(crate) fn over_quota(
    cloud: &Cloud,
    location: &str,
    spot: bool,
    most: u32,
    used: u32,
    more: u32,
) -> ArmError {
    if cloud.flavour().is_hub() {
        let message = format!(
            "Operation results in exceeding quota limits of Core. Maximum allowed: {most}, Current in use: {used}, Additional requested: {more}. Please read more about quota increase at https://aka.ms/ProdportalCRP/?#create/Microsoft.Support."
        );
        return ArmError::conflict("OperationNotAllowed", message);
    }
    let what = if spot { "LowPriorityCores" } else { "Total Regional Cores" };
    let message = format!(
        "Operation could not be completed as it results in exceeding approved {what} quota. Additional details - Deployment Model: Resource Manager, Location: {location}, Current Limit: {most}, Current Usage: {used}, Additional Required: {more}, (Minimum) New Limit Required: {}. Setup Alerts when Quota reaches threshold. Learn more at https://aka.ms/quotamonitoringalerting . Submit a request for Quota increase at https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView by specifying parameters listed in the 'Details' section for deployment to succeed. Please read more about quota limits at https://docs.microsoft.com/en-us/azure/azure-supportability/regional-quota-requests",
        used + more
    );
    ArmError::conflict("OperationNotAllowed", message)
}
