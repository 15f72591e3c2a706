//! Makes one thing and converges: asks first whether it is there, waits for one of ours that is on its way, joins one
//! that is shared, refuses one that is somebody else's, and only then writes.

use serde_json::Value;
use wharf_arm::{Arm, Call, Method};
use wharf_driver::{Context, Error, Kind as Failure, Result};

use crate::action::{Action, What};
use crate::body;
use crate::destroy;
use crate::kind::Kind;
use crate::names;
use crate::resource::Resource;
use crate::seed::{self, Birth};
use crate::tags;

/// Whose a thing that is there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// What this action makes.
    Ours,
    /// Somebody else's, which the person named.
    Joined,
    /// Somebody else's.
    Foreign,
}

pub(crate) async fn perform(arm: &Arm, action: &Action, cx: &Context) -> Result<Resource> {
    let doing = doing(action);
    let there = look(arm, action).await?;
    if let Some(there) = &there {
        match whose(action, there, cx) {
            Whose::Foreign => return Err(taken(action)),
            Whose::Joined => return Ok(Resource::of(action, false)),
            Whose::Ours => match state(there) {
                "Deleting" => return Err(leaving(action)),
                "Failed" | "Canceled" if action.kind() == Kind::Machine => {
                    // Another call on a machine that failed mends nothing; its interface stays its own by its name.
                    destroy::destroy(arm, &Resource::of(action, true), cx).await?;
                }
                "Failed" | "Canceled" => {}
                _ => return finish(arm, action, there.clone(), cx).await,
            },
        }
    }
    let birth = birth(action, cx).await?;
    let body = |version: &str| body::of(action, &cx.owner, birth.as_ref(), version);
    let call = Call::new(Method::PUT, &doing, action.kind().arm(), &action.id).with(&body);
    arm.carry_out(&call, cx.deadline).await?;
    Ok(Resource::of(action, true))
}

/// What is there of a started action; `None` when nothing is yet.
pub(crate) async fn settle(arm: &Arm, action: &Action, cx: &Context) -> Result<Option<Resource>> {
    // What is on its way out is not there.
    if let Some(there) = look(arm, action).await?.filter(|there| state(there) != "Deleting") {
        return Ok(match whose(action, &there, cx) {
            Whose::Ours => Some(Resource::of(action, true)),
            Whose::Joined => Some(Resource::of(action, false)),
            Whose::Foreign => None,
        });
    }
    // A machine that was refused late may have left its disk, whose name is ours alone.
    let What::Machine(machine) = &action.what else { return Ok(None) };
    let doing = "looking for the disk";
    let disk = arm.find(&Call::get(doing, crate::kind::DISKS, &machine.disk_id)).await?;
    Ok(disk.map(|_| Resource::of(action, true)))
}

/// One of ours that is there or on its way.
async fn finish(arm: &Arm, action: &Action, there: Value, cx: &Context) -> Result<Resource> {
    let doing = doing(action);
    let call = Call::new(Method::PUT, &doing, action.kind().arm(), &action.id);
    arm.until_made(&call, there, cx.deadline).await?;
    Ok(Resource::of(action, true))
}

async fn look(arm: &Arm, action: &Action) -> Result<Option<Value>> {
    let doing = format!("looking for the {} {}", action.kind().noun(), names::last(&action.id));
    Ok(arm.find(&Call::get(&doing, action.kind().arm(), &action.id)).await?)
}

fn whose(action: &Action, there: &Value, cx: &Context) -> Whose {
    let ours =
        if action.shared { tags::is_shared(there, &cx.owner.store) } else { tags::is_own(there, &cx.owner) };
    match (ours, action.joins) {
        (true, _) => Whose::Ours,
        (false, true) => Whose::Joined,
        (false, false) => Whose::Foreign,
    }
}

async fn birth(action: &Action, cx: &Context) -> Result<Option<Birth>> {
    let What::Machine(machine) = &action.what else { return Ok(None) };
    let (user, custom) = (machine.user.as_deref(), machine.custom_data.as_ref());
    seed::birth(cx, user, machine.rsa_only, custom).await.map(Some)
}

fn state(there: &Value) -> &str {
    there["properties"]["provisioningState"].as_str().unwrap_or_default()
}

fn doing(action: &Action) -> String {
    format!("making the {} {}", action.kind().noun(), names::last(&action.id))
}

fn taken(action: &Action) -> Error {
    let message = format!(
        "there is a {} `{}` already, and it is not ours",
        action.kind().noun(),
        names::last(&action.id)
    );
    Error::new(Failure::NameTaken, message)
        .fact("id", action.id.clone())
        .hint("remove or rename it, or choose another name for the machine")
}

fn leaving(action: &Action) -> Error {
    let message = format!("the {} `{}` is being removed", action.kind().noun(), names::last(&action.id));
    Error::new(Failure::Transient, message).hint("try again in a moment")
}
