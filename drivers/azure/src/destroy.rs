//! Removes one thing. Being gone already is success; what others still use of what is shared is left.

use std::time::Duration;

use serde_json::Value;
use wharf_arm::{Arm, Call, Fault, Method, Trouble};
use wharf_driver::{Context, Error, Kind as Failure, Result};

use crate::kind::{DISKS, GROUPS, Kind};
use crate::names;
use crate::resource::Resource;
use crate::tags;

/// Removing without a shutdown is known from here on.
const FORCE: &str = "2021-03-01";
/// How long a failed machine keeps its interface is about three minutes; asked again well within that.
const RESERVED: Duration = Duration::from_secs(30);

pub(crate) async fn destroy(arm: &Arm, resource: &Resource, cx: &Context) -> Result<()> {
    if !resource.ours {
        return Ok(());
    }
    if resource.shared && !still_ours(arm, resource, cx).await? {
        return Ok(());
    }
    if resource.kind == Kind::Group && !is_empty(arm, resource).await? {
        return Err(in_use(resource, "something is in it that is not of this store's machines"));
    }
    let forced = [("forceDeletion", "true")];
    let force = resource.kind == Kind::Machine && arm.version(resource.kind.arm())? >= FORCE;
    let query: &[(&str, &str)] = if force { &forced } else { &[] };
    match delete(arm, resource.kind.noun(), resource.kind.arm(), &resource.id, query, cx).await {
        Ok(()) => {}
        Err(Trouble::Said(fault)) if resource.shared && is_in_use(&fault) => {
            return Err(in_use(resource, &fault.message));
        }
        Err(trouble) => return Err(soon(trouble)),
    }
    if let Some(machine) = &resource.machine {
        delete(arm, "disk", DISKS, &machine.disk, &[], cx).await.map_err(soon)?;
    }
    Ok(())
}

async fn delete(
    arm: &Arm,
    noun: &str,
    kind: &str,
    id: &str,
    query: &[(&str, &str)],
    cx: &Context,
) -> std::result::Result<(), Trouble> {
    // Asked first: a deletion counts against a limit of its own, and most that is removed twice is gone.
    let looking = format!("looking for the {noun} {}", names::last(id));
    if arm.find(&Call::get(&looking, kind, id)).await?.is_none() {
        return Ok(());
    }
    let doing = format!("removing the {noun} {}", names::last(id));
    let call = Call::new(Method::DELETE, &doing, kind, id).asking(query);
    match arm.carry_out(&call, cx.deadline).await {
        Ok(_) => Ok(()),
        Err(Trouble::Said(fault)) if fault.is_not_found() => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// What was shared may have been removed and made by another store meanwhile.
async fn still_ours(arm: &Arm, resource: &Resource, cx: &Context) -> Result<bool> {
    let doing = format!("looking for the {} {}", resource.kind.noun(), names::last(&resource.id));
    let there = arm.find(&Call::get(&doing, resource.kind.arm(), &resource.id)).await?;
    Ok(there.is_none_or(|there| tags::is_shared(&there, &cx.owner.store)))
}

/// Whether nothing is in the group. Lists lag: what one shows is asked for by itself.
async fn is_empty(arm: &Arm, group: &Resource) -> Result<bool> {
    let path = format!("{}/resources", group.id);
    let listed = match arm.list(&Call::get("looking into the group", GROUPS, &path)).await {
        Ok(listed) => listed,
        Err(Trouble::Said(fault)) if fault.is_not_found() => return Ok(true),
        Err(trouble) => return Err(trouble.into()),
    };
    for one in &listed {
        let (Some(id), Some(kind)) = (one["id"].as_str(), one["type"].as_str()) else { return Ok(false) };
        if exists(arm, id, kind).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn exists(arm: &Arm, id: &str, kind: &str) -> Result<bool> {
    // Of types that are none of ours no version is known, and they are believed to be there.
    if arm.version(kind).is_err() {
        return Ok(true);
    }
    let there: Option<Value> = arm.find(&Call::get("looking into the group", kind, id)).await?;
    Ok(there.is_some())
}

fn in_use(resource: &Resource, why: &str) -> Error {
    let message = format!("the {} {} is left: {why}", resource.kind.noun(), names::last(&resource.id));
    Error::new(Failure::InUse, message).hint("whoever uses it may remove it later")
}

/// The cloud refuses to remove what something else needs.
fn is_in_use(fault: &Fault) -> bool {
    IN_USE.iter().any(|code| fault.has(code))
}

const IN_USE: &[&str] = &[
    "InUseSubnetCannotBeDeleted",
    "InUseVirtualNetworkCannotBeDeleted",
    "InUseNetworkSecurityGroupCannotBeDeleted",
    "SubnetWithExternalResourcesCannotBeUsedByOtherResources",
];
/// What is a machine's own is let go in a moment by what was removed before it.
const SOON_FREE: &[&str] = &[
    "PublicIPAddressCannotBeDeleted",
    "NicInUse",
    "NicInUseWithPrivateEndpoint",
    "OperationNotAllowed",
    "AttachDiskWhileBeingDetached",
    "InUseSubnetCannotBeDeleted",
    "InUseNetworkSecurityGroupCannotBeDeleted",
];

fn soon(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Said(fault) if fault.has("NicReservedForAnotherVm") => fault.into_error().after(RESERVED),
        Trouble::Said(fault) if SOON_FREE.iter().any(|code| fault.has(code)) => {
            let error = fault.into_error();
            Error::new(Failure::Transient, error.to_string()).caused_by(error)
        }
        other => other.into(),
    }
}
