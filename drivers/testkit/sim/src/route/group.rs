//! Resource groups.

use serde_json::{Value, json};

use super::{Request, Version, apply};
use crate::cloud::{Deed, Fate, Group, Status, Style, Work};
use crate::description::{Description, Role};
use crate::error::{ArmError, group_not_found};
use crate::http::Answer;
use crate::resource::Kind;

/// `…/resourceGroups/NAME`.
pub(super) fn one(request: &Request<'_>, version: &Version, name: &str) -> Result<Answer, ArmError> {
    match request.call.method.as_str() {
        "GET" => get(request, version, name),
        "HEAD" => Ok(super::existence(request.cloud.state().groups.contains_key(&name.to_ascii_lowercase()))),
        "PUT" => put(request, version, name),
        "PATCH" => patch(request, version, name),
        "DELETE" => delete(request, version, name),
        _ => Err(super::not_found(request.call)),
    }
}

fn scope(request: &Request<'_>, name: &str) -> String {
    format!("/subscriptions/{}/resourceGroups/{name}", request.cloud.config.account.subscription)
}

fn show(request: &Request<'_>, version: &Version, group: &Group) -> Value {
    let mut body = json!({
        "id": scope(request, &group.name), "name": group.name, "type": "Microsoft.Resources/resourceGroups",
        "location": group.location, "properties": {"provisioningState": group.provisioning},
    });
    if group.tags.is_object() {
        body["tags"] = group.tags.clone();
    }
    if let Some(by) = &group.managed_by {
        body["managedBy"] = json!(by);
    }
    let description = Description::find("resources", "resourceGroups", &version.version);
    let model = description.and_then(|d| d.body("resourceGroups").map(|model| (d, model)));
    model.map_or_else(|| body.clone(), |(description, model)| description.project(model, &body))
}

fn get(request: &Request<'_>, version: &Version, name: &str) -> Result<Answer, ArmError> {
    request.allowed("Microsoft.Resources/subscriptions/resourceGroups/read", &scope(request, name))?;
    let state = request.cloud.state();
    let group = state.groups.get(&name.to_ascii_lowercase()).ok_or_else(|| group_not_found(name))?;
    Ok(Answer::json(200, show(request, version, group)))
}

/// `…/resourceGroups`, filtered by tag where asked.
pub(super) fn list(request: &Request<'_>, version: &Version) -> Result<Answer, ArmError> {
    let filter = super::list::Filter::parse(request.call)?;
    let cloud = request.cloud;
    let seen = cloud.clock().now().checked_sub(cloud.clock().scaled(cloud.config.list_lag));
    let state = cloud.state();
    let groups = state.groups.values().filter(|group| seen.is_some_and(|seen| group.born <= seen));
    let shown = groups
        .filter(|group| filter.takes(&group.tags, "", &group.name))
        .map(|group| show(request, version, group));
    Ok(Answer::list(shown))
}

fn put(request: &Request<'_>, version: &Version, name: &str) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    request.allowed("Microsoft.Resources/subscriptions/resourceGroups/write", &scope(request, name))?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
    if name.len() > 90 || name.ends_with('.') || !name.chars().all(fits) {
        let message = format!(
            "The provided resource group name '{name}' has these invalid characters: '{}'. The name can only be a letter, digit, '-', '.', '(', ')' or '_'.",
            name.chars().filter(|c| !fits(*c)).collect::<String>()
        );
        return Err(ArmError::bad("InvalidResourceGroup", message));
    }
    let body = request.call.json()?;
    apply::check_envelope(request.call, &body)?;
    apply::check_body("resources", "resourceGroups", &version.version, &body, Role::Whole, request.call)?;
    Request::check_tags(&body)?;
    let wanted = body["location"].as_str().unwrap_or_default();
    let Some(location) = apply::location(cloud, wanted) else {
        let all: Vec<_> = cloud.flavour().locations().iter().map(|(name, _)| *name).collect();
        let message = format!(
            "The provided location '{wanted}' is not available for resource group. List of available regions is '{}'.",
            all.join(",")
        );
        return Err(ArmError::bad("LocationNotAvailableForResourceGroup", message));
    };
    let now = cloud.clock().now();
    let mut state = cloud.state();
    apply::policy(&state, "Microsoft.Resources/subscriptions/resourceGroups", name, &body)?;
    let key = name.to_ascii_lowercase();
    let before = state.groups.get(&key).cloned();
    if let Some(before) = &before {
        being_deleted(before)?;
        if before.location != location {
            let message = format!(
                "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
                before.location
            );
            return Err(ArmError::conflict("InvalidResourceGroupLocation", message));
        }
    }
    let status = if before.is_some() { 200 } else { 201 };
    let group = Group {
        name: before.as_ref().map_or_else(|| name.to_owned(), |group| group.name.clone()),
        location,
        tags: body["tags"].clone(),
        provisioning: "Succeeded",
        born: before.as_ref().map_or(now, |group| group.born),
        managed_by: body["managedBy"].as_str().map(str::to_owned),
    };
    let answer = Answer::json(status, show(request, version, &group));
    state.groups.insert(key, group);
    Ok(answer)
}

/// Refuses to work in a group that is being deleted.
pub(super) fn being_deleted(group: &Group) -> Result<(), ArmError> {
    if group.provisioning != "Deleting" {
        return Ok(());
    }
    Err(ArmError::conflict(
        "ResourceGroupBeingDeleted",
        format!(
            "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
            group.name
        ),
    ))
}

fn patch(request: &Request<'_>, version: &Version, name: &str) -> Result<Answer, ArmError> {
    request.allowed("Microsoft.Resources/subscriptions/resourceGroups/write", &scope(request, name))?;
    let body = request.call.json()?;
    apply::check_body("resources", "resourceGroups", &version.version, &body, Role::Partial, request.call)?;
    Request::check_tags(&body)?;
    let mut state = request.cloud.state();
    let group = state.groups.get_mut(&name.to_ascii_lowercase()).ok_or_else(|| group_not_found(name))?;
    being_deleted(group)?;
    if body["tags"].is_object() {
        group.tags = body["tags"].clone();
    }
    let group = group.clone();
    Ok(Answer::json(200, show(request, version, &group)))
}

fn delete(request: &Request<'_>, version: &Version, name: &str) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    request.allowed("Microsoft.Resources/subscriptions/resourceGroups/delete", &scope(request, name))?;
    let key = name.to_ascii_lowercase();
    let mut state = cloud.state();
    let state = &mut *state;
    let group = state.groups.get_mut(&key).ok_or_else(|| group_not_found(name))?;
    let location = group.location.clone();
    if group.provisioning == "Deleting" {
        let running = state
            .operations
            .values()
            .find(|o| o.deed == Deed::RemoveGroup(key.clone()) && o.status == Status::InProgress);
        if let Some(operation) = running {
            return Ok(operation.announce(Answer::empty(202), cloud, true));
        }
    }
    if let Some(group) = state.groups.get_mut(&key) {
        group.provisioning = "Deleting";
    }
    let inside = state.resources.values_mut().filter(|r| r.group == key);
    let machines = inside.map(|r| {
        r.provisioning = "Deleting";
        r.kind
    });
    let machines = machines.filter(|kind| *kind == Kind::Machine).count();
    let begin = apply::Begin {
        style: Style::Group,
        location: &location,
        version: &version.version,
        deed: Deed::RemoveGroup(key),
        work: Work::DeleteGroup(machines),
    };
    let operation = apply::begin(cloud, state, request.effect, begin);
    assert!(operation.fate != Fate::Good || operation.status == Status::InProgress, "a delete takes time");
    Ok(operation.announce(Answer::empty(202), cloud, true))
}
