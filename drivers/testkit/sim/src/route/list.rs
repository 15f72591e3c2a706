//! Lists, which may lag behind, and the state of operations.

use serde_json::{Value, json};

use super::{Request, Version, group};
use crate::cloud::{Cloud, Deed, State, Style};
use crate::error::{ArmError, group_not_found};
use crate::http::{Answer, Call};
use crate::resource::{Kind, Resource, view};

/// Resources as a list shows them: not those too young, but those too lately gone.
fn visible<'s>(cloud: &Cloud, state: &'s State) -> Vec<&'s Resource> {
    let lag = cloud.clock().scaled(cloud.config.list_lag);
    let now = cloud.clock().now();
    let there = state.resources.values().filter(|r| lag.is_zero() || r.born + lag <= now);
    let ghosts =
        state.ghosts.iter().filter(|(until, gone)| now < *until && state.resource(&gone.id).is_none());
    there.chain(ghosts.map(|(_, gone)| gone)).collect()
}

/// Every resource of a kind, in a group or all of them.
pub(super) fn kind(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    of: Option<&str>,
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let state = cloud.state();
    of.map_or(Ok(()), |name| known_group(&state, name))?;
    let status_only = request.call.parameter("statusonly") == Some("true");
    let expanded = status_only
        || request.call.parameter("$expand").is_some_and(|e| e.eq_ignore_ascii_case("instanceView"));
    let inside = visible(cloud, &state)
        .into_iter()
        .filter(|r| r.kind == kind && of.is_none_or(|name| r.group == name));
    let shown = inside.map(|resource| view::show(cloud, &state, resource, &version.version, expanded));
    Ok(Answer::list(shown))
}

/// Resources of every kind, as Resource Manager itself lists them.
pub(super) fn resources(request: &Request<'_>, _: &Version, of: Option<&str>) -> Result<Answer, ArmError> {
    let filter = Filter::parse(request.call)?;
    let cloud = request.cloud;
    let state = cloud.state();
    of.map_or(Ok(()), |name| known_group(&state, name))?;
    let expand = request.call.parameter("$expand").unwrap_or_default().to_ascii_lowercase();
    let takes = |resource: &&Resource| {
        of.is_none_or(|name| resource.group == name)
            && filter.group.as_ref().is_none_or(|name| resource.group == *name)
            && filter.takes(&resource.body["tags"], &resource.kind.full(), &resource.name)
    };
    let show = |resource: &Resource| {
        let mut shown = json!({
            "id": resource.id, "name": resource.name, "type": resource.kind.full(), "location": resource.location,
        });
        for field in ["tags", "sku", "zones", "identity", "plan"] {
            // Whoever filters by a tag is shown no tags.
            let hidden = field == "tags" && filter.of_a_tag();
            if !resource.body[field].is_null() && !hidden {
                shown[field] = resource.body[field].clone();
            }
        }
        if expand.contains("createdtime") {
            shown["createdTime"] = json!(cloud.clock().stamp(resource.born));
        }
        if expand.contains("provisioningstate") {
            shown["provisioningState"] = json!(resource.provisioning);
        }
        shown
    };
    let found = visible(cloud, &state).into_iter().filter(takes).map(show).collect::<Vec<Value>>();
    Ok(Answer::list(found))
}

/// The state of an operation, or what it left.
pub(super) fn operation(request: &Request<'_>, id: &str, result: bool) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let state = cloud.state();
    let Some(operation) = state.operations.get(id) else {
        let message = format!("The entity with the provided id '{id}' was not found.");
        return Err(ArmError::new(404, "NotFound", message));
    };
    if !result && operation.style != Style::Group {
        return Ok(operation.status(cloud));
    }
    let left = match &operation.deed {
        Deed::Ready(id) | Deed::MachineReady(id) => state.resources.get(id),
        _ => None,
    };
    let left = left.map(|resource| view::show(cloud, &state, resource, &operation.version, false));
    Ok(operation.result(cloud, left))
}

/// The few filters that these lists know.
#[derive(Debug, Default)]
pub(super) struct Filter {
    tag: Option<(String, Option<String>)>,
    kind: Option<String>,
    name: Option<String>,
    group: Option<String>,
}

impl Filter {
    /// Reads `$filter`: `tagName eq 'a' and tagValue eq 'b'`, `resourceType eq 'c'`, `name eq 'd'`,
    /// `resourceGroup eq 'e'`.
    pub(super) fn parse(call: &Call) -> Result<Self, ArmError> {
        let mut filter = Self::default();
        let Some(text) = call.parameter("$filter").filter(|text| !text.trim().is_empty()) else {
            return Ok(filter);
        };
        for term in text.split(" and ") {
            let mut words = term.trim().splitn(3, ' ');
            let (field, verb, value) = (words.next(), words.next(), words.next());
            let value = value
                .and_then(|v| v.trim().strip_prefix('\'')?.strip_suffix('\''))
                .map(|v| v.replace("''", "'"));
            match (field.map(str::to_ascii_lowercase).as_deref(), verb, value) {
                (Some("tagname"), Some("eq"), Some(value)) => filter.tag = Some((value, None)),
                (Some("tagvalue"), Some("eq"), Some(value)) => {
                    filter.tag = filter.tag.map(|(name, _)| (name, Some(value)));
                }
                (Some("resourcetype"), Some("eq"), Some(value)) => filter.kind = Some(value),
                (Some("name"), Some("eq"), Some(value)) => filter.name = Some(value),
                (Some("resourcegroup"), Some("eq"), Some(value)) => {
                    filter.group = Some(value.to_ascii_lowercase());
                }
                _ => {
                    let message = format!("The filter '{text}' is invalid or not supported.");
                    return Err(ArmError::bad("InvalidFilterInQueryString", message));
                }
            }
        }
        Ok(filter)
    }

    /// Whether it asks for one value of a tag.
    fn of_a_tag(&self) -> bool {
        matches!(self.tag, Some((_, Some(_))))
    }

    /// Whether something with these tags, of this kind and name, passes.
    pub(super) fn takes(&self, tags: &Value, kind: &str, name: &str) -> bool {
        let tagged = self.tag.as_ref().is_none_or(|(name, value)| {
            let found =
                tags.as_object().and_then(|tags| tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name)));
            found.is_some_and(|(_, found)| value.as_ref().is_none_or(|v| found.as_str() == Some(v)))
        });
        tagged
            && self.kind.as_ref().is_none_or(|k| k.eq_ignore_ascii_case(kind))
            && self.name.as_ref().is_none_or(|n| n.eq_ignore_ascii_case(name))
    }
}

/// Refuses a group that is not there.
pub(super) fn known_group(state: &State, name: &str) -> Result<(), ArmError> {
    if state.groups.contains_key(&name.to_ascii_lowercase()) { Ok(()) } else { Err(group_not_found(name)) }
}

/// The group that a resource is to be made in.
pub(super) fn open_group(state: &State, name: &str) -> Result<(String, String), ArmError> {
    let found = state.groups.get(&name.to_ascii_lowercase()).ok_or_else(|| group_not_found(name))?;
    group::being_deleted(found)?;
    Ok((name.to_ascii_lowercase(), found.name.clone()))
}
