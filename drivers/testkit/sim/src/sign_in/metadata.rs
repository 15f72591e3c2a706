//! The platform's tokens for a managed identity: a machine's metadata service, and the one that app services and the
//! like name in `IDENTITY_ENDPOINT`. A stamp has neither.

use serde_json::json;

use super::token;
use crate::cloud::Cloud;
use crate::http::{Answer, Call, Outcome};

/// What the platform puts into `IDENTITY_HEADER`.
pub const IDENTITY_HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

/// Answers a call to the metadata service.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Outcome {
    Outcome::Answer(answer(cloud, call), std::time::Duration::ZERO)
}

fn refuse(status: u16, error: &str, text: &str) -> Answer {
    Answer::json(status, json!({"error": error, "error_description": text}))
}

fn answer(cloud: &Cloud, call: &Call) -> Answer {
    let of_machine = match call.path.as_str() {
        _ if cloud.flavour().is_hub() => return Answer::empty(404),
        "/metadata/identity/oauth2/token" => true,
        "/msi/token" => false,
        _ => return Answer::empty(404),
    };
    if of_machine && call.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return refuse(400, "invalid_request", "Required metadata header not specified");
    }
    if !of_machine && call.header("x-identity-header") != Some(IDENTITY_HEADER) {
        return refuse(401, "unauthorized", "The X-IDENTITY-HEADER is missing or wrong");
    }
    if call.header("x-forwarded-for").is_some() {
        return refuse(400, "invalid_request", "A request with an X-Forwarded-For header is not answered");
    }
    let oldest = if of_machine { "2018-02-01" } else { "2019-08-01" };
    if call.parameter("api-version").is_none_or(|version| version < oldest) {
        return refuse(400, "invalid_request", "Required query variable 'api-version' is missing or too old");
    }
    let Some(resource) = call.parameter("resource") else {
        return refuse(400, "invalid_request", "Required audience parameter not specified");
    };
    if call.parameter("client_id").is_some_and(|id| !id.eq_ignore_ascii_case(&cloud.config.account.client)) {
        return refuse(400, "invalid_request", "Identity not found");
    }
    let slashless = |text: &str| text.trim_end_matches('/').to_owned();
    if !cloud.names.audiences.iter().any(|audience| slashless(audience) == slashless(resource)) {
        return refuse(
            400,
            "invalid_resource",
            "AADSTS500011: The resource principal was not found in the tenant.",
        );
    }
    let (token, seconds) = token::issue(cloud, resource, &cloud.config.account.tenant, None);
    let now = cloud.clock().today().unix_timestamp();
    if !of_machine {
        let body = json!({
            "access_token": token, "client_id": cloud.config.account.client, "resource": resource,
            "expires_on": (now + seconds.cast_signed()).to_string(), "token_type": "Bearer",
        });
        return Answer::json(200, body);
    }
    Answer::json(
        200,
        json!({
            "access_token": token, "client_id": cloud.config.account.client, "expires_in": seconds.to_string(),
            "expires_on": (now + seconds.cast_signed()).to_string(), "ext_expires_in": seconds.to_string(),
            "not_before": now.to_string(), "resource": resource, "token_type": "Bearer",
        }),
    )
}
