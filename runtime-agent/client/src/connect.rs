//! One connection, one request.

use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::tls::Connector;
use crate::{Dial, Duplex, Error, Result};

pub(crate) async fn unix(socket: &Path, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| Error::Socket { path: socket.to_owned(), source })?;
    exchange(stream, request).await
}

pub(crate) async fn tcp(host: &str, port: u16, tls: &Connector) -> Result<TlsStream<Box<dyn Duplex>>> {
    let place = || format!("{host}:{port}");
    let stream =
        TcpStream::connect((host, port)).await.map_err(|source| Error::Connect { place: place(), source })?;
    // A failure here costs latency and nothing else.
    let _ = stream.set_nodelay(true);
    tls.connect(host, Box::new(stream)).await.map_err(|source| Error::Handshake { place: place(), source })
}

pub(crate) async fn through(dial: &Dial, name: &str, tls: &Connector) -> Result<TlsStream<Box<dyn Duplex>>> {
    let stream = (dial.0)().await.map_err(|source| Error::Connect { place: name.to_owned(), source })?;
    tls.connect(name, stream).await.map_err(|source| Error::Handshake { place: name.to_owned(), source })
}

/// The certificate that the server showed, which the handshake has verified.
pub(crate) fn shown(stream: &TlsStream<Box<dyn Duplex>>) -> Option<Vec<u8>> {
    stream.get_ref().1.peer_certificates()?.first().map(|certificate| certificate.to_vec())
}

pub(crate) async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| match tls_alert(&error) {
        // In TLS 1.3 the server turns a client away only after the client believes it is in.
        Some(source) => Error::Handshake { place: "the engine".to_owned(), source },
        None => Error::Broken(error),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself when the response's body is read or dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

fn tls_alert(error: &hyper::Error) -> Option<std::io::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = inside.and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
            return Some(std::io::Error::other(tls.clone()));
        }
        cause = error.source();
    }
    None
}
