//! One resource: GET, PUT, PATCH, DELETE.

use serde_json::Value;

use super::{Request, Version, apply, birth, list, provider};
use crate::cloud::{Deed, State, Work};
use crate::description::{Description, Role};
use crate::error::{ArmError, group_not_found, in_progress, resource_not_found};
use crate::http::Answer;
use crate::resource::{self, BodyState, Kind, MachineState, Obedience, Put, Resource, key, view};

/// `…/providers/NAMESPACE/KIND/NAME`.
pub(super) fn one(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<Answer, ArmError> {
    match request.call.method.as_str() {
        "GET" => get(request, version, kind, group, name),
        "HEAD" => {
            let there = request.cloud.state().resource(&request.cloud.id(group, kind, name)).is_some();
            Ok(super::existence(there))
        }
        "PUT" => put(request, version, kind, group, name),
        "PATCH" => patch(request, version, kind, group, name),
        "DELETE" => delete(request, version, kind, group, name),
        _ => Err(super::not_found(request.call)),
    }
}

/// The resource, or why there is none.
pub(super) fn find<'s>(
    request: &Request<'_>,
    state: &'s State,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<&'s Resource, ArmError> {
    if !state.groups.contains_key(&group.to_ascii_lowercase()) {
        return Err(group_not_found(group));
    }
    let found = state.resource(&request.cloud.id(group, kind, name));
    found.ok_or_else(|| resource_not_found(&kind.full(), name, group))
}

fn get(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    request.allowed(&format!("{}/read", kind.full()), &cloud.id(group, kind, name))?;
    let state = cloud.state();
    let found = find(request, &state, kind, group, name)?;
    let expanded = request.call.parameter("$expand").is_some_and(|e| e.eq_ignore_ascii_case("instanceView"));
    let shown = view::show(cloud, &state, found, &version.version, expanded);
    Ok(Answer::json(200, shown).header("etag", found.etag.clone()))
}

fn put(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<Answer, ArmError> {
    let (cloud, call) = (request.cloud, request.call);
    request.allowed(&format!("{}/write", kind.full()), &cloud.id(group, kind, name))?;
    let body = call.json()?;
    let mut state = cloud.state();
    let (group, group_name) = list::open_group(&state, group)?;
    provider::check(cloud, &state, kind.namespace())?;
    let location = judge(request, version, &state, kind, name, &body)?;
    let id = cloud.id(&group_name, kind, name);
    let settable = settable(kind, version, &body);
    let put = Put { cloud, kind, id, name: name.to_owned(), group: group_name, location, body: settable };
    write(request, version, &mut state, &put, &group)
}

/// Whether a body is well formed, allowed, and for a place that there is: which one.
pub(super) fn judge(
    request: &Request<'_>,
    version: &Version,
    state: &State,
    kind: Kind,
    name: &str,
    body: &Value,
) -> Result<String, ArmError> {
    apply::check_envelope(request.call, body)?;
    let Some(wanted) = body["location"].as_str() else {
        return Err(ArmError::bad(
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    };
    let known = apply::location(request.cloud, wanted);
    let location = known.ok_or_else(|| no_such_location(request, kind, wanted))?;
    Request::check_tags(body)?;
    apply::policy(state, &kind.full(), name, body)?;
    apply::check_body(kind.provider(), kind.name(), &version.version, body, Role::Whole, request.call)?;
    Ok(location)
}

fn no_such_location(request: &Request<'_>, kind: Kind, wanted: &str) -> ArmError {
    let all: Vec<_> = request.cloud.flavour().locations().iter().map(|(name, _)| *name).collect();
    let message = format!(
        "The provided location '{wanted}' is not available for resource type '{}'. List of available regions for the resource type is '{}'.",
        kind.full(),
        all.join(",")
    );
    ArmError::bad("LocationNotAvailableForResourceType", message)
}

fn settable(kind: Kind, version: &Version, body: &Value) -> Value {
    let description = Description::find(kind.provider(), kind.name(), &version.version);
    let model = description.and_then(|d| d.body(kind.name()).map(|model| (d, model)));
    model.map_or_else(|| body.clone(), |(description, model)| description.settable(model, body))
}

/// Writes a resource that is well formed: checks its meaning, keeps it, and begins the operation.
pub(super) fn write(
    request: &Request<'_>,
    version: &Version,
    state: &mut State,
    put: &Put<'_>,
    group: &str,
) -> Result<Answer, ArmError> {
    let (cloud, kind) = (request.cloud, put.kind);
    let now = cloud.clock().now();
    let before = state.resource(&put.id).cloned();
    preconditions(request, before.as_ref())?;
    if let Some(before) = &before {
        movable(request, state, put, before)?;
    }
    resource::admit(state, put, before.as_ref())?;
    let body = resource::complete(state, put, before.as_ref());
    let id_key = key(&put.id);
    let machine = kind == Kind::Machine;
    let deed = if machine && before.is_none() {
        Deed::MachineReady(id_key.clone())
    } else {
        Deed::Ready(id_key.clone())
    };
    let work = if before.is_some() { Work::Update(kind) } else { Work::Create(kind) };
    let begin =
        apply::Begin { style: kind.style(), location: &put.location, version: &version.version, deed, work };
    let operation = apply::begin(cloud, state, request.effect, begin);
    let fresh = MachineState {
        power: "starting",
        body: BodyState::None,
        obeys: Obedience::Done,
        provisioned: false,
        failure: None,
    };
    let resource = Resource {
        kind,
        id: before.as_ref().map_or_else(|| put.id.clone(), |before| before.id.clone()),
        name: put.name.clone(),
        group: group.to_owned(),
        location: put.location.clone(),
        body,
        provisioning: if machine && before.is_none() { "Creating" } else { "Updating" },
        last_write: kind.write_name(),
        busy: Some(operation.id.clone()),
        born: before.as_ref().map_or(now, |before| before.born),
        etag: format!("W/\"{}\"", state.random.uuid()),
        machine: before.as_ref().map_or_else(|| machine.then_some(fresh), |before| before.machine.clone()),
    };
    state.resources.insert(id_key.clone(), resource);
    if machine && before.is_none() {
        birth::begin(request, state, &id_key);
    }
    let announced = answer_write(request, version, state, &id_key, before.is_none());
    Ok(operation.announce(announced, cloud, kind == Kind::Disk))
}

/// What the answer to a write shows: 201 for what is new, and a disk's 202.
fn answer_write(request: &Request<'_>, version: &Version, state: &mut State, id: &str, new: bool) -> Answer {
    // An operation that takes no time has ended before the answer is written.
    settle_instant(request, state, id);
    let Some(resource) = state.resources.get(id) else { return Answer::empty(500) };
    let status = match (resource.kind, new) {
        (Kind::Disk, _) => 202,
        (_, true) => 201,
        _ => 200,
    };
    Answer::json(status, view::show(request.cloud, state, resource, &version.version, false))
}

fn settle_instant(request: &Request<'_>, state: &mut State, id: &str) {
    let now = request.cloud.clock().now();
    let busy = state.resources.get(id).and_then(|r| r.busy.clone());
    if let Some(operation) = busy.filter(|operation| state.ends_by(operation, now)) {
        request.cloud.end_now(state, &operation);
    }
}

/// If-Match and If-None-Match.
pub(super) fn preconditions(request: &Request<'_>, before: Option<&Resource>) -> Result<(), ArmError> {
    let failed = |why: &str| {
        Err(ArmError::new(
            412,
            "PreconditionFailed",
            format!("The precondition given in one of the request header(s) evaluated to false. {why}"),
        ))
    };
    if let Some(wanted) = request.call.header("if-match") {
        match before {
            None => return failed("The resource does not exist."),
            Some(before)
                if wanted != "*"
                    && wanted.trim_matches('"') != before.etag.trim_matches('"')
                    && wanted != before.etag =>
            {
                return failed(&format!(
                    "Etag provided in if-match header {wanted} does not match etag {} of the resource.",
                    before.etag
                ));
            }
            Some(_) => {}
        }
    }
    if request.call.header("if-none-match") == Some("*") && before.is_some() {
        return failed("The resource already exists.");
    }
    Ok(())
}

/// Whether what is there can be written again now.
fn movable(request: &Request<'_>, state: &State, put: &Put<'_>, before: &Resource) -> Result<(), ArmError> {
    if before.location != put.location {
        let message = format!(
            "The resource '{}' already exists in location '{}' in resource group '{}'. A resource with the same name cannot be created in location '{}'. Please select a new resource name.",
            put.name, before.location, before.group, put.location
        );
        return Err(ArmError::conflict("InvalidResourceLocation", message));
    }
    idle(request, state, before)
}

/// Refuses to touch what another operation is working on.
pub(super) fn idle(request: &Request<'_>, state: &State, resource: &Resource) -> Result<(), ArmError> {
    let Some(operation) = resource.busy.as_ref().and_then(|id| state.operations.get(id)) else {
        return Ok(());
    };
    if resource.kind.provider() == "network" {
        return Err(in_progress(&operation.address(request.cloud)));
    }
    let deleting = resource.provisioning == "Deleting";
    if resource.kind == Kind::Machine && deleting {
        return Err(ArmError::conflict(
            "OperationNotAllowed",
            format!(
                "Operation is not allowed on VM '{}' since the VM is marked for deletion. You can only retry the Delete operation (or wait for an ongoing one to complete).",
                resource.name
            ),
        ));
    }
    // A machine's writes queue up behind each other; only a disk refuses.
    if resource.kind == Kind::Disk {
        return Err(ArmError::conflict(
            "OperationNotAllowed",
            format!("Disk {} is being updated by another operation.", resource.name),
        ));
    }
    Ok(())
}

fn patch(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<Answer, ArmError> {
    let (cloud, call) = (request.cloud, request.call);
    request.allowed(&format!("{}/write", kind.full()), &cloud.id(group, kind, name))?;
    let body = call.json()?;
    let mut state = cloud.state();
    list::open_group(&state, group)?;
    let before = find(request, &state, kind, group, name)?.clone();
    let tags_only = kind.provider() == "network";
    if let Some(field) =
        body.as_object().into_iter().flatten().map(|(f, _)| f).find(|f| tags_only && *f != "tags")
    {
        let message = format!(
            "Could not find member '{field}' on object of type 'TagsObject'. Path '{field}', line 1, position 1."
        );
        return Err(
            ArmError::bad("InvalidRequestFormat", "Cannot parse the request.").detail("InvalidJson", message)
        );
    }
    apply::check_body(kind.provider(), kind.name(), &version.version, &body, Role::Partial, call)?;
    Request::check_tags(&body)?;
    let mut merged = before.body.clone();
    merge(&mut merged, &settable(kind, version, &body));
    let put = Put {
        cloud,
        kind,
        id: before.id.clone(),
        name: before.name.clone(),
        group: before.group.clone(),
        location: before.location.clone(),
        body: merged,
    };
    let group = before.group.clone();
    write(request, version, &mut state, &put, &group)
}

/// Lays `over` on `under`; tags are replaced as a whole, as ARM does.
fn merge(under: &mut Value, over: &Value) {
    let (Some(into), Some(over)) = (under.as_object_mut(), over.as_object()) else {
        *under = over.clone();
        return;
    };
    for (name, value) in over {
        if name == "tags" {
            into.insert(name.clone(), value.clone());
        } else {
            merge(into.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn delete(
    request: &Request<'_>,
    version: &Version,
    kind: Kind,
    group: &str,
    name: &str,
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let id = cloud.id(group, kind, name);
    request.allowed(&format!("{}/delete", kind.full()), &id)?;
    let mut state = cloud.state();
    if !state.groups.contains_key(&group.to_ascii_lowercase()) {
        return Err(group_not_found(group));
    }
    let Some(found) = state.resource(&id).cloned() else { return Ok(Answer::empty(204)) };
    preconditions(request, Some(&found))?;
    if found.provisioning == "Deleting" {
        let running = found.busy.as_ref().and_then(|id| state.operations.get(id));
        if let Some(operation) = running {
            return Ok(operation.announce(Answer::empty(202), cloud, true));
        }
    }
    if kind != Kind::Machine {
        idle(request, &state, &found)?;
    }
    resource::held(&state, &found, cloud.clock().now())?;
    let id_key = key(&id);
    let begin = apply::Begin {
        style: kind.style(),
        location: &found.location,
        version: &version.version,
        deed: Deed::Remove(id_key.clone()),
        work: Work::Delete(kind),
    };
    let operation = apply::begin(cloud, &mut state, request.effect, begin);
    if let Some(resource) = state.resources.get_mut(&id_key) {
        (resource.provisioning, resource.busy) = ("Deleting", Some(operation.id.clone()));
    }
    Ok(operation.announce(Answer::empty(202), cloud, true))
}
