//! `…/resourceGroups/GROUP/providers/Microsoft.Resources/deployments`: templates sent, judged, watched and forgotten.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Request, Version, apply, list, preflight};
use crate::cloud::{
    Deed, Deployment, Due, Stage, State, Step, Style, Work, deployment_status_name, nested_deployment_error,
};
use crate::error::{ArmError, group_not_found};
use crate::http::Answer;
use crate::resource::key;
use crate::template::{Fresh, Place, Template};

/// `…/deployments[/NAME[/MORE…]]`; `rest` is in lower case.
pub(super) fn route(
    request: &Request<'_>,
    version: &Version,
    group: &str,
    name: Option<&str>,
    rest: &[&str],
) -> Result<Answer, ArmError> {
    let Some(name) = name else {
        return match request.call.method.as_str() {
            "GET" => all(request, group),
            _ => Err(super::not_found(request.call)),
        };
    };
    match (request.call.method.as_str(), rest) {
        ("PUT", []) => put(request, version, group, name),
        ("GET", []) => {
            let state = request.cloud.state();
            find(request, &state, group, name).map(|found| Answer::json(200, show(request, found)))
        }
        ("HEAD", []) => {
            let state = request.cloud.state();
            Ok(super::existence(find(request, &state, group, name).is_ok()))
        }
        ("DELETE", []) => delete(request, version, group, name),
        ("POST", ["validate"]) => validate(request, group, name),
        ("POST", ["cancel"]) => cancel(request, group, name),
        ("POST", ["exporttemplate"]) => {
            let state = request.cloud.state();
            let found = find(request, &state, group, name)?;
            Ok(Answer::json(200, json!({"template": found.source["template"]})))
        }
        ("GET", ["operationstatuses", id]) => status(request, group, name, id),
        ("GET", ["operations"]) => {
            let state = request.cloud.state();
            let found = find(request, &state, group, name)?;
            Ok(Answer::list(operations(request, found)))
        }
        ("GET", ["operations", id]) => {
            let state = request.cloud.state();
            let found = find(request, &state, group, name)?;
            let wanted = operations(request, found).into_iter().find(|o| o["operationId"] == *id);
            let missing = || {
                let message =
                    format!("Deployment operation '{id}' of deployment '{name}' could not be found.");
                ArmError::new(404, "DeploymentOperationNotFound", message)
            };
            wanted.map(|operation| Answer::json(200, operation)).ok_or_else(missing)
        }
        _ => Err(super::not_found(request.call)),
    }
}

fn id(request: &Request<'_>, group: &str, name: &str) -> String {
    let subscription = &request.cloud.config.account.subscription;
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Resources/deployments/{name}"
    )
}

fn find<'s>(
    request: &Request<'_>,
    state: &'s State,
    group: &str,
    name: &str,
) -> Result<&'s Deployment, ArmError> {
    if !state.groups.contains_key(&group.to_ascii_lowercase()) {
        return Err(group_not_found(group));
    }
    state.deployments.get(&key(&id(request, group, name))).ok_or_else(|| {
        ArmError::new(404, "DeploymentNotFound", format!("Deployment '{name}' could not be found."))
    })
}

fn all(request: &Request<'_>, group: &str) -> Result<Answer, ArmError> {
    let state = request.cloud.state();
    let group_key = group.to_ascii_lowercase();
    if !state.groups.contains_key(&group_key) {
        return Err(group_not_found(group));
    }
    let inside = state.deployments.values().filter(|d| d.group == group_key);
    Ok(Answer::list(inside.map(|deployment| show(request, deployment))))
}

/// A template that was read, and what was sent around it.
struct Sent {
    properties: Value,
    tags: Value,
    group: (String, String),
    template: Template,
}

/// Reads and judges what was sent.
fn read(request: &Request<'_>, group: &str, name: &str) -> Result<Sent, ArmError> {
    let (cloud, call) = (request.cloud, request.call);
    let scope = id(request, group, name);
    request.allowed("Microsoft.Resources/deployments/write", &scope)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
    if name.len() > 64 || !name.chars().all(fits) {
        let message = format!(
            "The provided deployment name '{name}' has these invalid characters or is too long: at most 64 of letters, \
             digits, '-', '_', '.', '(' and ')'."
        );
        return Err(ArmError::bad("InvalidDeployment", message));
    }
    let body = call.loose_json()?;
    let properties = body["properties"].clone();
    let missing = |what: &str| {
        ArmError::bad(
            "InvalidRequestContent",
            format!(
                "The request content was invalid and could not be deserialized: 'Required property '{what}' not found in JSON. Path 'properties', line 1, position 1.'."
            ),
        )
    };
    let mode = properties["mode"].as_str().ok_or_else(|| missing("mode"))?;
    if !mode.eq_ignore_ascii_case("Incremental") {
        let message =
            format!("The simulator deploys incrementally only; the mode '{mode}' is not simulated.");
        return Err(ArmError::bad("InvalidDeployment", message));
    }
    if !properties["templateLink"].is_null() || !properties["parametersLink"].is_null() {
        let message = "Unable to download deployment content: the simulator reaches no other address.";
        return Err(ArmError::bad("InvalidContentLink", message));
    }
    if !properties["template"].is_object() {
        return Err(missing("template"));
    }
    let (group, place, fresh) = {
        let mut state = cloud.state();
        let group = list::open_group(&state, group)?;
        let location = state.groups[&group.0].location.clone();
        let place = Place {
            subscription: cloud.config.account.subscription.clone(),
            tenant: cloud.config.account.tenant.clone(),
            group: group.1.clone(),
            location,
            deployment: name.to_owned(),
            endpoint: cloud.names.arm.clone(),
        };
        let now = cloud
            .clock()
            .today()
            .format(&time::macros::format_description!("[year][month][day]T[hour][minute][second]Z"));
        (group, place, Fresh { guid: state.random.uuid(), now: now.unwrap_or_default() })
    };
    // A file of parameters may be sent as a whole.
    let parameters = properties["parameters"].get("parameters").filter(|p| p.is_object());
    let parameters = parameters.unwrap_or(&properties["parameters"]);
    let template = Template::read(&properties["template"], parameters, place, &fresh).map_err(|why| {
        ArmError::bad("InvalidTemplate", format!("Deployment template validation failed: '{why}'."))
    })?;
    judge(request, name, &template)?;
    Ok(Sent { properties, tags: body["tags"].clone(), group, template })
}

/// What providers would refuse is refused before anything is made, as far as a body can be known by then.
fn judge(request: &Request<'_>, name: &str, template: &Template) -> Result<(), ArmError> {
    let mut details = Vec::new();
    for (at, planned) in template.resources.iter().enumerate().filter(|(_, planned)| !planned.skipped) {
        let body = match template.body(at, None) {
            Ok(body) => body,
            Err(crate::template::Trouble::Later) => continue,
            Err(trouble) => {
                let message = format!(
                    "Unable to process template language expressions for resource '{}' at line '1' and column '1'. '{}'",
                    planned.id,
                    trouble.why()
                );
                return Err(ArmError::bad("InvalidTemplate", message));
            }
        };
        match preflight::check(request, planned, &body) {
            Ok(()) => {}
            Err(error) if preflight::at_once(&error) => return Err(error),
            Err(error) => details.push(error.inner()),
        }
    }
    if details.is_empty() {
        return Ok(());
    }
    let tracking = request.cloud.state().random.uuid();
    let message = format!(
        "The template deployment '{name}' is not valid according to the validation procedure. The tracking id is \
         '{tracking}'. See inner errors for details."
    );
    let mut error = ArmError::bad("InvalidTemplateDeployment", message);
    error.details = details;
    Err(error)
}

fn put(request: &Request<'_>, version: &Version, group: &str, name: &str) -> Result<Answer, ArmError> {
    let sent = read(request, group, name)?;
    let cloud = request.cloud;
    let id = id(request, &sent.group.1, name);
    let mut state = cloud.state();
    let before = state.deployments.get(&key(&id));
    if before.is_some_and(Deployment::active) {
        let message = format!(
            "Unable to edit or replace deployment '{name}': previous deployment is still active. Please see \
             https://aka.ms/arm-deploy for usage details."
        );
        return Err(ArmError::conflict("DeploymentActive", message));
    }
    let status = if before.is_some() { 200 } else { 201 };
    let now = cloud.clock().now();
    let deployment = assemble(request, &mut state, sent, id.clone(), name);
    let address = format!(
        "{}{id}/operationStatuses/{}?api-version={}",
        cloud.names.arm, deployment.operation, version.version
    );
    let shown = show(request, &deployment);
    state.deployments.insert(key(&id), deployment);
    let work = cloud.clock().scaled(Work::Deploy.takes(&mut state.random));
    state.schedule(now + work, Due::Deploy(key(&id)));
    let wait = cloud.clock().retry_after(5).to_string();
    Ok(Answer::json(status, shown).header("azure-asyncoperation", address).header("retry-after", wait))
}

fn assemble(request: &Request<'_>, state: &mut State, sent: Sent, id: String, name: &str) -> Deployment {
    let cloud = request.cloud;
    let step = |planned: &crate::template::Planned| Step {
        id: Sha256::digest(&planned.id).iter().take(8).map(|byte| format!("{byte:02X}")).collect(),
        stage: if planned.skipped { Stage::Skipped } else { Stage::Waiting },
        began: None,
        ended: None,
    };
    let hash = Sha256::digest(sent.properties["template"].to_string());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let correlation = request.call.header("x-ms-correlation-request-id").map(str::to_owned);
    Deployment {
        id,
        name: name.to_owned(),
        group: sent.group.0,
        source: sent.properties,
        steps: sent.template.resources.iter().map(step).collect(),
        template: sent.template,
        tags: sent.tags,
        hash: number.to_string(),
        state: "Accepted",
        outputs: Value::Null,
        error: None,
        began: cloud.clock().now(),
        ended: None,
        correlation: correlation.unwrap_or_else(|| state.random.uuid()),
        operation: format!("{:020}", state.random.number()),
        who: request.who.clone(),
        canceled: false,
    }
}

fn validate(request: &Request<'_>, group: &str, name: &str) -> Result<Answer, ArmError> {
    let sent = read(request, group, name)?;
    let id = id(request, &sent.group.1, name);
    let mut state = request.cloud.state();
    let mut judged = assemble(request, &mut state, sent, id, name);
    (judged.state, judged.ended) = ("Succeeded", Some(judged.began));
    let mut shown = show(request, &judged);
    shown["properties"]["validatedResources"] = json!(resources(&judged));
    if let Some(properties) = shown["properties"].as_object_mut() {
        properties.remove("outputs");
        properties.remove("outputResources");
    }
    Ok(Answer::json(200, shown))
}

fn cancel(request: &Request<'_>, group: &str, name: &str) -> Result<Answer, ArmError> {
    request.allowed("Microsoft.Resources/deployments/cancel/action", &id(request, group, name))?;
    let mut state = request.cloud.state();
    let found = find(request, &state, group, name)?;
    if !found.active() {
        let message =
            format!("The deployment '{name}' cannot be cancelled because it is in state '{}'.", found.state);
        return Err(ArmError::conflict("DeploymentCannotBeCancelled", message));
    }
    let (id, now) = (key(&found.id), request.cloud.clock().now());
    if let Some(found) = state.deployments.get_mut(&id) {
        found.canceled = true;
    }
    state.schedule(now, Due::Deploy(id));
    Ok(Answer::empty(204))
}

fn delete(request: &Request<'_>, version: &Version, group: &str, name: &str) -> Result<Answer, ArmError> {
    request.allowed("Microsoft.Resources/deployments/delete", &id(request, group, name))?;
    let cloud = request.cloud;
    let mut state = cloud.state();
    let Ok(found) = find(request, &state, group, name) else {
        let there = state.groups.contains_key(&group.to_ascii_lowercase());
        return if there { Ok(Answer::empty(204)) } else { Err(group_not_found(group)) };
    };
    if found.active() {
        let message = format!("Unable to delete deployment '{name}': it is still active.");
        return Err(ArmError::conflict("DeploymentActive", message));
    }
    let (id, location) = (key(&found.id), state.groups[&found.group].location.clone());
    state.deployments.remove(&id);
    let begin = apply::Begin {
        style: Style::Group,
        location: &location,
        version: &version.version,
        deed: Deed::Remove(id),
        work: Work::Deploy,
    };
    let operation = apply::begin(cloud, &mut state, request.effect, begin);
    Ok(operation.announce(Answer::empty(202), cloud, true))
}

fn status(request: &Request<'_>, group: &str, name: &str, id: &str) -> Result<Answer, ArmError> {
    let state = request.cloud.state();
    let found = find(request, &state, group, name)?;
    if found.operation != id {
        let message = format!("The operation '{id}' of deployment '{name}' could not be found.");
        return Err(ArmError::new(404, "DeploymentOperationIdInvalid", message));
    }
    let mut body = json!({"status": found.state});
    if let Some(error) = &found.error {
        body["error"] = error.inner();
    }
    let answer = Answer::json(200, body);
    if found.active() {
        return Ok(answer.header("retry-after", request.cloud.clock().retry_after(5).to_string()));
    }
    Ok(answer)
}

fn show(request: &Request<'_>, deployment: &Deployment) -> Value {
    let cloud = request.cloud;
    let until = deployment.ended.unwrap_or_else(|| cloud.clock().now());
    let mut properties = json!({
        "templateHash": deployment.hash,
        "parameters": deployment.template.shown,
        "mode": "Incremental",
        "provisioningState": deployment.state,
        "timestamp": cloud.clock().stamp(until),
        "duration": duration(request, deployment.began, Some(until)),
        "correlationId": deployment.correlation,
        "providers": providers(cloud, deployment),
        "dependencies": dependencies(deployment),
    });
    if let Some(error) = &deployment.error {
        properties["error"] = error.inner();
    } else if deployment.state == "Succeeded" {
        properties["outputs"] = deployment.outputs.clone();
        properties["outputResources"] = json!(resources(deployment));
    }
    let mut shown = json!({
        "id": deployment.id, "name": deployment.name, "type": "Microsoft.Resources/deployments", "properties": properties,
    });
    if deployment.tags.is_object() {
        shown["tags"] = deployment.tags.clone();
    }
    shown
}

/// In the real cloud's time, as ISO 8601 writes it.
fn duration(request: &Request<'_>, began: std::time::Duration, ended: Option<std::time::Duration>) -> String {
    let clock = request.cloud.clock();
    let passed = clock.real_time(ended.unwrap_or_else(|| clock.now()).saturating_sub(began));
    format!("PT{:.7}S", passed.as_secs_f64())
}

fn resources(deployment: &Deployment) -> Vec<Value> {
    let wanted = deployment.template.resources.iter().filter(|planned| !planned.skipped);
    wanted.map(|planned| json!({"id": planned.id})).collect()
}

fn providers(cloud: &crate::cloud::Cloud, deployment: &Deployment) -> Vec<Value> {
    let mut found: Vec<(String, Vec<Value>)> = Vec::new();
    for planned in &deployment.template.resources {
        let (namespace, kind) = planned.kind.split_once('/').unwrap_or((&planned.kind, ""));
        let kind = json!({"resourceType": kind, "locations": [cloud.flavour().locations()[0].0]});
        match found.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(namespace)) {
            Some((_, kinds)) if kinds.contains(&kind) => {}
            Some((_, kinds)) => kinds.push(kind),
            None => found.push((namespace.to_owned(), vec![kind])),
        }
    }
    found
        .into_iter()
        .map(|(namespace, kinds)| json!({"namespace": namespace, "resourceTypes": kinds}))
        .collect()
}

fn dependencies(deployment: &Deployment) -> Vec<Value> {
    let name = |planned: &crate::template::Planned| json!({"id": planned.id, "resourceType": planned.kind, "resourceName": planned.name});
    let all = &deployment.template.resources;
    let waiting = all.iter().filter(|planned| !planned.after.is_empty());
    waiting
        .map(|planned| {
            let mut shown = name(planned);
            shown["dependsOn"] = planned.after.iter().map(|at| name(&all[*at])).collect();
            shown
        })
        .collect()
}

/// What was done for each resource, and the outputs at last.
fn operations(request: &Request<'_>, deployment: &Deployment) -> Vec<Value> {
    let cloud = request.cloud;
    let one = |id: &str, properties: Value| {
        json!({
            "id": format!("{}/operations/{id}", deployment.id), "operationId": id, "properties": properties,
        })
    };
    let pairs = deployment.steps.iter().zip(&deployment.template.resources);
    let begun = pairs.filter(|(step, _)| step.began.is_some());
    let mut shown: Vec<Value> = begun
        .map(|(step, planned)| {
            let (state, code) = match &step.stage {
                Stage::Done => ("Succeeded", "OK"),
                Stage::Failed(error) => ("Failed", deployment_status_name(error.status)),
                _ => ("Running", "Accepted"),
            };
            let began = step.began.unwrap_or_default();
            let mut properties = json!({
                "provisioningOperation": "Create", "provisioningState": state,
                "timestamp": cloud.clock().stamp(step.ended.unwrap_or_else(|| cloud.clock().now())),
                "duration": duration(request, began, step.ended), "trackingId": deployment.correlation, "statusCode": code,
                "targetResource": {"id": planned.id, "resourceType": planned.kind, "resourceName": planned.name},
            });
            if let Stage::Failed(error) = &step.stage {
                let nested = nested_deployment_error(error);
                let whole = nested["message"].as_str().and_then(|text| serde_json::from_str(text).ok());
                properties["statusMessage"] = whole.unwrap_or(nested);
            }
            one(&step.id, properties)
        })
        .collect();
    if let Some(ended) = deployment.ended {
        let state = if deployment.state == "Succeeded" { "Succeeded" } else { "Failed" };
        let properties = json!({
            "provisioningOperation": "EvaluateDeploymentOutput", "provisioningState": state,
            "timestamp": cloud.clock().stamp(ended), "duration": "PT0S", "trackingId": deployment.correlation,
            "statusCode": if state == "Succeeded" { "OK" } else { "BadRequest" },
        });
        shown.push(one(&deployment.operation, properties));
    }
    shown
}
