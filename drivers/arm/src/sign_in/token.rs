//! A token, and what a login endpoint says instead of one.

use std::time::{Duration, Instant};

use serde_json::Value;
use wharf_driver::{Clock, Error, Kind, Result, Secret};

use crate::errors::Fault;
use crate::http::Raw;

/// Proof of who calls.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret<String>,
    pub(crate) until: Instant,
}

const USUAL_LIFE: u64 = 3600;

/// Reads a token endpoint's answer.
pub(super) fn read(raw: &Raw, by: &str, clock: &dyn Clock) -> Result<Token> {
    if !raw.is_success() {
        return Err(refused(raw, by));
    }
    let body = raw.json();
    let Some(secret) = body["access_token"].as_str() else {
        return Err(Error::new(Kind::Failed, "the login endpoint answered without a token"));
    };
    // A number in Entra's answers, digits in a string in others'.
    let number = |name: &str| match &body[name] {
        Value::Number(seconds) => seconds.as_u64(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    let left = |end| {
        let now = clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(end).saturating_sub(now).as_secs()
    };
    // Platforms' token services say only when it ends.
    let life = number("expires_in").or_else(|| number("expires_on").map(left));
    let until = clock.now() + Duration::from_secs(life.unwrap_or(USUAL_LIFE));
    Ok(Token { secret: Secret::new(secret.to_owned()), until })
}

fn refused(raw: &Raw, by: &str) -> Error {
    let fault = Fault::of_answer(&format!("signing in by {by}"), raw.status, &raw.headers, &raw.body);
    let (message, retry_after) = (fault.message.clone(), fault.retry_after);
    let known = HINTS
        .iter()
        .find(|(code, _)| message.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == *code));
    let error = fault.into_error();
    if error.kind().retryable() {
        return error;
    }
    let mut ours = Error::new(Kind::NotAllowed, error.to_string());
    for (name, value) in error.facts() {
        ours = ours.fact(name, value.clone());
    }
    if let Some(wait) = retry_after {
        ours = ours.after(wait);
    }
    ours.hint(known.map_or(USUAL_HINT, |(_, hint)| hint))
}

const USUAL_HINT: &str =
    "check tenant, client id and secret or certificate; `az login` is another way to sign in";

/// What the login endpoints' codes mean for a person.
const HINTS: &[(&str, &str)] = &[
    ("AADSTS7000215", "the secret is wrong: give its value, not its id"),
    ("AADSTS7000222", "the secret has expired: `az ad app credential reset` makes a new one"),
    ("AADSTS700016", "the client id is not known in this tenant: check AZURE_CLIENT_ID and AZURE_TENANT_ID"),
    ("AADSTS90002", "there is no such tenant: check AZURE_TENANT_ID"),
    ("AADSTS900023", "the tenant is neither an id nor a domain: check AZURE_TENANT_ID"),
    ("AADSTS700027", "the certificate is not registered with the application, or has expired"),
    ("AADSTS700024", "this computer's clock is wrong: the assertion is not yet or no longer valid"),
    ("AADSTS700021", "the assertion is of another application or audience"),
    ("AADSTS70021", "the application has no federated credential for this issuer and subject"),
    ("AADSTS700213", "the application has no federated credential for this issuer and subject"),
    ("AADSTS53003", "conditional access forbids it from here"),
    ("AADSTS500011", "the audience is not known in this tenant: is it the stamp's own tenant?"),
    ("MSIS9602", "AD FS does not know the stamp's audience: discover the endpoint again"),
    (
        "MSIS9605",
        "AD FS does not let this client ask for Resource Manager: its operator must register it for that",
    ),
    ("MSIS9607", "AD FS knows no such client: check AZURE_CLIENT_ID"),
    ("MSIS9622", "AD FS does not accept the secret or certificate"),
];
