//! One HTTP request, and what the way there can do to it. Follows no redirect: a token goes only where it was meant to.

use std::error::Error as _;
use std::time::Duration;

pub use reqwest::Method;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use wharf_driver::{Error, Kind, Result};

/// The HTTP client of one connection; see [`crate::Trust`].
#[derive(Debug, Clone)]
pub struct Http {
    pub(crate) client: reqwest::Client,
}

/// No single answer takes longer; what takes longer is an operation, and those are polled.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Raw {
    /// The body as JSON; what is none is null.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Sends `request` once.
pub(crate) async fn send(doing: &str, request: RequestBuilder) -> Result<Raw> {
    let answer = request.send().await.map_err(|error| lost(doing, error))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.map_err(|error| lost(doing, error))?;
    Ok(Raw { status, headers, body })
}

/// Why no answer came.
fn lost(doing: &str, error: reqwest::Error) -> Error {
    let host = error.url().and_then(Url::host_str).unwrap_or("the service").to_owned();
    // Its own text repeats the address; what happened stands in its causes.
    let error = error.without_url();
    let why = deepest(&error);
    if let Some(refused) = certificate(&error) {
        let message = format!("{doing}: the certificate of {host} is not trusted: {refused}");
        let hint = "name the file of the authority that signed it with --azure-ca, or AZURE_CA";
        return Error::new(Kind::Refused, message).hint(hint).caused_by(error);
    }
    if error.is_connect() {
        let hint = "check the endpoint, the network, and whether a proxy is needed (HTTPS_PROXY)";
        return Error::new(Kind::Unreachable, format!("{doing}: {host} cannot be reached: {why}"))
            .hint(hint)
            .caused_by(error);
    }
    let message = if error.is_timeout() {
        format!("{doing}: {host} did not answer within {} s", PATIENCE.as_secs())
    } else {
        format!("{doing}: the connection to {host} was cut: {why}")
    };
    Error::new(Kind::Transient, message).caused_by(error)
}

fn deepest(error: &reqwest::Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        last = cause.to_string();
        next = cause.source();
    }
    last
}

/// What TLS has against the other side's certificate.
fn certificate(error: &reqwest::Error) -> Option<String> {
    let mut next = error.source();
    while let Some(cause) = next {
        let tls = inside(cause).downcast_ref();
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            return Some(match why {
                rustls::CertificateError::UnknownIssuer => "nobody known here signed it".to_owned(),
                other => other.to_string(),
            });
        }
        next = cause.source();
    }
    None
}

/// What travels inside I/O errors, which do not call it their source.
fn inside<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => inside(inner),
        None => error,
    }
}

/// `text` as an address that may be given a token: HTTPS, or this computer itself.
pub(crate) fn safe_url(text: &str) -> Result<Url> {
    let url: Url = text.parse().map_err(|error| {
        Error::new(Kind::Refused, format!("`{text}` is no address: {error}"))
            .hint("an endpoint looks like https://management.local.azurestack.external")
    })?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() == "https" || (url.scheme() == "http" && local) {
        return Ok(url);
    }
    Err(Error::new(Kind::Refused, format!("`{text}` is not HTTPS, and secrets go nowhere else"))
        .hint("an endpoint looks like https://management.local.azurestack.external"))
}
