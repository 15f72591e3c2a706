//! What an endpoint offers: locations, sizes and images. What is not offered is refused with the nearest that is.

use futures_util::future::try_join_all;
use serde_json::Value;
use wharf_arm::{Arm, Call};
use wharf_driver::{Error, Kind, Result};

use crate::action::Image;
use crate::config::{Config, simple};
use crate::kind::{MACHINES, SKUS};

/// Where everybody goes who does not say where.
const USUAL_LOCATION: &str = "westus";

/// A size that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) name: String,
    pub(crate) cores: u64,
    /// The family that its quota is of, where the endpoint says.
    pub(crate) family: Option<String>,
    /// Hypervisor generations; empty where the endpoint does not say.
    pub(crate) generations: String,
    pub(crate) trusted_launch: bool,
    /// Not offered to this subscription, and why.
    restricted: bool,
    architecture: String,
}

/// An image that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) image: Image,
    pub(crate) trusted_launch: bool,
    pub(crate) plan: Option<[String; 3]>,
    pub(crate) size_gib: Option<u64>,
    generation: Option<String>,
    architecture: Option<String>,
}

/// Whether the endpoint is a stamp, by what it can do: no zones, Basic addresses, no console of its own.
pub(crate) fn is_stamp(arm: &Arm) -> Result<bool> {
    Ok(arm.version(MACHINES)? < "2021-03-01")
}

/// The location to make things in.
pub(crate) fn location(arm: &Arm, wished: Option<&str>) -> Result<String> {
    let advertised = arm.advertised();
    let offered: Vec<String> = advertised.locations(MACHINES).iter().map(|name| simple(name)).collect();
    let refuse = |wished: &str| {
        let message = format!("there is no location `{wished}` at {}", arm.cloud().endpoint);
        Error::new(Kind::Refused, message)
            .hint(format!("the nearest that are offered: {}", nearest(wished, &offered)))
    };
    match wished {
        Some(wished) if offered.is_empty() || offered.iter().any(|one| one == wished) => {
            Ok(wished.to_owned())
        }
        Some(wished) => Err(refuse(wished)),
        None if offered.iter().any(|one| one == USUAL_LOCATION) => Ok(USUAL_LOCATION.to_owned()),
        None => offered.first().cloned().ok_or_else(|| {
            Error::new(Kind::Refused, "the endpoint names no location where machines can be made")
                .hint("name one with --azure-location")
        }),
    }
}

/// Every size that is offered there.
pub(crate) async fn sizes(arm: &Arm, location: &str) -> Result<Vec<Size>> {
    if arm.advertised().has(SKUS) {
        let path = format!("/subscriptions/{}/providers/Microsoft.Compute/skus", arm.subscription());
        let filter = format!("location eq '{location}'");
        let query = [("$filter", filter.as_str())];
        let call = Call::get("listing the sizes", SKUS, &path).asking(&query);
        let found = arm.list_once(&call).await?;
        return Ok(found.iter().filter(|sku| sku["resourceType"] == "virtualMachines").map(of_sku).collect());
    }
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/locations/{location}/vmSizes",
        arm.subscription()
    );
    let found = arm.list_once(&Call::get("listing the sizes", MACHINES, &path)).await?;
    Ok(found.iter().map(of_size).collect())
}

fn of_sku(sku: &Value) -> Size {
    let capability = |name: &str| {
        let all = sku["capabilities"].as_array().into_iter().flatten();
        all.clone()
            .find(|one| one["name"] == name)
            .and_then(|one| one["value"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let generations = capability("HyperVGenerations");
    Size {
        name: sku["name"].as_str().unwrap_or_default().to_owned(),
        cores: capability("vCPUs").parse().unwrap_or(0),
        family: sku["family"].as_str().map(str::to_owned),
        trusted_launch: generations.contains("V2")
            && !capability("TrustedLaunchDisabled").eq_ignore_ascii_case("true"),
        generations,
        restricted: sku["restrictions"].as_array().into_iter().flatten().any(|one| one["type"] == "Location"),
        architecture: capability("CpuArchitectureType"),
    }
}

fn of_size(size: &Value) -> Size {
    Size {
        name: size["name"].as_str().unwrap_or_default().to_owned(),
        cores: size["numberOfCores"].as_u64().unwrap_or(0),
        family: None,
        generations: String::new(),
        trusted_launch: false,
        restricted: false,
        architecture: String::new(),
    }
}

/// What of the wished sizes and images is offered, in the order of the wish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) sizes: Vec<String>,
    pub(crate) images: Vec<String>,
}

/// What of the wish is offered; refused when nothing is that goes together.
pub(crate) async fn offer(arm: &Arm, config: &Config, location: &str) -> Result<Offer> {
    choose(arm, config, location).await?;
    let offered = sizes(arm, location).await?;
    let sizes = config.sizes.iter().filter_map(|wished| find(&offered, wished));
    let sizes = sizes.filter(|size| !size.restricted).map(|size| size.name.clone()).collect();
    let found = try_join_all(config.images.iter().map(|wished| image(arm, wished, location))).await?;
    let images = config.images.iter().zip(found).filter(|(_, found)| found.is_some());
    Ok(Offer { sizes, images: images.map(|(wished, _)| wished.clone()).collect() })
}

/// The first image and the first size that are offered and go together.
pub(crate) async fn choose(arm: &Arm, config: &Config, location: &str) -> Result<(Found, Size)> {
    let offered = sizes(arm, location).await?;
    let known: Vec<&Size> = config.sizes.iter().filter_map(|wished| find(&offered, wished)).collect();
    if known.is_empty() {
        return Err(no_size(&config.sizes, &offered, location));
    }
    let mut misfits = Vec::new();
    for wished in &config.images {
        let Some(image) = image(arm, wished, location).await? else { continue };
        let fits = |size: &&Size| !size.restricted && goes(&image, size);
        if let Some(size) = known.iter().copied().find(fits) {
            return Ok((image, size.clone()));
        }
        misfits.push(wished.as_str());
    }
    if misfits.is_empty() {
        return Err(no_image(arm, &config.images, location));
    }
    let names: Vec<&str> = known.iter().map(|size| size.name.as_str()).collect();
    let message =
        format!("no size of {} goes with the image {} in {location}", names.join(", "), misfits.join(", "));
    Err(Error::new(Kind::Refused, message)
        .hint("choose an image of the size's architecture and generation, or another size; some are not offered to every subscription"))
}

fn find<'a>(offered: &'a [Size], wished: &str) -> Option<&'a Size> {
    offered.iter().find(|size| size.name.eq_ignore_ascii_case(wished))
}

fn goes(image: &Found, size: &Size) -> bool {
    let generation = image.generation.as_deref().is_none_or(|generation| {
        if size.generations.is_empty() { generation == "V1" } else { size.generations.contains(generation) }
    });
    let architecture = image.architecture.as_deref().is_none_or(|architecture| {
        size.architecture.is_empty() || size.architecture.eq_ignore_ascii_case(architecture)
    });
    generation && architecture
}

/// The image, with the version that `latest` stands for; `None` when it is not there.
async fn image(arm: &Arm, wished: &str, location: &str) -> Result<Option<Found>> {
    let parts: Vec<&str> = wished.split(':').collect();
    let [publisher, offer, sku, version] = parts.as_slice() else {
        let image = Image::Id(wished.to_owned());
        let found = Found {
            image,
            trusted_launch: false,
            plan: None,
            size_gib: None,
            generation: None,
            architecture: None,
        };
        return Ok(Some(found));
    };
    let base = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/locations/{location}/publishers/{publisher}/artifacttypes/vmimage/offers/{offer}/skus/{sku}/versions",
        arm.subscription()
    );
    let version = if version.eq_ignore_ascii_case("latest") {
        let query = [("$orderby", "name desc"), ("$top", "1")];
        let call = Call::get("looking for the image", MACHINES, &base).asking(&query);
        let listed = arm.find_once(&call).await?;
        let newest = (*listed)
            .as_ref()
            .and_then(|found| found.as_array()?.first()?["name"].as_str().map(str::to_owned));
        let Some(newest) = newest else { return Ok(None) };
        newest
    } else {
        (*version).to_owned()
    };
    let path = format!("{base}/{version}");
    let found = arm.find_once(&Call::get("looking at the image", MACHINES, &path)).await?;
    let Some(found) = &*found else { return Ok(None) };
    let properties = &found["properties"];
    let text = |key: &str| properties[key].as_str().map(str::to_owned);
    let trusted = properties["features"].as_array().into_iter().flatten().any(|feature| {
        feature["name"] == "SecurityType"
            && feature["value"].as_str().is_some_and(|value| value.contains("TrustedLaunch"))
    });
    let plan = &properties["plan"];
    let part = |key: &str| plan[key].as_str().map(str::to_owned);
    Ok(Some(Found {
        image: Image::Market {
            publisher: (*publisher).to_owned(),
            offer: (*offer).to_owned(),
            sku: (*sku).to_owned(),
            version,
        },
        trusted_launch: trusted,
        plan: part("publisher").zip(part("product")).zip(part("name")).map(|((a, b), c)| [a, b, c]),
        size_gib: properties["osDiskImage"]["sizeInGb"].as_u64(),
        generation: text("hyperVGeneration"),
        architecture: text("architecture"),
    }))
}

/// Refuses what the subscription has no room for, before anything is made.
pub(crate) async fn check_quota(arm: &Arm, location: &str, size: &Size, spot: bool) -> Result<()> {
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/locations/{location}/usages",
        arm.subscription()
    );
    let Some(usages) = arm.find(&Call::get("asking for the quota", MACHINES, &path)).await? else {
        return Ok(());
    };
    let family = size.family.as_deref().unwrap_or_default();
    let counted: &[(&str, u64)] = &if spot {
        [("lowPriorityCores", size.cores), ("virtualMachines", 1), ("", 0)]
    } else {
        [("cores", size.cores), (family, size.cores), ("virtualMachines", 1)]
    };
    for usage in usages["value"].as_array().into_iter().flatten() {
        let name = usage["name"]["value"].as_str().unwrap_or_default();
        let Some((_, wanted)) = counted.iter().find(|(counted, _)| counted.eq_ignore_ascii_case(name)) else {
            continue;
        };
        let (used, limit) =
            (usage["currentValue"].as_u64().unwrap_or(0), usage["limit"].as_u64().unwrap_or(u64::MAX));
        if used.saturating_add(*wanted) > limit {
            let of = usage["name"]["localizedValue"].as_str().unwrap_or(name);
            let message = format!(
                "no quota is left in {location}: {of}, {used} of {limit} are used and {wanted} are wanted"
            );
            return Err(Error::new(Kind::Quota, message).fact("size", size.name.clone()).hint(
                "free something, choose a smaller size or another location, or ask for a higher quota",
            ));
        }
    }
    Ok(())
}

fn no_size(wished: &[String], offered: &[Size], location: &str) -> Error {
    let names: Vec<String> = offered.iter().map(|size| size.name.clone()).collect();
    let first = wished.first().map_or("", String::as_str);
    let message = format!("no size of {} is offered in {location}", wished.join(", "));
    Error::new(Kind::Refused, message)
        .hint(format!("the nearest that are offered: {}", nearest(first, &names)))
}

fn no_image(arm: &Arm, wished: &[String], location: &str) -> Error {
    let message = format!("no image of {} is offered in {location}", wished.join(", "));
    let stamp = is_stamp(arm).unwrap_or(false);
    let hint = if stamp {
        "the stamp's operator must add one from the marketplace (marketplace syndication); `az vm image list --all` shows those that are there"
    } else {
        "`az vm image list --all --publisher NAME` shows what there is"
    };
    Error::new(Kind::Refused, message).hint(hint)
}

/// The three that are spelled most like it.
fn nearest(wished: &str, offered: &[String]) -> String {
    let far =
        |name: &str| strsim::damerau_levenshtein(&wished.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let mut near: Vec<&String> = offered.iter().collect();
    near.sort_by_key(|name| far(name));
    let names: Vec<&str> = near.into_iter().take(3).map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_are_those_spelled_alike() {
        let offered = ["westus", "westus2", "eastus", "northeurope"].map(str::to_owned);
        assert_eq!(nearest("wetsus", &offered), "westus, westus2, eastus");
        assert_eq!(nearest("x", &[]), "none");
    }

    #[test]
    fn sizes_of_both_forms_are_read() {
        let sku = json!({"name": "Standard_B2s", "family": "standardBSFamily", "capabilities": [
            {"name": "vCPUs", "value": "2"}, {"name": "HyperVGenerations", "value": "V1,V2"}],
            "restrictions": [{"type": "Zone"}]});
        let size = of_sku(&sku);
        assert_eq!((size.cores, size.trusted_launch, size.restricted), (2, true, false));
        assert_eq!(of_size(&json!({"name": "Standard_A1", "numberOfCores": 1})).cores, 1);
        let gen2 = Found {
            image: Image::Id("x".into()),
            trusted_launch: true,
            plan: None,
            size_gib: None,
            generation: Some("V2".into()),
            architecture: Some("Arm64".into()),
        };
        assert!(!goes(&gen2, &of_size(&json!({"name": "a"}))), "a stamp has none of generation 2");
        assert!(goes(&gen2, &size), "nothing is said of its architecture");
    }
}
