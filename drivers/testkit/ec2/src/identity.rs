//! Who has no key of the account and gets one for an hour: by the token of a job, at the portal of single sign-on, as a
//! container, as an instance, or by taking on the role with another key. Each shows what proves it, and is refused in its
//! own service's words without.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::Role;
use crate::proxy::{Answer, Params};

/// For how long what is handed out signs in.
const HOUR: Duration = Duration::from_secs(3600);
/// What an instance shows where it asks about itself.
const METADATA_TOKEN: &str = "of-this-instance";

/// The answer to whoever asks for a key; `None` where something else is asked for.
pub(crate) fn route(
    role: &Role,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    params: &Params,
) -> Option<Response> {
    if (method.as_str(), uri.path()) == ("PUT", "/latest/api/token") {
        let mut answer = text(200, METADATA_TOKEN).into_response();
        answer
            .headers_mut()
            .insert("x-aws-ec2-metadata-token-ttl-seconds", HeaderValue::from(HOUR.as_secs()));
        return Some(answer);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (method.as_str(), uri.path()) {
        ("POST", "/") if params.get("Action")? == "AssumeRoleWithWebIdentity" => {
            Some(by_job(role, params.get("WebIdentityToken").map_or("", String::as_str)))
        }
        ("GET", "/federation/credentials") => Some(by_portal(role, header("x-amz-sso_bearer_token"))),
        ("GET", "/container") => Some(by_container(role, header("authorization"))),
        ("GET", path) => {
            let rest = path.strip_prefix("/latest/meta-data/iam/security-credentials")?;
            Some(by_instance(role, header("x-aws-ec2-metadata-token"), rest.trim_matches('/')))
        }
        _ => None,
    }
    .map(Answer::into_response)
}

/// What `AssumeRole` answers to a call that the account believes.
pub(crate) fn assumed(role: &Role) -> Answer {
    handed_out("AssumeRole", role)
}

fn by_job(role: &Role, token: &str) -> Answer {
    if token == role.proof {
        return handed_out("AssumeRoleWithWebIdentity", role);
    }
    Answer::other_refusal(
        400,
        "InvalidIdentityToken",
        "The web identity token that was passed could not be validated by AWS.",
    )
}

fn by_portal(role: &Role, token: &str) -> Answer {
    if token != role.proof {
        return Answer::json_refusal(401, "UnauthorizedException", "Session token not found or invalid");
    }
    let until = (OffsetDateTime::now_utc() + HOUR).unix_timestamp() * 1000;
    let credentials = json!({"accessKeyId": role.key, "secretAccessKey": role.secret, "sessionToken": role.token, "expiration": until});
    text(200, &json!({ "roleCredentials": credentials }).to_string())
}

fn by_container(role: &Role, token: &str) -> Answer {
    if token == role.proof {
        return text(200, &pair(role).to_string());
    }
    text(403, &json!({"code": "Forbidden", "message": "the authorization token is another one"}).to_string())
}

fn by_instance(role: &Role, token: &str, name: &str) -> Answer {
    match name {
        _ if token != METADATA_TOKEN => text(401, ""),
        "" => text(200, &role.name),
        name if name == role.name => {
            let mut said = pair(role);
            said["Code"] = json!("Success");
            said["Type"] = json!("AWS-HMAC");
            text(200, &said.to_string())
        }
        _ => text(404, ""),
    }
}

/// As containers and instances read it.
fn pair(role: &Role) -> Value {
    json!({"AccessKeyId": role.key, "SecretAccessKey": role.secret, "Token": role.token, "Expiration": until()})
}

fn handed_out(action: &str, role: &Role) -> Answer {
    let Role { name, key, secret, token, .. } = role;
    let until = until();
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser>\
         <Arn>arn:aws:sts::123456789012:assumed-role/{name}/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId>\
         </AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{until}</Expiration></Credentials></{action}Result>\
         </{action}Response>"
    );
    text(200, &body)
}

fn until() -> String {
    (OffsetDateTime::now_utc() + HOUR).format(&Rfc3339).unwrap_or_default()
}

fn text(status: u16, body: &str) -> Answer {
    Answer { status, body: body.to_owned() }
}
