//! What registries refuse, and how it fails to reach them.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use crate::store::Digest;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No answer at all. The request is `Get "https://host/v2/…"`, as Go prints it.
    #[error("{request}: {}", causes(.source))]
    Unreachable { request: String, source: reqwest::Error },
    /// An answer that says no.
    #[error("{}: {}", .refusal.code.to_lowercase().replace('_', " "), .refusal.message)]
    Refused { refusal: Refusal },
    /// The registry wants to know who asks, and nobody told us.
    #[error("{request}: no basic auth credentials")]
    NoCredentials { request: String },
    #[error("{request}: invalid answer: {why}")]
    Nonsense { request: String, why: String },
    #[error("{request}: interrupted at byte {at} of {of}")]
    Interrupted { request: String, at: u64, of: u64 },
    #[error("no matching manifest for {platform} in the manifest list entries")]
    NoPlatform { platform: String },
    #[error("unsupported media type {0}")]
    MediaType(String),
    #[error("manifest verification failed for digest {0}")]
    WrongManifest(Digest),
    #[error("cannot read {}", .path.display())]
    Certificates { path: PathBuf, source: io::Error },
    #[error("{} holds no usable certificate: {why}", .path.display())]
    BadCertificates { path: PathBuf, why: String },
    #[error("TLS settings: {0}")]
    Tls(#[from] rustls::Error),
    #[error("invalid registry address {0:?}")]
    Address(String),
    #[error("HTTP client")]
    Client(#[source] reqwest::Error),
}

/// A registry's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Such as `MANIFEST_UNKNOWN`.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Error {
    /// Whether the same request may well succeed soon.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Refused { refusal } => refusal.status >= 500 || refusal.status == 429,
            _ => false,
        }
    }

    /// Whether the registry answered that there is no such thing (or none for us): another registry's failure to
    /// answer says less.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { refusal } if matches!(refusal.status, 401 | 403 | 404))
    }

    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        Self::Refused { refusal: Refusal::read(status, body) }
    }
}

impl Refusal {
    pub(crate) const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";
    pub(crate) const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
    pub(crate) const DENIED: &str = "DENIED";
    pub(crate) const UNAUTHORIZED: &str = "UNAUTHORIZED";

    /// The text that the distribution project gives to a denial, whatever the registry's own.
    pub(crate) fn denied() -> Self {
        let message = "requested access to the resource is denied".to_owned();
        Self { status: 403, code: Self::DENIED.to_owned(), message }
    }

    fn read(status: u16, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            errors: Vec<One>,
            /// How token servers say it.
            details: String,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let Body { errors, details } = serde_json::from_slice(body).unwrap_or_default();
        let first = errors.into_iter().next();
        if let Some(One { code, message }) = first.filter(|one| !one.code.is_empty()) {
            let message = if message.is_empty() { code.to_lowercase().replace('_', " ") } else { message };
            return Self { status, code, message };
        }
        let (code, message) = match status {
            401 if !details.is_empty() => (Self::UNAUTHORIZED, details),
            401 => (Self::UNAUTHORIZED, "authentication required".to_owned()),
            403 => return Self::denied(),
            404 => (Self::MANIFEST_UNKNOWN, "manifest unknown".to_owned()),
            429 => ("TOOMANYREQUESTS", "too many requests".to_owned()),
            status => ("UNKNOWN", format!("received unexpected HTTP status: {status}")),
        };
        Self { status, code: code.to_owned(), message }
    }
}

/// reqwest keeps the reason in its causes.
fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    if error.is_timeout() { format!("timed out: {innermost}") } else { innermost.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_error_and_falls_back_on_the_status() {
        let body =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(Error::refused(404, body).to_string(), "manifest unknown: manifest unknown");
        assert_eq!(
            Error::refused(403, b"<html>").to_string(),
            "denied: requested access to the resource is denied"
        );
        assert_eq!(
            Error::refused(401, br#"{"details":"incorrect username or password"}"#).to_string(),
            "unauthorized: incorrect username or password"
        );
        assert_eq!(Error::refused(502, b"").to_string(), "unknown: received unexpected HTTP status: 502");
        assert!(Error::refused(502, b"").is_transient() && !Error::refused(404, b"").is_transient());
    }
}
