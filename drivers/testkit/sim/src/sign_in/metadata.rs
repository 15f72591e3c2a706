//! The metadata service's tokens for a machine's managed identity. A stamp has no such service.

use serde_json::json;

use super::token;
use crate::cloud::Cloud;
use crate::http::{Answer, Call, Outcome};

/// Answers a call to the metadata service.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Outcome {
    Outcome::Answer(answer(cloud, call), std::time::Duration::ZERO)
}

fn refuse(status: u16, error: &str, text: &str) -> Answer {
    Answer::json(status, json!({"error": error, "error_description": text}))
}

fn answer(cloud: &Cloud, call: &Call) -> Answer {
    if cloud.flavour().is_hub() || call.path != "/metadata/identity/oauth2/token" {
        return Answer::empty(404);
    }
    if call.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return refuse(400, "invalid_request", "Required metadata header not specified");
    }
    if call.header("x-forwarded-for").is_some() {
        return refuse(400, "invalid_request", "A request with an X-Forwarded-For header is not answered");
    }
    if call.parameter("api-version").is_none_or(|version| version < "2018-02-01") {
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
    Answer::json(
        200,
        json!({
            "access_token": token, "client_id": cloud.config.account.client, "expires_in": seconds.to_string(),
            "expires_on": (now + seconds.cast_signed()).to_string(), "ext_expires_in": seconds.to_string(),
            "not_before": now.to_string(), "resource": resource, "token_type": "Bearer",
        }),
    )
}
