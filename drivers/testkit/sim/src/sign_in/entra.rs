//! Entra: a tenant in every path, scopes at `v2.0` and resources before it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{OTHER_TENANT, assertion, token};
use crate::cloud::Cloud;
use crate::http::{Answer, Call};

type Form = BTreeMap<String, String>;

/// Answers what is Entra's.
pub(super) fn route(cloud: &Cloud, call: &Call, parts: &[&str]) -> Option<Answer> {
    let answer = match (call.method.as_str(), parts) {
        ("GET", ["common", "discovery", "instance"]) => instance(cloud),
        (
            "GET",
            [tenant, "v2.0", ".well-known", "openid-configuration"]
            | [tenant, ".well-known", "openid-configuration"],
        ) => configuration(cloud, tenant),
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => exchange(cloud, tenant, &call.form(), true),
        ("POST", [tenant, "oauth2", "token"]) => exchange(cloud, tenant, &call.form(), false),
        ("POST", [tenant, "oauth2", "v2.0", "devicecode"]) => device_code(cloud, tenant, &call.form()),
        _ => return None,
    };
    Some(answer)
}

fn host(cloud: &Cloud) -> String {
    cloud.names.login_root().trim_start_matches("https://").to_owned()
}

fn instance(cloud: &Cloud) -> Answer {
    let (root, host) = (cloud.names.login_root(), host(cloud));
    Answer::json(
        200,
        json!({
            "tenant_discovery_endpoint": format!("{root}/common/v2.0/.well-known/openid-configuration"),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }),
    )
}

fn configuration(cloud: &Cloud, tenant: &str) -> Answer {
    if let Err(answer) = known(cloud, tenant) {
        return answer;
    }
    let root = format!("{}/{tenant}", cloud.names.login_root());
    Answer::json(
        200,
        json!({
            "token_endpoint": format!("{root}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
            "issuer": format!("{root}/v2.0"),
            "jwks_uri": format!("{root}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
        }),
    )
}

/// An error in Entra's form.
fn refuse(cloud: &Cloud, status: u16, error: &str, number: u32, text: &str) -> Answer {
    let (trace, correlation) = {
        let mut state = cloud.state();
        (state.random.uuid(), state.random.uuid())
    };
    let stamp = cloud
        .clock()
        .today()
        .format(&time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z"));
    let stamp = stamp.unwrap_or_default();
    let description =
        format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}");
    Answer::json(
        status,
        json!({
            "error": error, "error_description": description, "error_codes": [number], "timestamp": stamp,
            "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("{}/error?code={number}", cloud.names.login_root()),
        }),
    )
}

fn known(cloud: &Cloud, tenant: &str) -> Result<String, Answer> {
    let ours = &cloud.config.account.tenant;
    match tenant {
        "common" | "organizations" => Ok(ours.clone()),
        tenant if tenant == ours || tenant == OTHER_TENANT => Ok(tenant.to_owned()),
        _ => Err(refuse(
            cloud,
            400,
            "invalid_request",
            90002,
            &format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
            ),
        )),
    }
}

/// The resource that is asked for: a scope less `/.default`, or the resource itself.
fn audience(cloud: &Cloud, form: &Form, v2: bool, application: bool) -> Result<String, Answer> {
    let asked = if !v2 {
        form.get("resource").cloned().unwrap_or_default()
    } else {
        let scopes = form.get("scope").cloned().unwrap_or_default();
        let mut scopes =
            scopes.split_whitespace().filter(|s| !["openid", "profile", "offline_access"].contains(s));
        let scope = scopes.next().unwrap_or_default();
        let resource = scope.strip_suffix("/.default").or_else(|| scope.strip_suffix("/user_impersonation"));
        match resource {
            // `https://management.azure.com//.default` is how an audience with a slash at its end is asked for.
            Some(resource) if !application || scope.ends_with("/.default") => resource.to_owned(),
            _ => {
                return Err(refuse(
                    cloud,
                    400,
                    "invalid_scope",
                    1_002_012,
                    &format!(
                        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
                    ),
                ));
            }
        }
    };
    let slashless = |text: &str| text.trim_end_matches('/').to_owned();
    let known = cloud.names.audiences.iter().any(|a| slashless(a) == slashless(&asked));
    if known || asked.starts_with("https://graph.") {
        return Ok(asked);
    }
    Err(refuse(
        cloud,
        400,
        "invalid_resource",
        500_011,
        &format!(
            "The resource principal named {asked} was not found in the tenant named Simulated. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."
        ),
    ))
}

fn exchange(cloud: &Cloud, tenant: &str, form: &Form, v2: bool) -> Answer {
    let tenant = match known(cloud, tenant) {
        Ok(tenant) => tenant,
        Err(answer) => return answer,
    };
    let judged = match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => application(cloud, &tenant, form)
            .and_then(|()| audience(cloud, form, v2, true))
            .map(|a| (a, None)),
        Some("urn:ietf:params:oauth:grant-type:device_code" | "device_code") => {
            // What is wanted was said when the code was asked for.
            match approved(cloud, form) {
                Ok(asked) => return exchange_code(cloud, &tenant, &asked, v2),
                Err(answer) => Err(answer),
            }
        }
        Some("refresh_token") => {
            refreshed(cloud, form).and_then(|()| audience(cloud, form, v2, false)).map(|a| (a, Some(())))
        }
        other => Err(refuse(
            cloud,
            400,
            "unsupported_grant_type",
            70003,
            &format!("The app requested an unsupported grant type '{}'.", other.unwrap_or_default()),
        )),
    };
    match judged {
        Ok((audience, user)) => give(cloud, &audience, &tenant, user.is_some(), form),
        Err(answer) => answer,
    }
}

fn exchange_code(cloud: &Cloud, tenant: &str, asked: &Form, v2: bool) -> Answer {
    match audience(cloud, asked, v2, false) {
        Ok(audience) => give(cloud, &audience, tenant, true, asked),
        Err(answer) => answer,
    }
}

fn give(cloud: &Cloud, audience: &str, tenant: &str, user: bool, form: &Form) -> Answer {
    let name = user.then_some(cloud.config.account.user.as_str());
    let (token, seconds) = token::issue(cloud, audience, tenant, name);
    let mut body = json!({
        "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
    });
    let scope = form.get("scope").map(String::as_str).unwrap_or_default();
    if user {
        body["scope"] = json!(format!("{audience}/user_impersonation"));
        if scope.contains("offline_access") {
            body["refresh_token"] = json!(cloud.signer.sign(&json!({"refresh": true, "tid": tenant})));
        }
    }
    Answer::json(200, body)
}

/// Whether an application proves that it is the one.
fn application(cloud: &Cloud, tenant: &str, form: &Form) -> Result<(), Answer> {
    let account = &cloud.config.account;
    let client = form.get("client_id").map(String::as_str).unwrap_or_default();
    if !client.eq_ignore_ascii_case(&account.client) {
        return Err(refuse(
            cloud,
            400,
            "unauthorized_client",
            700_016,
            &format!(
                "Application with identifier '{client}' was not found in the directory 'Simulated'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
        ));
    }
    if let Some(presented) = form.get("client_assertion") {
        if form.get("client_assertion_type").map(String::as_str) != Some(assertion::KIND) {
            return Err(refuse(
                cloud,
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_assertion_type'.",
            ));
        }
        let root = cloud.names.login_root();
        let endpoints =
            ["oauth2/v2.0/token", "oauth2/token", "v2.0"].map(|end| format!("{root}/{tenant}/{end}"));
        let judged = assertion::judge(cloud, presented, &endpoints);
        return judged.map_err(|(number, text)| refuse(cloud, 401, "invalid_client", number, &text));
    }
    match form.get("client_secret") {
        Some(secret) if *secret == account.secret => Ok(()),
        Some(secret) if *secret == account.expired_secret => Err(refuse(
            cloud,
            401,
            "invalid_client",
            7_000_222,
            &format!(
                "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
            ),
        )),
        Some(_) => Err(refuse(
            cloud,
            401,
            "invalid_client",
            7_000_215,
            &format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."
            ),
        )),
        None => Err(refuse(
            cloud,
            401,
            "invalid_client",
            7_000_216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        )),
    }
}

fn device_code(cloud: &Cloud, tenant: &str, form: &Form) -> Answer {
    if let Err(answer) = known(cloud, tenant) {
        return answer;
    }
    if let Err(answer) = audience(cloud, form, true, false) {
        return answer;
    }
    let root = cloud.names.login_root();
    let mut state = cloud.state();
    let code = state.random.uuid();
    let user: String =
        code.chars().filter(char::is_ascii_alphanumeric).take(9).collect::<String>().to_ascii_uppercase();
    state.device_codes.insert(code.clone(), (form.clone(), false));
    Answer::json(
        200,
        json!({
            "user_code": user, "device_code": code, "verification_uri": format!("{root}/device"), "expires_in": 900, "interval": 1,
            "message": format!("To sign in, use a web browser to open the page {root}/device and enter the code {user} to authenticate."),
        }),
    )
}

/// How the code was asked for, once somebody typed it in.
fn approved(cloud: &Cloud, form: &Form) -> Result<Form, Answer> {
    let code = form.get("device_code").or_else(|| form.get("code")).cloned().unwrap_or_default();
    let asked = cloud.state().device_codes.get(&code).cloned();
    match asked {
        Some((asked, true)) => Ok(asked),
        Some((_, false)) => Err(refuse(
            cloud,
            400,
            "authorization_pending",
            70016,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        )),
        None => Err(refuse(
            cloud,
            400,
            "bad_verification_code",
            70020,
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
        )),
    }
}

fn refreshed(cloud: &Cloud, form: &Form) -> Result<(), Answer> {
    let token = form.get("refresh_token").map(String::as_str).unwrap_or_default();
    let claims: Option<Value> = token::claims(token).filter(|claims| cloud.signer.sign(claims) == token);
    if claims.is_some_and(|claims| claims["refresh"] == true) {
        return Ok(());
    }
    Err(refuse(cloud, 400, "invalid_grant", 9_002_313, "Invalid request. Request is malformed or invalid."))
}
