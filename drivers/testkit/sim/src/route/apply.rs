//! What every write goes through: the body against its description, policies, and the operation that it begins.

use serde_json::Value;

use crate::cloud::{Cloud, Deed, Due, Effect, Fate, Operation, State, Status, Style, Work};
use crate::description::{Complaint, Description, Reason, Role};
use crate::error::{ArmError, parameter};
use crate::http::Call;
use crate::resource::Kind;

/// What a resource may have at its top, for Resource Manager, before any provider sees it.
const ENVELOPE: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "plan",
    "sku",
    "kind",
    "managedBy",
    "managedByExtended",
    "identity",
    "zones",
    "placement",
    "extendedLocation",
    "properties",
    "etag",
    "scale",
    "resources",
    "apiVersion",
];

/// Refuses what Resource Manager itself does not know.
pub(super) fn check_envelope(call: &Call, body: &Value) -> Result<(), ArmError> {
    let unknown = |name: &&String| !ENVELOPE.iter().any(|known| known.eq_ignore_ascii_case(name));
    let Some(name) = body.as_object().into_iter().flat_map(|fields| fields.keys()).find(unknown) else {
        return Ok(());
    };
    let message = format!(
        "The request content was invalid and could not be deserialized: 'Could not find member '{name}' on object of \
         type 'ResourceDefinition'. Path '{name}', line 1, position {}.'.",
        position(call, name)
    );
    Err(ArmError::bad("InvalidRequestContent", message))
}

/// Refuses a body that is not what `version` of `kind` describes, in the provider's own words.
pub(super) fn check_body(
    provider: &str,
    kind: &str,
    version: &str,
    body: &Value,
    role: Role,
    call: &Call,
) -> Result<(), ArmError> {
    let Some(description) = Description::find(provider, kind, version) else { return Ok(()) };
    let Some(model) = description.body(kind) else { return Ok(()) };
    description.check(model, body, role).map_err(|complaint| word(provider, kind, &complaint, call))
}

fn word(provider: &str, kind: &str, complaint: &Complaint, call: &Call) -> ArmError {
    let (path, member, at) = (&complaint.path, &complaint.member, position(call, &complaint.member));
    let object = match complaint.model.as_str() {
        model if model.ends_with("Properties") && path.matches('.').count() == 1 => "Properties",
        model => model,
    };
    let message = match &complaint.reason {
        Reason::Unknown => {
            format!(
                "Could not find member '{member}' on object of type '{object}'. Path '{path}', line 1, position {at}."
            )
        }
        Reason::Type(wanted, sent) => {
            format!("Error converting value {sent} to type '{wanted}'. Path '{path}', line 1, position {at}.")
        }
        Reason::Value(sent, _) => {
            format!(
                "Error converting value \"{sent}\" to type '{object}.{member}'. Path '{path}', line 1, position {at}."
            )
        }
        Reason::Missing if provider == "compute" => {
            let path = path.trim_start_matches("properties.");
            return parameter(path, format!("Required parameter '{path}' is missing (null)."));
        }
        Reason::Missing if path == "location" => {
            return ArmError::bad(
                "LocationRequired",
                "The location property is required for this definition.",
            );
        }
        Reason::Missing => {
            format!("Required property '{member}' not found in JSON. Path '{path}', line 1, position {at}.")
        }
    };
    match provider {
        "compute" => {
            let short = Kind::find("Microsoft.Compute", kind).map_or("resource", Kind::short);
            ArmError::bad("BadRequest", message).target(format!("{short}.{path}"))
        }
        "network" => {
            ArmError::bad("InvalidRequestFormat", "Cannot parse the request.").detail("InvalidJson", message)
        }
        _ => ArmError::bad(
            "InvalidRequestContent",
            format!("The request content was invalid and could not be deserialized: '{message}'."),
        ),
    }
}

fn position(call: &Call, member: &str) -> usize {
    let name = member.trim_end_matches(']').split('[').next().unwrap_or(member);
    let needle = format!("\"{name}\"");
    String::from_utf8_lossy(&call.body).find(&needle).map_or(1, |at| at + needle.len() + 1)
}

/// The location's own name, for any way of writing it.
pub(super) fn location(cloud: &Cloud, wanted: &str) -> Option<String> {
    let plain = wanted.replace(' ', "").to_ascii_lowercase();
    let known = cloud.flavour().locations().iter().find(|(name, _)| *name == plain);
    known.map(|(name, _)| (*name).to_owned())
}

/// Refuses what a policy denies.
pub(super) fn policy(state: &State, kind: &str, name: &str, body: &Value) -> Result<(), ArmError> {
    let denies = state.policies.iter().find(|policy| {
        policy.resource_type.eq_ignore_ascii_case(kind)
            && policy.unless_tag.as_ref().is_none_or(|tag| body["tags"].get(tag).is_none())
    });
    let Some(policy) = denies else { return Ok(()) };
    let identifiers = format!(
        "[{{\"policyAssignment\":{{\"name\":\"{0}\",\"id\":\"/providers/Microsoft.Authorization/policyAssignments/{0}\"}},\
         \"policyDefinition\":{{\"name\":\"{0}\",\"id\":\"/providers/Microsoft.Authorization/policyDefinitions/{0}\"}}}}]",
        policy.name
    );
    let message = format!("Resource '{name}' was disallowed by policy. Policy identifiers: '{identifiers}'.");
    Err(ArmError::new(403, "RequestDisallowedByPolicy", message).target(name))
}

/// A long-running operation to begin.
pub(super) struct Begin<'b> {
    pub(super) style: Style,
    pub(super) location: &'b str,
    pub(super) version: &'b str,
    pub(super) deed: Deed,
    pub(super) work: Work,
}

/// Begins it: its end is scheduled, as the weather has it.
pub(super) fn begin(
    cloud: &Cloud,
    state: &mut State,
    effect: Option<&Effect>,
    begin: Begin<'_>,
) -> Operation {
    let now = cloud.clock().now();
    let mut takes = cloud.clock().scaled(begin.work.takes(&mut state.random));
    let fate = match effect {
        Some(Effect::FailLater { code, message }) => Fate::Fails(ArmError::conflict(code, message.clone())),
        Some(Effect::Cancel) => Fate::Cancels,
        Some(Effect::NeverEnds) => Fate::Never,
        Some(Effect::Stretch { factor }) => {
            takes = takes.mul_f64(factor.max(0.0));
            Fate::Good
        }
        _ => Fate::Good,
    };
    let operation = Operation {
        id: state.random.uuid(),
        style: begin.style,
        location: begin.location.to_owned(),
        version: begin.version.to_owned(),
        status: Status::InProgress,
        began: now,
        ended: None,
        deed: begin.deed,
        fate,
    };
    if operation.fate != Fate::Never {
        state.schedule(now + takes, Due::End(operation.id.clone()));
    }
    state.operations.insert(operation.id.clone(), operation.clone());
    operation
}
