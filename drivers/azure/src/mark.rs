//! Puts our tags back on what is ours, beside those that others put there.

use serde_json::{Map, Value, json};
use wharf_arm::{Arm, Call, Method};
use wharf_driver::{Context, Error, Kind as Failure, Result};

use crate::config::Config;
use crate::names;
use crate::resource::Resource;
use crate::tags;

pub(crate) async fn mark(arm: &Arm, config: &Config, resource: &Resource, cx: &Context) -> Result<()> {
    if !resource.ours || resource.shared {
        return Ok(());
    }
    let (noun, kind, name) = (resource.kind.noun(), resource.kind.arm(), names::last(&resource.id));
    let looking = format!("looking for the {noun} {name}");
    let Some(there) = arm.find(&Call::get(&looking, kind, &resource.id)).await? else {
        return Err(Error::new(Failure::Failed, format!("the {noun} {name} is gone"))
            .hint("`rm` removes what is left of its machine"));
    };
    // A change replaces all tags: those of others are among them.
    let mut all: Map<String, Value> = there["tags"].as_object().cloned().unwrap_or_default();
    all.extend(tags::own(&cx.owner, &config.tags).into_iter().map(|(key, value)| (key, Value::from(value))));
    if there["tags"].as_object() == Some(&all) {
        return Ok(());
    }
    let doing = format!("marking the {noun} {name}");
    let body = move |_: &str| json!({ "tags": all });
    let call = Call::new(Method::PATCH, &doing, kind, &resource.id).with(&body);
    arm.carry_out(&call, cx.deadline).await?;
    Ok(())
}
