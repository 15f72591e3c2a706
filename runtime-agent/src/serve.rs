//! Listeners: from an accepted connection to the API, through the handshake where there is one.
//!
//! A connection that sends nothing is dropped after a while; one that is hijacked or streams may stay for ever.

mod severed;
mod unread;

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use axum::extract::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::config::{Listen, Roles};
use crate::tls::{Identity, Reloading, Standing};
use severed::Severed;
use unread::ReadToTheEnd;

/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may come in.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// Whoever reaches it: the file system or the loopback interface keeps others out.
    Local,
    /// Whoever has a certificate of ours.
    Certificates(Reloading, Option<Roles>),
}

#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    door: Door,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn bind(listen: &Listen, door: Door) -> io::Result<Self> {
        let socket = match listen {
            Listen::Unix(path) => Socket::Unix(bind_unix(path)?),
            Listen::Tcp(address) => Socket::Tcp(bind_tcp(*address)?),
        };
        Ok(Self { socket, door })
    }

    /// Accepts until told to stop. A connection's failure is its own.
    pub(crate) async fn serve(self, api: Api, tasks: TaskTracker, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(Accepted::Unix(stream)) => {
                    tasks.spawn(speak(stream, Client::local(), api.clone(), stop.clone()));
                }
                Ok(Accepted::Tcp(stream)) => {
                    tasks.spawn(welcome(stream, self.door.clone(), api.clone(), stop.clone()));
                }
                Err(error) => {
                    // Out of file handles, most likely; trying again at once would only burn the processor.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
            Socket::Tcp(listener) => Ok(Accepted::Tcp(listener.accept().await?.0)),
        }
    }
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(TcpStream),
}

async fn welcome(stream: TcpStream, door: Door, api: Api, stop: CancellationToken) {
    // Interactive bytes must not wait for company.
    let _ = stream.set_nodelay(true);
    let Door::Certificates(certificates, roles) = door else {
        return speak(stream, Client::local(), api, stop).await;
    };
    let acceptor = TlsAcceptor::from(certificates.current().server);
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a client did not pass the handshake"),
        Err(_) => return tracing::debug!("a client never finished the handshake"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let standing = Standing::of(chain, certificates);
    match Identity::of(chain, roles.as_ref()) {
        Ok(identity) => speak(stream, Client { identity, standing }, api, stop).await,
        Err(refused) => tracing::warn!(%refused, "a client was turned away"),
    }
}

/// Who speaks, and by what right.
#[derive(Debug, Clone)]
struct Client {
    identity: Identity,
    /// Absent for whoever is let in without a certificate.
    standing: Option<Standing>,
}

impl Client {
    fn local() -> Self {
        Self { identity: Identity::local(), standing: None }
    }
}

/// HTTP until the client hangs up or takes the connection over.
async fn speak<S>(stream: S, client: Client, api: Api, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request: Request = ReadToTheEnd::of(request);
        request.extensions_mut().insert(client.identity.clone());
        if let Some(standing) = &client.standing {
            request.extensions_mut().insert(standing.clone());
        }
        let standing = client.standing.clone();
        let fallen = client.standing.as_ref().and_then(|standing| standing.check().err());
        let api = api.clone();
        async move {
            match fallen {
                Some(fallen) => Ok(Api::turn_away(&fallen.to_string())),
                None => api.answer(request).await.map(|answer| match standing {
                    Some(standing) => answer.map(|body| Severed::of(body, standing)),
                    None => answer,
                }),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(false)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A socket that nobody answers on is left over from a daemon that died; one that is answered is in use.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if StdUnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another engine answers there"));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    if let Some(group) = docker_group() {
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    Ok(listener)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    // std sets SO_REUSEADDR, so a restart need not wait for old connections.
    let listener = StdTcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Read from the file, since a static program must not go through the name service.
fn docker_group() -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| line.strip_prefix("docker:")?.split(':').nth(1)?.parse().ok())
}
