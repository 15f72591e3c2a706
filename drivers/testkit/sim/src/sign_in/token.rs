//! Access tokens: made here, and judged here.

use std::fmt;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cloud::Cloud;
use crate::config::Config;
use crate::error::ArmError;
use crate::http::Call;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) client: String,
    pub(crate) object: String,
    pub(crate) tenant: String,
}

/// What signs tokens: access tokens for clients, and those of the CI system that federation trusts.
pub(crate) struct Signer {
    secret: [u8; 32],
    ci: EcdsaKeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Who issues the CI system's tokens.
pub(crate) const CI_ISSUER: &str = "https://token.ci.example";
/// What they must be for.
pub(crate) const CI_AUDIENCE: &str = "api://AzureADTokenExchange";

impl Signer {
    /// Fresh keys.
    pub(crate) fn new(_: &Config) -> io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(|_| io::Error::other("no key"))?;
        let ci = EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random)
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { secret, ci })
    }

    fn mac(&self, text: &str) -> Vec<u8> {
        // A key of any length is taken.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret) else { return Vec::new() };
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let front = front(&json!({"typ": "JWT", "alg": "HS256", "kid": "simulated"}), claims);
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&front));
        format!("{front}.{signature}")
    }

    fn open(&self, token: &str) -> Option<Value> {
        let (front, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if self.mac(front) != signature {
            return None;
        }
        claims(token)
    }

    /// A token of the CI system.
    pub(crate) fn ci_token(&self, claims: &Value) -> String {
        let front = front(&json!({"typ": "JWT", "alg": "ES256", "kid": "ci"}), claims);
        let signature = self.ci.sign(&SystemRandom::new(), front.as_bytes());
        let signature = signature.map(|s| URL_SAFE_NO_PAD.encode(s.as_ref())).unwrap_or_default();
        format!("{front}.{signature}")
    }

    /// The key that the CI system's tokens are verified with.
    pub(crate) fn ci_key(&self) -> &[u8] {
        self.ci.public_key().as_ref()
    }
}

fn front(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// The claims of a token, whoever signed it.
pub(super) fn claims(token: &str) -> Option<Value> {
    let middle = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?).ok()
}

/// A token for `audience`, and for how many seconds it is valid.
pub(super) fn issue(cloud: &Cloud, audience: &str, tenant: &str, user: Option<&str>) -> (String, u64) {
    let account = &cloud.config.account;
    let now = cloud.clock().today().unix_timestamp();
    let lifetime = account.token_lifetime.as_secs();
    let mut claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{tenant}/"), "iat": now, "nbf": now,
        "exp": now + lifetime.cast_signed(), "appid": account.client, "oid": account.object, "tid": tenant,
        "ver": "1.0", "uti": cloud.state().random.uuid(),
    });
    if let Some(user) = user {
        claims["upn"] = json!(user);
    }
    (cloud.signer.sign(&claims), lifetime)
}

/// What a token must be to be listened to.
pub(crate) fn authenticate(cloud: &Cloud, call: &Call) -> Result<Principal, ArmError> {
    let root = format!("{}/{}", cloud.names.login_root(), cloud.config.account.tenant);
    let refuse = |code: &str, message: String| {
        let header = format!(
            "Bearer authorization_uri=\"{root}\", error=\"invalid_token\", error_description=\"{message}\""
        );
        Err(ArmError::new(401, code, message).header("www-authenticate", header))
    };
    let Some(header) = call.header("authorization") else {
        return refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.".to_owned(),
        );
    };
    let Some(token) =
        header.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer")).map(|(_, t)| t)
    else {
        return refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.".to_owned(),
        );
    };
    let Some(claims) = cloud.signer.open(token.trim()) else {
        return refuse("InvalidAuthenticationToken", "The access token is invalid.".to_owned());
    };
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let now = cloud.clock().today().unix_timestamp();
    let expiry = claims["exp"].as_i64().unwrap_or_default();
    if expiry <= now {
        let stamp = |seconds: i64| {
            time::OffsetDateTime::from_unix_timestamp(seconds).map(|t| t.to_string()).unwrap_or_default()
        };
        let message = format!(
            "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
            stamp(expiry),
            stamp(now)
        );
        return refuse("ExpiredAuthenticationToken", message);
    }
    let audience = text("aud");
    if !cloud.names.audiences.contains(&audience) {
        let allowed: Vec<_> = cloud.names.audiences.iter().map(|a| format!("'{a}'")).collect();
        let message = format!(
            "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the allowed audiences {}.",
            allowed.join(",")
        );
        return refuse("InvalidAuthenticationTokenAudience", message);
    }
    Ok(Principal { client: text("appid"), object: text("oid"), tenant: text("tid") })
}

/// The claims of a CI job's token for `subject`, valid for ten minutes.
pub(crate) fn ci_claims(cloud: &Cloud, subject: &str, audience: &str, valid: Duration) -> Value {
    let now = cloud.clock().today().unix_timestamp();
    let until = now + valid.as_secs().cast_signed();
    json!({"iss": CI_ISSUER, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": until, "jti": cloud.state().random.uuid()})
}
