//! The few calls of the engine's API that the CLI and the bootstrap need, over mutual TLS.
//!
//! A [`Client`] holds where the engine is and with what to sign in; every call opens a connection of its own and
//! makes one attempt. Deadlines are the caller's: dropping a call's future closes its connection.
//!
//! The server is verified by our authority *and* by the machine's identity in its certificate, so that a machine that
//! came back under another address is still known, and another machine under the old address is not.
#![forbid(unsafe_code)]

mod connect;
mod error;
mod tls;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use wharfd_api_types::{ErrorMessage, EventMessage, SystemInfo, SystemVersion};

pub use error::{Error, Result};
pub use tls::Credentials;

/// Where an engine is, and how to sign in.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
}

#[derive(Debug, Clone)]
enum Endpoint {
    Unix(PathBuf),
    Tcp { host: String, port: u16, tls: Arc<tls::Connector> },
    Through { name: String, dial: Dial, tls: Arc<tls::Connector> },
}

/// Opens the way to an engine that no socket of ours reaches, such as a tunnel over SSH. One call, one connection.
#[derive(Clone)]
pub struct Dial(Arc<dyn Fn() -> Dialled + Send + Sync>);

/// A connection in the making.
pub type Dialled = BoxFuture<'static, io::Result<Box<dyn Duplex>>>;

impl Dial {
    /// Dials with `open`.
    pub fn new(
        open: impl Fn() -> BoxFuture<'static, io::Result<Box<dyn Duplex>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

/// A connection, whatever it goes through.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// The newest API version that the engine speaks.
    pub api_version: String,
    /// What the engine calls itself.
    pub server: String,
}

impl Client {
    /// An engine behind mutual TLS.
    ///
    /// # Errors
    /// When the certificates cannot be read or do not fit each other. Nothing is connected yet.
    pub fn tcp(host: &str, port: u16, credentials: &Credentials) -> Result<Self> {
        let tls = Arc::new(tls::Connector::new(credentials)?);
        Ok(Self { endpoint: Endpoint::Tcp { host: host.to_owned(), port, tls } })
    }

    /// An engine behind mutual TLS, reached through `dial`. `name` is what its certificate is checked against when
    /// the credentials name no machine.
    ///
    /// # Errors
    /// As [`Client::tcp`].
    pub fn through(dial: Dial, name: &str, credentials: &Credentials) -> Result<Self> {
        let tls = Arc::new(tls::Connector::new(credentials)?);
        Ok(Self { endpoint: Endpoint::Through { name: name.to_owned(), dial, tls } })
    }

    /// An engine on this machine.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { endpoint: Endpoint::Unix(path.into()) }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ping(&self) -> Result<Pong> {
        let response = self.send(Method::GET, "/_ping").await?;
        let header = |name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
        };
        Ok(Pong { api_version: header("api-version"), server: header("server") })
    }

    /// The certificate that the engine shows, in DER, after it was verified. `None` over a unix socket.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn server_certificate(&self) -> Result<Option<Vec<u8>>> {
        match &self.endpoint {
            Endpoint::Unix(_) => Ok(None),
            Endpoint::Tcp { host, port, tls } => {
                connect::tcp(host, *port, tls).await.map(|s| connect::shown(&s))
            }
            Endpoint::Through { name, dial, tls } => {
                connect::through(dial, name, tls).await.map(|s| connect::shown(&s))
            }
        }
    }

    /// What it is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn version(&self) -> Result<SystemVersion> {
        self.get("/version").await
    }

    /// What it is, has and can do.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn info(&self) -> Result<SystemInfo> {
        self.get("/info").await
    }

    /// Any other document, by its path, version prefix and query included where wanted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.send(Method::GET, path).await?;
        let body = response.into_body().collect().await.map_err(Error::Broken)?.to_bytes();
        serde_json::from_slice(&body).map_err(|source| Error::Unexpected { path: path.to_owned(), source })
    }

    /// What happens from now on. `filters` is the parameter's JSON, such as `{"type":["container"]}`, or empty.
    ///
    /// # Errors
    /// See [`Error`]; the stream's own errors end it.
    pub async fn events(
        &self,
        filters: &str,
    ) -> Result<impl Stream<Item = Result<EventMessage>> + Send + use<>> {
        let path = if filters.is_empty() {
            "/events".to_owned()
        } else {
            format!("/events?filters={}", encode(filters))
        };
        let body = self.send(Method::GET, &path).await?.into_body();
        Ok(futures_util::stream::try_unfold((body, Vec::new()), next_event))
    }

    async fn send(&self, method: Method, path: &str) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, self.authority())
            .body(Empty::<Bytes>::new())
            .map_err(|_| Error::Path(path.to_owned()))?;
        let response = match &self.endpoint {
            Endpoint::Unix(socket) => connect::unix(socket, request).await?,
            Endpoint::Tcp { host, port, tls } => {
                connect::exchange(connect::tcp(host, *port, tls).await?, request).await?
            }
            Endpoint::Through { name, dial, tls } => {
                connect::exchange(connect::through(dial, name, tls).await?, request).await?
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(Error::Broken)?.to_bytes();
        Err(refusal(status, &body))
    }

    fn authority(&self) -> String {
        match &self.endpoint {
            Endpoint::Unix(_) => "localhost".to_owned(),
            Endpoint::Tcp { host, port, .. } if matches!(host.parse(), Ok(IpAddr::V6(_))) => {
                format!("[{host}]:{port}")
            }
            Endpoint::Tcp { host, port, .. } => format!("{host}:{port}"),
            Endpoint::Through { name, .. } => name.clone(),
        }
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let message = serde_json::from_slice::<ErrorMessage>(body).map(|body| body.message);
    Error::Refused {
        status: status.as_u16(),
        message: message.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned()),
    }
}

/// One line is one event; a chunk may end anywhere.
async fn next_event(
    (mut body, mut buffer): (Incoming, Vec<u8>),
) -> Result<Option<(EventMessage, (Incoming, Vec<u8>))>> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let event = serde_json::from_slice(&line)
                .map_err(|source| Error::Unexpected { path: "/events".to_owned(), source })?;
            return Ok(Some((event, (body, buffer))));
        }
        match body.frame().await {
            None => return Ok(None),
            Some(frame) => {
                buffer.extend_from_slice(frame.map_err(Error::Broken)?.data_ref().map_or(&[], |data| data));
            }
        }
    }
}

/// Percent-encodes everything but what a query may always contain.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_what_json_contains() {
        assert_eq!(encode(r#"{"type":["a b"]}"#), "%7B%22type%22%3A%5B%22a%20b%22%5D%7D");
    }

    #[test]
    fn a_refusal_shows_the_engines_own_words() {
        let error = refusal(StatusCode::NOT_FOUND, br#"{"message":"No such container: x"}"#);
        assert_eq!(error.to_string(), "the engine refused: No such container: x");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"proxy").to_string(), "the engine refused: proxy");
    }
}
