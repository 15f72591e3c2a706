//! Who calls: a call is signed by Signature Version 4 with a key that the account knows, its secret, and a session token
//! that has not expired; whatever is not is refused as the service that was called does.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest as _, Sha256};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::config::Config;
use crate::proxy::Answer;

/// How old a call may be, or how far ahead of its time.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A call as far as its signature goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What became of the account's key since it was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It signs in.
    #[default]
    Valid,
    /// Nobody knows it any more.
    Deleted,
    /// Another secret belongs to it.
    SecretChanged,
    /// What was handed out with it has expired.
    Expired,
}

/// Why nobody believes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    Unsigned,
    UnknownKey,
    WrongSignature,
    ExpiredToken,
    OutOfTime,
}

/// What the header `authorization` says.
#[derive(Debug)]
pub(crate) struct Signature<'a> {
    key: &'a str,
    /// Day, region, service and `aws4_request`.
    scope: &'a str,
    pub(crate) service: &'a str,
    headers: &'a str,
    digest: &'a str,
}

impl<'a> Signature<'a> {
    /// Reads it; `None` where the call is not signed so.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let text = headers.get("authorization")?.to_str().ok()?.strip_prefix(ALGORITHM)?;
        let part = |name: &str| text.split(',').find_map(|part| part.trim().strip_prefix(name));
        let (key, scope) = part("Credential=")?.split_once('/')?;
        let service = scope.split('/').nth(2)?;
        Some(Self { key, scope, service, headers: part("SignedHeaders=")?, digest: part("Signature=")? })
    }

    /// Whether the account believes it.
    pub(crate) fn check(&self, call: Call<'_>, config: &Config, standing: Standing) -> Result<(), Doubt> {
        let text = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
        // A key that lasts has no token, and one that does not has its own.
        let (secret, session) = match self.key {
            key if key == config.key => (&config.secret, None),
            key if key == config.role.key => (&config.role.secret, Some(config.role.token.as_str())),
            _ => return Err(Doubt::UnknownKey),
        };
        if standing == Standing::Deleted {
            return Err(Doubt::UnknownKey);
        }
        let date = text("x-amz-date").ok_or(Doubt::Unsigned)?;
        let digest = hex::decode(self.digest).map_err(|_| Doubt::WrongSignature)?;
        // Another secret: what was signed with the one that was handed out fits no more.
        let secret = match standing {
            Standing::SecretChanged => format!("{secret} no more"),
            _ => secret.clone(),
        };
        let wanted = self.wanted(call, date, &secret);
        if !covers(self.headers, call.headers)
            || !date.starts_with(self.scope.split('/').next().unwrap_or_default())
            || wanted.verify_slice(&digest).is_err()
        {
            return Err(Doubt::WrongSignature);
        }
        match (standing, text("x-amz-security-token")) {
            (Standing::Expired, _) => return Err(Doubt::ExpiredToken),
            (_, Some(token)) if token == config.expired_token => return Err(Doubt::ExpiredToken),
            (_, shown) if shown != session => return Err(Doubt::UnknownKey),
            _ => {}
        }
        if is_in_time(date, SystemTime::now() + config.ahead) { Ok(()) } else { Err(Doubt::OutOfTime) }
    }

    fn wanted(&self, call: Call<'_>, date: &str, secret: &str) -> Hmac<Sha256> {
        let request = hex::encode(Sha256::digest(canonical(call, self.headers)));
        let key = signing_key(format!("AWS4{secret}").into_bytes(), self.scope);
        keyed(&key, format!("{ALGORITHM}\n{date}\n{}\n{request}", self.scope).as_bytes())
    }
}

/// The key of one day, region and service.
fn signing_key(start: Vec<u8>, scope: &str) -> Vec<u8> {
    scope.split('/').fold(start, |key, part| keyed(&key, part.as_bytes()).finalize().into_bytes().to_vec())
}

#[expect(clippy::expect_used, reason = "a key of any length will do")]
fn keyed(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(text);
    mac
}

/// The call in the one form that both sides digest.
fn canonical(call: Call<'_>, signed: &str) -> String {
    let mut query: Vec<&str> = call.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let mut text = format!("{}\n{}\n{}\n", call.method, call.uri.path(), query.join("&"));
    for name in signed.split(';') {
        let values = call.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let values: Vec<String> =
            values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:{}", values.join(","));
    }
    let _ = write!(text, "\n{signed}\n{}", hex::encode(Sha256::digest(call.body)));
    text
}

/// Whether what must be signed is: the host, and everything of Amazon's.
fn covers(signed: &str, headers: &HeaderMap) -> bool {
    let is_signed = |name: &str| signed.split(';').any(|one| one == name);
    // Who calls by which program is not signed: what is in between may change it.
    let must = |name: &&str| name.starts_with("x-amz-") && *name != "x-amz-user-agent";
    is_signed("host") && headers.keys().map(http::HeaderName::as_str).filter(must).all(is_signed)
}

fn is_in_time(date: &str, now: SystemTime) -> bool {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(date, form)
        .is_ok_and(|date| (date.assume_utc() - OffsetDateTime::from(now)).unsigned_abs() <= PATIENCE)
}

impl Doubt {
    /// What `service` says to it.
    pub(crate) fn refusal(self, service: &str) -> Answer {
        const INVALID: &str = "The security token included in the request is invalid.";
        const EXPIRED: &str = "The security token included in the request is expired";
        const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.";
        const LATE: &str =
            "Signature expired: the time of the request is too far from the time of the server";
        let (status, code, message) = match (service, self) {
            ("ec2", Self::ExpiredToken | Self::OutOfTime) => (400, "RequestExpired", "Request has expired."),
            ("ec2", _) => {
                (401, "AuthFailure", "AWS was not able to validate the provided access credentials")
            }
            (_, Self::Unsigned) => {
                (403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            }
            ("ssm", Self::UnknownKey) => (400, "UnrecognizedClientException", INVALID),
            ("ssm", Self::WrongSignature) => (400, "InvalidSignatureException", MISMATCH),
            ("ssm", Self::OutOfTime) => (400, "InvalidSignatureException", LATE),
            ("ssm", Self::ExpiredToken) => (400, "ExpiredTokenException", EXPIRED),
            (_, Self::UnknownKey) => (403, "InvalidClientTokenId", INVALID),
            (_, Self::WrongSignature) => (403, "SignatureDoesNotMatch", MISMATCH),
            (_, Self::OutOfTime) => (403, "SignatureDoesNotMatch", LATE),
            (_, Self::ExpiredToken) => (403, "ExpiredToken", EXPIRED),
        };
        Answer::refusal_of(service, status, code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a call that `change` altered after it was signed with `secret` at `date`.
    fn checked(
        secret: &str,
        date: &str,
        change: impl FnOnce(&mut HeaderMap, &mut String),
    ) -> Result<(), Doubt> {
        let (method, uri, config) = (Method::POST, Uri::from_static("/"), Config::default());
        let mut headers = HeaderMap::new();
        let mut body = "Action=DescribeInstances".to_owned();
        headers.insert("host", "127.0.0.1:1".parse().unwrap());
        headers.insert("x-amz-date", date.parse().unwrap());
        let scope = format!("{}/us-east-1/ec2/aws4_request", date.split('T').next().unwrap());
        let header = |digest: &str| {
            let key = &config.key;
            format!("{ALGORITHM} Credential={key}/{scope}, SignedHeaders=host;x-amz-date, Signature={digest}")
        };
        headers.insert("authorization", header("").parse().unwrap());
        let call = Call { method: &method, uri: &uri, headers: &headers, body: body.as_bytes() };
        let digest = Signature::of(&headers).unwrap().wanted(call, date, secret).finalize().into_bytes();
        headers.insert("authorization", header(&hex::encode(digest)).parse().unwrap());
        change(&mut headers, &mut body);
        let call = Call { method: &method, uri: &uri, headers: &headers, body: body.as_bytes() };
        Signature::of(&headers).unwrap().check(call, &config, Standing::Valid)
    }

    fn now() -> String {
        let form = format_description!("[year][month][day]T[hour][minute][second]Z");
        OffsetDateTime::now_utc().format(form).unwrap()
    }

    #[test]
    fn what_was_signed_and_nothing_else_is_believed() {
        let secret = Config::default().secret;
        assert_eq!(checked(&secret, &now(), |_, _| {}), Ok(()));
        assert_eq!(checked("another", &now(), |_, _| {}), Err(Doubt::WrongSignature));
        let body = checked(&secret, &now(), |_, body| body.push_str("&MaxResults=5"));
        assert_eq!(body, Err(Doubt::WrongSignature));
        let host = checked(&secret, &now(), |headers, _| {
            headers.insert("host", "127.0.0.1:2".parse().unwrap());
        });
        assert_eq!(host, Err(Doubt::WrongSignature));
        let added = checked(&secret, &now(), |headers, _| {
            headers.insert("x-amz-target", "AmazonSSM.GetParameter".parse().unwrap());
        });
        assert_eq!(added, Err(Doubt::WrongSignature), "what is Amazon's must be signed");
        assert_eq!(checked(&secret, "20200101T000000Z", |_, _| {}), Err(Doubt::OutOfTime));
    }

    #[test]
    fn the_signing_key_is_the_one_that_amazon_publishes() {
        // The example in "Signature Version 4" of the IAM user guide.
        let start = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        let key = signing_key(start, "20120215/us-east-1/iam/aws4_request");
        assert_eq!(hex::encode(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }
}
