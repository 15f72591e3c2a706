//! The name server of one container, at 127.0.0.11 inside its network namespace.
//!
//! ```text
//! container ── 127.0.0.11:53 ──► dnat (nf_tables in its own namespace) ──► sockets of ours on 127.0.0.11, any port
//!                                                                            │ names of its networks: answered here
//!                                                                            └ everything else ──► the upstream servers
//! ```
//! Not on port 53 itself: that stays free for whatever the container serves. The sockets are the daemon's; a daemon that
//! is started again makes new ones and replaces the rules, so that only questions asked meanwhile go unanswered.
//!
//! Refuses: being asked by anybody but the container (nothing outside reaches its loopback).

mod answer;
mod forward;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::nftables::{Batch, Chain, Family, Hook, Protocol, Rule};
use super::{Error, Result, Subnet, namespace};
use answer::Answer;

/// Where containers ask.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// What one container may know. Asked anew for every question.
pub(crate) trait Names: Debug + Send + Sync + 'static {
    /// The addresses of a name, in lower case and without a dot at its end. `None` when it is nobody's here.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;

    /// Who has an address.
    fn name_of(&self, address: IpAddr) -> Option<String>;

    /// The servers that are asked for everything else, in order.
    fn upstream(&self) -> Vec<IpAddr>;
}

/// Answers until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    tasks: [JoinHandle<()>; 2],
}

/// Questions of one container that are answered at once; more wait their turn.
const AT_ONCE: usize = 256;
/// How long a TCP client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
const TABLE: &str = "wharf-dns";

impl Server {
    /// Listens inside the namespace, instead of any server that was there before.
    pub(crate) async fn start(inside: &Path, names: Arc<dyn Names>) -> Result<Self> {
        let (datagrams, streams) = namespace::within(inside, || {
            let sockets = listen().map_err(Error::kernel("listen for questions for names"))?;
            Ok(sockets)
        })
        .await?;
        let datagrams = UdpSocket::from_std(datagrams).map_err(Error::kernel("use a socket"))?;
        let streams = TcpListener::from_std(streams).map_err(Error::kernel("use a socket"))?;
        let ports = [
            (Protocol::Udp, datagrams.local_addr().map_err(Error::kernel("use a socket"))?.port()),
            (Protocol::Tcp, streams.local_addr().map_err(Error::kernel("use a socket"))?.port()),
        ];
        namespace::within(inside, move || redirect(&ports).commit()).await?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let over_udp = serve_datagrams(Arc::new(datagrams), Arc::clone(&names), Arc::clone(&turns));
        let over_tcp = serve_streams(streams, names, turns);
        Ok(Self { tasks: [tokio::spawn(over_udp), tokio::spawn(over_tcp)] })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn listen() -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let datagrams = std::net::UdpSocket::bind((ADDRESS, 0))?;
    let streams = std::net::TcpListener::bind((ADDRESS, 0))?;
    datagrams.set_nonblocking(true)?;
    streams.set_nonblocking(true)?;
    Ok((datagrams, streams))
}

/// From the port that everybody asks to the ports that we have.
fn redirect(ports: &[(Protocol, u16)]) -> Batch {
    let mut batch = Batch::new();
    batch.add_table(Family::Ip, TABLE);
    batch.remove_table(Family::Ip, TABLE);
    batch.add_table(Family::Ip, TABLE);
    batch.add_chain(Family::Ip, TABLE, "asking", Chain::Nat(Hook::Output, -100));
    for (protocol, port) in ports {
        let asked = Rule::new().destination(Subnet::around(ADDRESS, 32)).for_port(*protocol, 53);
        batch.append(Family::Ip, TABLE, "asking", &asked.send_to(ADDRESS, *port));
    }
    batch
}

async fn serve_datagrams(socket: Arc<UdpSocket>, names: Arc<dyn Names>, turns: Arc<Semaphore>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // An answer that could not be delivered may be reported here; the socket itself is fine.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        let (socket, names) = (Arc::clone(&socket), Arc::clone(&names));
        tokio::spawn(async move {
            let _turn = turn;
            let reply = match answer::answer(&question, &*names, answer::Over::Udp) {
                Answer::Reply(reply) => Some(reply),
                Answer::Forward => {
                    let forwarded = forward::by_udp(&question, &names.upstream()).await;
                    forwarded.or_else(|| answer::failure(&question))
                }
                Answer::Nothing => None,
            };
            if let Some(reply) = reply {
                // A client that has gone needs no answer.
                let _ = socket.send_to(&reply, from).await;
            }
        });
    }
}

async fn serve_streams(listener: TcpListener, names: Arc<dyn Names>, turns: Arc<Semaphore>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let names = Arc::clone(&names);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = converse(stream, &*names).await {
                tracing::debug!(%error, "a question for a name over TCP ended early");
            }
        });
    }
}

/// Question after question, each with its length before it.
async fn converse(mut stream: TcpStream, names: &dyn Names) -> io::Result<()> {
    loop {
        let length = match tokio::time::timeout(PATIENCE, stream.read_u16()).await {
            Ok(Ok(length)) => length,
            // Hung up, or silent for too long.
            Ok(Err(_)) | Err(_) => return Ok(()),
        };
        let mut question = vec![0; usize::from(length)];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut question)).await??;
        let reply = match answer::answer(&question, names, answer::Over::Tcp) {
            Answer::Reply(reply) => Some(reply),
            Answer::Forward => {
                forward::by_tcp(&question, &names.upstream()).await.or_else(|| answer::failure(&question))
            }
            Answer::Nothing => None,
        };
        let Some(reply) = reply else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &reply].concat()).await?;
    }
}
