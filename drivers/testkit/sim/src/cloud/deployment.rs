//! Deployments: what a template wants is written, each part once those that it waits for are there.
//!
//! ```text
//! Accepted ──► Running ──► Succeeded
//!    │            ├──────► Failed      (a part failed; what doesn't wait for it went on)
//!    └────────────┴──────► Canceled    (what had begun ended by itself)
//! ```
//! A deployment's own writes are no requests: they count against no bucket and stand in no log. Weather that strikes
//! operations strikes theirs, too.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::{Cloud, Due, Effect, State, Status, fault};
use crate::error::ArmError;
use crate::http::{Answer, Call};
use crate::resource::key;
use crate::sign_in::Principal;
use crate::template::Template;

/// How long it takes to see that a part has ended, in the real cloud's time.
const GLANCE: Duration = Duration::from_secs(1);

/// One deployment, as the cloud keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The group's name, in lower case.
    pub(crate) group: String,
    pub(crate) source: Value,
    pub(crate) template: Template,
    pub(crate) tags: Value,
    pub(crate) hash: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) state: &'static str,
    pub(crate) outputs: Value,
    pub(crate) error: Option<ArmError>,
    pub(crate) began: Duration,
    pub(crate) ended: Option<Duration>,
    pub(crate) correlation: String,
    /// What the address of its status ends in; also tells it from an earlier one of the same name.
    pub(crate) operation: String,
    pub(crate) who: Principal,
    pub(crate) canceled: bool,
}

/// One resource's write.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) stage: Stage,
    pub(crate) began: Option<Duration>,
    pub(crate) ended: Option<Duration>,
}

/// Where a write stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    Skipped,
    /// An operation, or a deployment inside.
    Running(Wait),
    Done,
    Failed(ArmError),
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    Answer,
    Operation(String),
    Deployment(String),
}

impl Deployment {
    /// Whether it has not ended.
    pub(crate) fn active(&self) -> bool {
        self.ended.is_none()
    }

    fn failed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.stage, Stage::Failed(_)))
    }

    /// The steps that may begin.
    fn ready(&self) -> Vec<usize> {
        if self.canceled {
            return Vec::new();
        }
        let over = |at: &usize| matches!(self.steps[*at].stage, Stage::Done | Stage::Skipped);
        let all = self.steps.iter().zip(&self.template.resources).enumerate();
        let free =
            all.filter(|(_, (step, planned))| step.stage == Stage::Waiting && planned.after.iter().all(over));
        free.map(|(at, _)| at).collect()
    }

    fn running(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.stage, Stage::Running(_)))
    }
}

/// Schedules the next look at every deployment that waits for `ended`.
pub(super) fn notice(cloud: &Cloud, state: &mut State, ended: &Wait, at: Duration) {
    let waits = |d: &Deployment| d.steps.iter().any(|s| s.stage == Stage::Running(ended.clone()));
    let waiting = state.deployments.iter().filter(|(_, d)| d.active() && waits(d));
    let ids: Vec<String> = waiting.map(|(id, _)| id.clone()).collect();
    for id in ids {
        state.schedule(at + cloud.clock().scaled(GLANCE), Due::Deploy(id));
    }
}

/// Takes a deployment as far as it goes at `now`.
pub(super) fn advance(cloud: &Cloud, id: &str, now: Duration) {
    loop {
        let begun = {
            let mut state = cloud.state();
            let statuses = settle(&state, id);
            let Some(deployment) = state.deployments.get_mut(id).filter(|d| d.active()) else { return };
            deployment.state = "Running";
            for (at, stage) in statuses {
                deployment.steps[at].stage = stage;
                deployment.steps[at].ended = Some(now);
            }
            let ready = deployment.ready();
            for at in &ready {
                deployment.steps[*at].stage = Stage::Running(Wait::Answer);
                deployment.steps[*at].began = Some(now);
            }
            (!ready.is_empty()).then(|| (ready, deployment.clone()))
        };
        let Some((ready, deployment)) = begun else { break };
        for at in ready {
            let stage = write(cloud, &deployment, at).unwrap_or_else(Stage::Failed);
            let mut state = cloud.state();
            // Another one of this name may have taken its place meanwhile.
            let own = state.deployments.get_mut(id).filter(|d| d.operation == deployment.operation);
            let Some(step) = own.map(|d| &mut d.steps[at]) else { return };
            step.ended = (!matches!(stage, Stage::Running(_))).then_some(now);
            step.stage = stage;
        }
    }
    finish(cloud, id, now);
}

/// What became of the steps that run.
fn settle(state: &State, id: &str) -> Vec<(usize, Stage)> {
    let steps = state.deployments.get(id).into_iter().flat_map(|d| d.steps.iter().enumerate());
    let ended = |wait: &Wait| match wait {
        Wait::Answer => None,
        Wait::Operation(id) => match state.operations.get(id).map(|operation| &operation.status) {
            Some(Status::InProgress) => None,
            Some(Status::Failed(error)) => Some(Stage::Failed(error.clone())),
            Some(Status::Canceled) => {
                Some(Stage::Failed(ArmError::conflict("Canceled", "Operation was canceled.")))
            }
            Some(Status::Succeeded) | None => Some(Stage::Done),
        },
        Wait::Deployment(id) => match state.deployments.get(id) {
            Some(inner) if inner.active() => None,
            Some(inner) => Some(inner.error.clone().map_or(Stage::Done, Stage::Failed)),
            None => Some(Stage::Failed(ArmError::conflict("DeploymentNotFound", "The deployment is gone."))),
        },
    };
    steps
        .filter_map(|(at, step)| match &step.stage {
            Stage::Running(wait) => ended(wait).map(|stage| (at, stage)),
            _ => None,
        })
        .collect()
}

/// Writes one resource.
fn write(cloud: &Cloud, deployment: &Deployment, at: usize) -> Result<Stage, ArmError> {
    let planned = &deployment.template.resources[at];
    let fetch =
        |id: &str, version: &str| get(cloud, &deployment.who, id, version).map_err(|error| error.message);
    let body = deployment.template.body(at, Some(&fetch)).map_err(|trouble| {
        let message = format!(
            "Unable to process template language expressions for resource '{}' at line '1' and column '1'. '{}'",
            planned.id,
            trouble.why()
        );
        ArmError::bad("InvalidTemplate", message)
    })?;
    register(cloud, &planned.kind);
    let call = synthetic("PUT", &planned.id, &planned.version, &body);
    let effect = {
        let mut state = cloud.state();
        let state = &mut *state;
        fault::strike(&mut state.faults, &call, &mut state.random)
    };
    if let Some(Effect::Refuse { status, code, message, .. }) = &effect {
        return Err(ArmError::new(*status, code, message.clone()));
    }
    let answer = crate::route::carry_out(cloud, &call, &deployment.who, effect.as_ref())?;
    if planned.is_deployment() {
        return Ok(Stage::Running(Wait::Deployment(key(&planned.id))));
    }
    Ok(operation_of(&answer).map_or(Stage::Done, |id| Stage::Running(Wait::Operation(id))))
}

/// A template registers the providers that it needs.
fn register(cloud: &Cloud, kind: &str) {
    let namespace = kind.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if cloud.advertised.keys().any(|known| known.eq_ignore_ascii_case(&namespace)) {
        cloud.state().registered.insert(namespace, Duration::ZERO);
    }
}

fn operation_of(answer: &Answer) -> Option<String> {
    let (_, address) = answer.headers.iter().find(|(name, _)| name == "azure-asyncoperation")?;
    let path = address.split('?').next().unwrap_or_default();
    path.rsplit('/').next().map(str::to_owned)
}

/// What a GET of the resource answers.
fn get(cloud: &Cloud, who: &Principal, id: &str, version: &str) -> Result<Value, ArmError> {
    let call = synthetic("GET", id, version, &Value::Null);
    crate::route::carry_out(cloud, &call, who, None).map(|answer| answer.body.unwrap_or_default())
}

/// A call that no client sent.
pub(crate) fn synthetic(method: &str, id: &str, version: &str, body: &Value) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut call = Call::new(method, "", id, "", headers, body);
    // An id is not encoded as a path is.
    call.segments = id.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    call.query.insert("api-version".to_owned(), version.to_owned());
    call
}

/// Ends the deployment, if nothing of it goes on.
fn finish(cloud: &Cloud, id: &str, now: Duration) {
    let Some(deployment) = cloud.state().deployments.get(id).filter(|d| d.active() && !d.running()).cloned()
    else {
        return;
    };
    let (state, outputs, error) = if deployment.canceled {
        let message = "The deployment was canceled.".to_owned();
        ("Canceled", Value::Null, Some(ArmError::conflict("DeploymentCanceled", message)))
    } else if deployment.failed() {
        ("Failed", Value::Null, Some(failure(&deployment)))
    } else {
        let fetch =
            |id: &str, version: &str| get(cloud, &deployment.who, id, version).map_err(|error| error.message);
        match deployment.template.outputs(&fetch) {
            Ok(outputs) => ("Succeeded", outputs, None),
            Err(why) => {
                let message = format!("Unable to evaluate template outputs. '{why}'");
                ("Failed", Value::Null, Some(ArmError::bad("DeploymentOutputEvaluationFailed", message)))
            }
        }
    };
    let mut locked = cloud.state();
    let own = locked.deployments.get_mut(id).filter(|d| d.operation == deployment.operation);
    let Some(own) = own else { return };
    (own.state, own.outputs, own.error, own.ended) = (state, outputs, error, Some(now));
    notice(cloud, &mut locked, &Wait::Deployment(id.to_owned()), now);
}

/// The error of a deployment some part of which failed.
fn failure(deployment: &Deployment) -> ArmError {
    let message = "At least one resource deployment operation failed. Please list deployment operations for details. \
                   Please see https://aka.ms/arm-deployment-operations for usage details.";
    let mut error = ArmError::conflict("DeploymentFailed", message).target(&deployment.id);
    error.details = deployment
        .steps
        .iter()
        .filter_map(|step| match &step.stage {
            Stage::Failed(why) => Some(nested(why)),
            _ => None,
        })
        .collect();
    error
}

/// The provider's answer, as a string within the error: its own envelope, spelt out.
pub(crate) fn nested(error: &ArmError) -> Value {
    let whole = json!({"status": "Failed", "error": error.inner()});
    let whole = serde_json::to_string_pretty(&whole).unwrap_or_default().replace('\n', "\r\n");
    json!({"code": status_name(error.status), "message": whole})
}

/// What an HTTP status is called.
pub(crate) fn status_name(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        400 => "BadRequest",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalServerError",
    }
}
