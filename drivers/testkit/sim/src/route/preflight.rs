//! What is refused of a template's resources before anything is made.

use serde_json::Value;

use super::{Request, apply, resource, version};
use crate::cloud::synthetic_call;
use crate::description::Role;
use crate::error::ArmError;
use crate::resource::Kind;
use crate::template::Planned;

/// Judges the body of a resource that does not depend on what is not there yet.
pub(super) fn check(request: &Request<'_>, planned: &Planned, body: &Value) -> Result<(), ArmError> {
    if planned.is_deployment() {
        // Judged when it is its turn.
        return Ok(());
    }
    let call = synthetic_call("PUT", &planned.id, &planned.version, body);
    let inner = Request { cloud: request.cloud, call: &call, who: request.who.clone(), effect: None };
    let (namespace, kind) = planned.kind.split_once('/').unwrap_or_default();
    match kind.split_once('/') {
        // A part: its whole is judged with it when it is written.
        Some(_) => {
            let version = version::choose(request.cloud, &call, namespace, kind)?;
            let known = namespace.eq_ignore_ascii_case("Microsoft.Network");
            let role = Role::Whole;
            if known {
                apply::check_body("network", kind, &version.version, body, role, &call)
            } else {
                Ok(())
            }
        }
        None => {
            let kind = super::known(namespace, kind).map_err(|error| ArmError { status: 400, ..error })?;
            let version = version::choose(request.cloud, &call, kind.namespace(), kind.name())?;
            let state = request.cloud.state();
            let name = Kind::name(kind);
            resource::judge(&inner, &version, &state, kind, &planned.name, body).map(|_| ()).map_err(
                |error| {
                    if error.target.is_none() {
                        error.target(format!("{name}/{}", planned.name))
                    } else {
                        error
                    }
                },
            )
        }
    }
}

/// Whether Resource Manager says this by itself, not as one of many.
pub(super) fn at_once(error: &ArmError) -> bool {
    const OWN: &[&str] = &[
        "NoRegisteredProviderFound",
        "LocationNotAvailableForResourceType",
        "InvalidResourceType",
        "InvalidResourceNamespace",
        "InvalidApiVersionParameter",
        "AuthorizationFailed",
    ];
    OWN.contains(&error.code.as_str())
}
