//! Published ports on IPv6 addresses of the host: connections are taken here and passed on over IPv4.
//!
//! Most containers have IPv4 addresses only, and no rule of the kernel's leads from one family to the other, nor from `::1`
//! to anybody. So what comes to `[::]` or `[::1]`, and no rule has sent to a container's own IPv6 address before, is copied
//! by the daemon, in both directions, each ending by itself. While the daemon is down these ports are closed; those on
//! IPv4 addresses need nobody. SCTP is not copied: its streams, and the addresses that its peers tell each other, would
//! be lost. Its ports are only held, for the rules that lead to a container's own IPv6 address.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ports::{refused, reserve_sctp};
use super::{Protocol, Result};

/// A port of the host that is held, and passed on until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    to: Target,
    port: u16,
    _tasks: JoinSet<()>,
    _held: Option<OwnedFd>,
}

/// Where a container is now: it changes when the container leaves the network that it was reached by.
type Target = Arc<Mutex<SocketAddrV4>>;

/// Connections, or peers of a datagram port, that are passed on at once.
const AT_ONCE: usize = 1024;
/// How long a peer of a datagram port may be silent before it is forgotten; as dockerd's.
const SILENCE: Duration = Duration::from_secs(90);
const LARGEST_DATAGRAM: usize = 65_535;
const BACKLOG: i32 = 1024;

impl Proxy {
    /// Takes the port; zero takes any free one. [`Error::PortTaken`] when it is somebody's. Needs a tokio runtime.
    pub(crate) fn start(protocol: Protocol, listen: SocketAddrV6, to: SocketAddrV4) -> Result<Self> {
        let failed = refused(listen.into());
        let to = Arc::new(Mutex::new(to));
        let target = Arc::clone(&to);
        let mut tasks = JoinSet::new();
        let mut held = None;
        let port = match protocol {
            Protocol::Tcp => {
                let listener = listen_on(listen).map_err(&failed)?;
                let port = listener.local_addr().map_err(&failed)?.port();
                tasks.spawn(pass_connections(listener, target));
                port
            }
            Protocol::Udp => {
                let socket = bind(listen, SocketType::DGRAM).map(std::net::UdpSocket::from);
                let socket = socket.and_then(UdpSocket::from_std).map_err(&failed)?;
                let port = socket.local_addr().map_err(&failed)?.port();
                tasks.spawn(pass_datagrams(Arc::new(socket), target));
                port
            }
            Protocol::Sctp => {
                let reserved = reserve_sctp(listen.into())?;
                held = Some(reserved.socket);
                reserved.port
            }
        };
        Ok(Self { to, port, _tasks: tasks, _held: held })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// New connections go there from now on.
    pub(crate) fn lead_to(&self, to: SocketAddrV4) {
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// Whether the host has an IPv6 loopback: without one, nobody can be served there.
pub(crate) fn host_has_ipv6() -> bool {
    bind(SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 0, 0, 0), SocketType::DGRAM).is_ok()
}

/// For IPv6 alone: the same port's IPv4 side is somebody else's.
fn bind(address: SocketAddrV6, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET6, kind, flags, None)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn listen_on(address: SocketAddrV6) -> io::Result<TcpListener> {
    let socket = bind(address, SocketType::STREAM)?;
    rustix::net::listen(&socket, BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn pass_connections(listener: TcpListener, to: Target) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut conversations = JoinSet::new();
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let Ok((mut client, _)) = listener.accept().await else {
            // Out of file handles, most likely.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let target = current(&to);
        conversations.spawn(async move {
            let _turn = turn;
            let passed = async {
                let mut container = TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut client, &mut container).await
            };
            if let Err(error) = passed.await {
                tracing::debug!(%error, %target, "a connection to a published port ended early");
            }
        });
        while conversations.try_join_next().is_some() {}
    }
}

/// One socket towards the container for each peer, so that answers find their way back.
async fn pass_datagrams(socket: Arc<UdpSocket>, to: Target) {
    let mut peers: HashMap<SocketAddr, Peer> = HashMap::new();
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    let mut sweep = tokio::time::interval(SILENCE);
    loop {
        let (length, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                // An answer that could not be delivered may be reported here; the socket itself is fine.
                Err(_) => continue,
            },
            _ = sweep.tick() => {
                peers.retain(|_, peer| peer.heard.elapsed() < SILENCE);
                continue;
            }
        };
        if !peers.contains_key(&from) && peers.len() < AT_ONCE {
            match Peer::new(Arc::clone(&socket), from, current(&to)).await {
                Ok(peer) => drop(peers.insert(from, peer)),
                Err(error) => tracing::debug!(%error, "cannot pass a datagram on"),
            }
        }
        if let Some(peer) = peers.get_mut(&from) {
            peer.heard = Instant::now();
            // Nobody may listen there yet; datagrams get lost.
            let _ = peer.container.send(buffer.get(..length).unwrap_or_default()).await;
        }
    }
}

struct Peer {
    container: Arc<UdpSocket>,
    heard: Instant,
    _answers: JoinSet<()>,
}

impl Peer {
    async fn new(socket: Arc<UdpSocket>, peer: SocketAddr, to: SocketAddrV4) -> io::Result<Self> {
        let container = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
        container.connect(to).await?;
        let mut answers = JoinSet::new();
        let inner = Arc::clone(&container);
        answers.spawn(async move {
            let mut buffer = vec![0; LARGEST_DATAGRAM];
            loop {
                match inner.recv(&mut buffer).await {
                    Ok(length) => {
                        let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), peer).await;
                    }
                    // Refused by the container: what was sent is lost, what comes next may not be.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Self { container, heard: Instant::now(), _answers: answers })
    }
}

fn current(to: &Target) -> SocketAddrV4 {
    *to.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Error;
    use std::net::Ipv6Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn loopback(port: u16) -> SocketAddrV6 {
        SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0)
    }

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port())
    }

    #[tokio::test]
    async fn connections_are_passed_on_with_their_ends() {
        if !host_has_ipv6() {
            return println!("skipped: this host has no IPv6");
        }
        let container = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Protocol::Tcp, loopback(0), v4(container.local_addr().unwrap())).unwrap();
        let taken = Proxy::start(Protocol::Tcp, loopback(proxy.port()), v4(container.local_addr().unwrap()));
        assert!(matches!(taken, Err(Error::PortTaken(_))), "{taken:?}");
        let serve = async {
            let (mut stream, _) = container.accept().await.unwrap();
            let mut asked = String::new();
            stream.read_to_string(&mut asked).await.unwrap();
            stream.write_all(format!("{asked}!").as_bytes()).await.unwrap();
        };
        let ask = async {
            let mut stream = TcpStream::connect(loopback(proxy.port())).await.unwrap();
            stream.write_all(b"who").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        assert_eq!(tokio::join!(serve, ask).1, "who!");
        let port = proxy.port();
        drop(proxy);
        // Its task lets go of the port in its own time.
        for _ in 0..500 {
            if TcpStream::connect(loopback(port)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the port is still open");
    }

    #[tokio::test]
    async fn datagrams_are_answered_to_whoever_sent_them() {
        if !host_has_ipv6() {
            return println!("skipped: this host has no IPv6");
        }
        let container = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Protocol::Udp, loopback(0), v4(container.local_addr().unwrap())).unwrap();
        let echo = tokio::spawn(async move {
            let mut buffer = [0; 64];
            loop {
                let (length, from) = container.recv_from(&mut buffer).await.unwrap();
                container.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        for word in ["one", "two"] {
            let client = UdpSocket::bind(loopback(0)).await.unwrap();
            client.connect(loopback(proxy.port())).await.unwrap();
            client.send(word.as_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            let heard = tokio::time::timeout(Duration::from_secs(30), client.recv(&mut buffer)).await;
            assert_eq!(&buffer[..heard.unwrap().unwrap()], word.as_bytes());
        }
        echo.abort();
    }
}
