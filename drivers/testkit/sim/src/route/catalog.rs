//! What is on offer: sizes, SKUs, images, and how much of the quota is used.

use serde_json::{Value, json};

use super::{Request, Version, apply};
use crate::catalog::{self, Image, Size};
use crate::cloud::Cloud;
use crate::error::ArmError;
use crate::http::Answer;
use crate::resource::{Kind, machine, view};

/// `…/Microsoft.Compute/locations/LOCATION/…`.
pub(super) fn route(
    request: &Request<'_>,
    version: &Version,
    location: &str,
    rest: &[&str],
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let Some(location) = apply::location(cloud, location) else {
        let message = format!("The location '{location}' is not available for this subscription.");
        return Err(ArmError::bad("InvalidParameter", message).target("location"));
    };
    match rest {
        ["usages"] => Ok(usages(cloud, &location)),
        ["vmsizes"] => Ok(Answer::list(sizes(cloud))),
        ["publishers"] => Ok(names(cloud, &location, "Publishers", |_| true, |image| image.publisher)),
        ["publishers", publisher, "artifacttypes", "vmimage", "offers"] => {
            let of = |image: &Image| same(image.publisher, publisher);
            found(
                names(cloud, &location, &format!("Publishers/{publisher}/Offers"), of, |image| image.offer),
                publisher,
            )
        }
        ["publishers", publisher, "artifacttypes", "vmimage", "offers", offer, "skus"] => {
            let of = |image: &Image| same(image.publisher, publisher) && same(image.offer, offer);
            found(
                names(
                    cloud,
                    &location,
                    &format!("Publishers/{publisher}/Offers/{offer}/Skus"),
                    of,
                    |image| image.sku,
                ),
                offer,
            )
        }
        [
            "publishers",
            publisher,
            "artifacttypes",
            "vmimage",
            "offers",
            offer,
            "skus",
            sku,
            "versions",
            rest @ ..,
        ] => {
            let image = catalog::images(cloud.flavour(), cloud.has_images())
                .find(|i| same(i.publisher, publisher) && same(i.offer, offer) && same(i.sku, sku));
            let image = image.ok_or_else(|| missing(sku))?;
            versions(request, version, &location, image, rest)
        }
        _ => Err(super::not_found(request.call)),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn missing(what: &str) -> ArmError {
    ArmError::new(404, "NotFound", format!("Artifact: VMImage was not found. ('{what}')"))
}

/// These lists are bare arrays, without a `value`.
fn names(
    cloud: &Cloud,
    location: &str,
    path: &str,
    of: impl Fn(&Image) -> bool,
    name: impl Fn(&'static Image) -> &'static str,
) -> Answer {
    let mut names: Vec<_> =
        catalog::images(cloud.flavour(), cloud.has_images()).filter(|i| of(i)).map(name).collect();
    names.sort_unstable();
    names.dedup();
    Answer::json(200, names.into_iter().map(|name| entry(cloud, location, path, name)).collect())
}

fn entry(cloud: &Cloud, location: &str, path: &str, name: &str) -> Value {
    let subscription = &cloud.config.account.subscription;
    let id = format!(
        "/Subscriptions/{subscription}/Providers/Microsoft.Compute/Locations/{location}/{path}/{name}"
    );
    json!({"location": location, "name": name, "id": id})
}

fn found(answer: Answer, what: &str) -> Result<Answer, ArmError> {
    let empty = answer.body.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty);
    if empty { Err(missing(what)) } else { Ok(answer) }
}

fn versions(
    request: &Request<'_>,
    api: &Version,
    location: &str,
    image: &'static Image,
    rest: &[&str],
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let path = format!(
        "Publishers/{}/ArtifactTypes/VMImage/Offers/{}/Skus/{}/Versions",
        image.publisher, image.offer, image.sku
    );
    match rest {
        [] => {
            let mut versions: Vec<&str> = image.versions.to_vec();
            if request
                .call
                .parameter("$orderby")
                .is_some_and(|order| order.to_ascii_lowercase().contains("desc"))
            {
                versions.reverse();
            }
            let most = request.call.parameter("$top").and_then(|top| top.parse().ok()).unwrap_or(usize::MAX);
            Ok(Answer::json(
                200,
                versions.into_iter().take(most).map(|v| entry(cloud, location, &path, v)).collect(),
            ))
        }
        [version] => {
            let version = image.version(version).ok_or_else(|| missing(version))?;
            let mut body = entry(cloud, location, &path, version);
            body["properties"] = json!({
                "osDiskImage": {"operatingSystem": "Linux", "sizeInGb": image.disk + 1, "sizeInBytes": (image.disk << 30) + 512},
                "dataDiskImages": [],
                "hyperVGeneration": image.generation,
                "architecture": image.architecture,
                "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": false},
            });
            if image.trusted {
                body["properties"]["features"] =
                    json!([{"name": "SecurityType", "value": "TrustedLaunchSupported"}]);
            }
            if image.plan {
                body["properties"]["plan"] =
                    json!({"name": image.sku, "product": image.offer, "publisher": image.publisher});
            }
            Ok(Answer::json(200, view::show_route("compute", &api.version, IMAGE, &body)))
        }
        _ => Err(super::not_found(request.call)),
    }
}

/// Where an image's version is told, as the descriptions name it.
const IMAGE: &str = "/locations/{location}/publishers/{publisherName}/artifacttypes/vmimage/offers/{offer}/skus/{skus}/versions/{version}";

/// Sizes in the old form.
pub(super) fn sizes(cloud: &Cloud) -> impl Iterator<Item = Value> {
    catalog::sizes(cloud.flavour()).map(|size| {
        json!({
            "name": size.name, "numberOfCores": size.cores, "osDiskSizeInMB": 1_047_552,
            "resourceDiskSizeInMB": size.local, "memoryInMB": size.memory, "maxDataDiskCount": size.data_disks,
        })
    })
}

/// Sizes in the new form, with what each can do, filtered by location where asked.
pub(super) fn skus(request: &Request<'_>, _: &Version) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let filter = request.call.parameter("$filter").unwrap_or_default();
    let wanted = filter.split('\'').nth(1).unwrap_or_default();
    let places = cloud.flavour().locations().iter().map(|(name, _)| *name);
    let places =
        places.filter(|name| wanted.is_empty() || apply::location(cloud, wanted).as_deref() == Some(name));
    let all = places.flat_map(|place| catalog::sizes(cloud.flavour()).map(move |size| sku(place, size)));
    Ok(Answer::list(all))
}

fn sku(place: &str, size: &Size) -> Value {
    let yes = |flag: bool| if flag { "True" } else { "False" };
    let capability = |name: &str, value: String| json!({"name": name, "value": value});
    let mut capabilities = vec![
        capability("MaxResourceVolumeMB", size.local.to_string()),
        capability("OSVhdSizeMB", "1047552".to_owned()),
        capability("vCPUs", size.cores.to_string()),
        capability("vCPUsAvailable", size.cores.to_string()),
        capability("MemoryGB", (f64::from(size.memory) / 1024.0).to_string()),
        capability("MaxDataDiskCount", size.data_disks.to_string()),
        capability("HyperVGenerations", size.generations.to_owned()),
        capability("CpuArchitectureType", size.architecture.to_owned()),
        capability("LowPriorityCapable", yes(size.spot).to_owned()),
        capability("EphemeralOSDiskSupported", yes(size.ephemeral).to_owned()),
        capability("AcceleratedNetworkingEnabled", yes(size.accelerated).to_owned()),
        capability("PremiumIO", "True".to_owned()),
        capability("EncryptionAtHostSupported", "True".to_owned()),
    ];
    if !size.trusted {
        capabilities.push(capability("TrustedLaunchDisabled", "True".to_owned()));
    }
    let short = size.name.trim_start_matches("Standard_");
    json!({
        "resourceType": "virtualMachines", "name": size.name, "tier": "Standard", "size": short, "family": size.family,
        "locations": [place],
        "locationInfo": [{"location": place, "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": capabilities, "restrictions": [],
    })
}

fn usage(name: &str, shown: &str, used: u32, most: u32) -> Value {
    json!({"unit": "Count", "currentValue": used, "limit": most, "name": {"value": name, "localizedValue": shown}})
}

fn usages(cloud: &Cloud, location: &str) -> Answer {
    let state = cloud.state();
    let quotas = cloud.quotas();
    let machines = state.every(Kind::Machine).filter(|vm| vm.location == location);
    let mut list = vec![
        usage("availabilitySets", "Availability Sets", 0, 2500),
        usage("cores", "Total Regional vCPUs", machine::cores_in_use(&state, location, false), quotas.cores),
        usage("virtualMachines", "Virtual Machines", machines.count() as u32, quotas.machines),
    ];
    if !cloud.flavour().is_hub() {
        let spot = machine::cores_in_use(&state, location, true);
        list.push(usage("lowPriorityCores", "Total Regional Low-priority vCPUs", spot, quotas.spot_cores));
    }
    Answer::list(list)
}

/// What the network provider counts.
pub(super) fn network_usages(cloud: &Cloud, location: &str) -> Answer {
    let state = cloud.state();
    let addresses = state.every(Kind::PublicAddress).filter(|a| a.location == location).count() as u32;
    Answer::list(vec![usage("PublicIPAddresses", "Public IP Addresses", addresses, cloud.quotas().addresses)])
}
