//! The image that a machine is made from.

use serde_json::Value;

use crate::catalog::{self, Image, Size};
use crate::cloud::Cloud;
use crate::error::{ArmError, parameter};
use crate::resource::Put;

/// The image that a reference names, and which version of it.
pub(super) fn find(cloud: &Cloud, reference: &Value) -> Option<(&'static Image, &'static str)> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let named = |image: &&Image| {
        same(image.publisher, text("publisher"))
            && same(image.offer, text("offer"))
            && same(image.sku, text("sku"))
    };
    let image = catalog::images(cloud.flavour(), cloud.has_images()).find(named)?;
    Some((image, image.version(text("version"))?))
}

/// Checks that the image is there, bought, and boots on this size. `None` for a machine from a disk.
pub(super) fn admit(put: &Put<'_>, size: &Size) -> Result<Option<&'static Image>, ArmError> {
    let Some(reference) = put.at("storageProfile/imageReference") else { return from_disk(put) };
    if reference["id"].is_string() {
        let id = reference["id"].as_str().unwrap_or_default();
        let message = format!(
            "The platform image '{id}' is not available. Verify that all fields in the storage profile are correct."
        );
        return Err(ArmError::new(404, "ImageNotFound", message).target("imageReference"));
    }
    for field in ["publisher", "offer", "sku", "version"] {
        if reference[field].as_str().is_none_or(str::is_empty) {
            let message = format!("Required parameter 'imageReference.{field}' is missing (null).");
            return Err(parameter("imageReference", message));
        }
    }
    let Some((image, _)) = find(put.cloud, reference) else {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let name = ["publisher", "offer", "sku", "version"].map(text).join(":");
        let message = format!(
            "The platform image '{name}' is not available. Verify that all fields in the storage profile are correct. For more details about storage profile information, please refer to https://aka.ms/storageprofile"
        );
        return Err(ArmError::new(404, "PlatformImageNotFound", message).target("imageReference"));
    };
    if image.plan && put.body["plan"]["name"].as_str().is_none_or(|name| name != image.sku) {
        let message = format!(
            "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace image requires Plan information in the request. VM: '{}'.",
            put.id
        );
        return Err(ArmError::bad("VMMarketplaceInvalidInput", message));
    }
    if !size.generations.split(',').any(|generation| generation == image.generation) {
        let message = format!(
            "The selected VM size '{}' cannot boot Hypervisor Generation '{}'. If this was a Create operation please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM Size. If this was an Update operation please select a Hypervisor Generation '{}' VM Size. For more information, see https://aka.ms/azuregen2vm",
            size.name,
            &image.generation[1..],
            &image.generation[1..]
        );
        return Err(ArmError::bad("BadRequest", message));
    }
    if size.architecture != image.architecture {
        let message = format!(
            "Cannot create a VM of size '{}' because this VM size only supports a CPU Architecture of '{}', but an image or disk with CPU Architecture '{}' was given. Please check that the CPU Architecture of the image or disk is compatible with that of the VM size.",
            size.name, size.architecture, image.architecture
        );
        return Err(ArmError::bad("BadRequest", message));
    }
    let disk = put.at("storageProfile/osDisk/diskSizeGB").and_then(Value::as_u64);
    if disk.is_some_and(|disk| disk < image.disk) {
        let message = format!(
            "The specified disk size {} GB is smaller than the size of the corresponding disk in the VM image: {} GB. This is not allowed. Please choose equal or greater size or do not specify an explicit size.",
            disk.unwrap_or_default(),
            image.disk
        );
        return Err(ArmError::bad("OperationNotAllowed", message).target("osDisk.diskSizeGB"));
    }
    Ok(Some(image))
}

fn from_disk(put: &Put<'_>) -> Result<Option<&'static Image>, ArmError> {
    let attach =
        put.text("storageProfile/osDisk/createOption").is_some_and(|o| o.eq_ignore_ascii_case("Attach"));
    if attach {
        return Ok(None);
    }
    Err(parameter("imageReference", "Required parameter 'imageReference' is missing (null)."))
}
