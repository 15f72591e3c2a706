//! AD FS: no tenant in any path, a resource in place of a scope.

use std::collections::BTreeMap;

use serde_json::json;

use super::{assertion, token};
use crate::cloud::Cloud;
use crate::http::{Answer, Call};

/// Answers what is AD FS's.
pub(super) fn route(cloud: &Cloud, call: &Call, parts: &[&str]) -> Option<Answer> {
    match (call.method.as_str(), parts) {
        ("POST", ["adfs", "oauth2", "token"]) => Some(exchange(cloud, &call.form())),
        ("GET", ["adfs", ".well-known", "openid-configuration"]) => Some(configuration(cloud)),
        _ => None,
    }
}

fn configuration(cloud: &Cloud) -> Answer {
    let root = &cloud.names.login;
    Answer::json(
        200,
        json!({
            "issuer": root, "token_endpoint": format!("{root}/oauth2/token"),
            "authorization_endpoint": format!("{root}/oauth2/authorize"), "jwks_uri": format!("{root}/discovery/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
            "response_types_supported": ["code"],
        }),
    )
}

fn refuse(error: &str, text: &str) -> Answer {
    Answer::json(400, json!({"error": error, "error_description": text}))
}

fn exchange(cloud: &Cloud, form: &BTreeMap<String, String>) -> Answer {
    let account = &cloud.config.account;
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if text("grant_type") != "client_credentials" {
        return refuse(
            "unsupported_grant_type",
            "MSIS9611: The authorization server does not support the requested 'grant_type'. The authorization server only supports 'authorization_code', 'refresh_token' or 'client_credentials' as the grant type.",
        );
    }
    if !text("client_id").eq_ignore_ascii_case(&account.client) {
        return refuse(
            "invalid_client",
            "MSIS9607: The 'client_id' parameter in the request is invalid. No registered client is found with this identifier.",
        );
    }
    if let Some(presented) = form.get("client_assertion") {
        let endpoints =
            [format!("{}/oauth2/token", cloud.names.login), format!("{}/oauth2/token/", cloud.names.login)];
        let judged = assertion::judge(cloud, presented, &endpoints);
        if text("client_assertion_type") != assertion::KIND || judged.is_err() {
            let why = judged.err().map(|(_, why)| why).unwrap_or_default();
            return refuse(
                "invalid_client",
                &format!(
                    "MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid. {why}"
                ),
            );
        }
    } else if text("client_secret") != account.secret {
        return refuse(
            "invalid_client",
            "MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid.",
        );
    }
    // A scope is not a resource here. Without one, the token would be for the user's own data, which no application may
    // ask for: it is where clients fail that know Entra only.
    let Some(resource) = form.get("resource") else {
        return refuse(
            "unauthorized_client",
            "MSIS9605: The client is not allowed to access the requested resource.",
        );
    };
    if !cloud.names.audiences.iter().any(|audience| audience == resource) {
        return refuse(
            "invalid_resource",
            "MSIS9602: The received 'resource' parameter is invalid. The authorization server can not find a registered resource with the specified identifier.",
        );
    }
    let (token, seconds) = token::issue(cloud, resource, &account.tenant, None);
    Answer::json(200, json!({"access_token": token, "token_type": "bearer", "expires_in": seconds}))
}
