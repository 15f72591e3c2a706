//! Connections that stop being HTTP: attach and exec.
//!
//! A client that sends `Connection: Upgrade, Upgrade: tcp` gets `101 UPGRADED` and the raw connection. One that does
//! not gets 200, its request body as our input and our output as the response body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::TryStreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::tls::Standing;

/// How much may be under way to a client without an upgrade.
const BUFFER: usize = 64 * 1024;

/// Content type of a stream of stdcopy frames, from API 1.42 on.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// Content type of raw bytes, and of everything before API 1.42.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";

/// Both directions of the client. Shutting the writer down ends the output; the reader ends at half-close.
pub(crate) struct Hijacked {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Answers, then hands the connection to `serve`. The head of the answer is written before `serve` sees a byte.
pub(crate) fn hijack<F>(
    request: Request,
    content_type: &'static str,
    serve: impl FnOnce(Hijacked) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    if !wants_upgrade(&request, TCP) {
        return without_upgrade(request, content_type, serve);
    }
    let mut response = upgrade(request, TCP, serve);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Answers 101 and hands the connection on.
pub(super) fn upgrade<F>(
    mut request: Request,
    protocol: &'static str,
    serve: impl FnOnce(Hijacked) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    let standing = request.extensions().get::<Standing>().cloned();
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
                let client = Hijacked { reader: Box::new(reader), writer: Box::new(writer) };
                while_it_stands(standing, serve(client)).await;
            }
            Err(error) => tracing::debug!(%error, "the client left before the upgrade"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    response
}

fn without_upgrade<F>(
    request: Request,
    content_type: &'static str,
    serve: impl FnOnce(Hijacked) -> F,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let standing = request.extensions().get::<Standing>().cloned();
    let input = request.into_body().into_data_stream().map_err(std::io::Error::other);
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let client = Hijacked { reader: Box::new(StreamReader::new(input)), writer: Box::new(ours) };
    tokio::spawn(while_it_stands(standing, serve(client)));
    let mut response = Response::new(Body::from_stream(ReaderStream::new(OutputOnly(theirs))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Serves a client for as long as its certificate holds. Then its connection is closed, as if it had left.
pub(super) async fn while_it_stands(standing: Option<Standing>, served: impl Future<Output = ()>) {
    let Some(standing) = standing else { return served.await };
    tokio::select! {
        () = served => {}
        fallen = standing.fallen() => tracing::info!(%fallen, "a client that was connected is cut off"),
    }
}

/// What attach and exec speak: bytes.
const TCP: &str = "tcp";

pub(super) fn wants_upgrade(request: &Request, protocol: &str) -> bool {
    let has = |name, token: &str| {
        request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, protocol)
}

/// The reading half of a duplex pipe; dropping it tells the writer that the client is gone.
struct OutputOnly(tokio::io::DuplexStream);

impl AsyncRead for OutputOnly {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}
