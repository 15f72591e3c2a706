//! Listening: TLS for the cloud, plain for the controls and the metadata service, and a CONNECT proxy that leads to the
//! cloud whatever name was asked for.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Call, Outcome};

/// The largest body that is read.
const MOST: usize = 4 << 20;
/// A client that does not finish its handshake has gone.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Serves `handle` behind TLS until the task is dropped.
pub(crate) async fn serve_tls<H, F>(listener: TcpListener, tls: Arc<ServerConfig>, handle: H)
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = accept(&listener, &mut open).await {
        let (acceptor, handle) = (acceptor.clone(), handle.clone());
        open.spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                connection(stream, handle).await;
            }
        });
    }
}

/// Serves `handle` without TLS until the task is dropped.
pub(crate) async fn serve_plain<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = accept(&listener, &mut open).await {
        open.spawn(connection(stream, handle.clone()));
    }
}

/// Passes every CONNECT on to `target`.
pub(crate) async fn serve_proxy(listener: TcpListener, target: SocketAddr) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = accept(&listener, &mut open).await {
        open.spawn(async move {
            // A client that leaves early is no news.
            let _ = connect(stream, target).await;
        });
    }
}

async fn accept(
    listener: &TcpListener,
    open: &mut tokio::task::JoinSet<()>,
) -> io::Result<(TcpStream, SocketAddr)> {
    while open.try_join_next().is_some() {}
    loop {
        match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            // Out of descriptors: let some connections end.
            Err(error) if error.raw_os_error() == Some(24) => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
}

async fn connect(stream: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        line.clear();
    }
    if !first.starts_with("CONNECT ") {
        return stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
    }
    let mut upstream = TcpStream::connect(target).await?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(|_| ())
}

async fn connection<S, H, F>(stream: S, handle: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handle = handle.clone();
        async move {
            match handle(read(request).await?).await {
                Outcome::Cut => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                Outcome::Answer(answer, after) => {
                    tokio::time::sleep(after).await;
                    Ok(write(&answer))
                }
            }
        }
    });
    // An ended connection is how a cut looks from here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: Request<Incoming>) -> io::Result<Call> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, MOST).collect().await.map_err(io::Error::other)?.to_bytes();
    let host = parts.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    Ok(Call::new(parts.method.as_str(), &host, path, query, parts.headers.clone(), body))
}

fn write(answer: &Answer) -> Response<Full<Bytes>> {
    let (kind, bytes) = match &answer.body {
        Some(Value::String(text)) => ("text/plain; charset=utf-8", Bytes::from(text.clone())),
        Some(body) => ("application/json; charset=utf-8", Bytes::from(body.to_string())),
        None => ("", Bytes::new()),
    };
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    if answer.body.is_some() {
        headers.insert("content-type", HeaderValue::from_static(kind));
    }
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    response
}
