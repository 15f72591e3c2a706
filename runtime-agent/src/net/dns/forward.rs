//! Asking the upstream servers, byte for byte, from the host's own namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long one server may think before the next one is asked. Clients wait five seconds in all.
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;
/// Of the header: what the answer must share with the question.
const ID: std::ops::Range<usize> = 0..2;

/// The first answer that comes; none when every server is silent.
pub(super) async fn by_udp(question: &[u8], servers: &[IpAddr]) -> Option<Vec<u8>> {
    for server in servers {
        match tokio::time::timeout(PATIENCE, ask_by_udp(question, *server)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %server, "a name server refuses"),
            Err(_) => tracing::debug!(%server, "a name server is silent"),
        }
    }
    None
}

/// The same over TCP.
pub(super) async fn by_tcp(question: &[u8], servers: &[IpAddr]) -> Option<Vec<u8>> {
    for server in servers {
        match tokio::time::timeout(PATIENCE, ask_by_tcp(question, *server)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %server, "a name server refuses"),
            Err(_) => tracing::debug!(%server, "a name server is silent"),
        }
    }
    None
}

async fn ask_by_udp(question: &[u8], server: IpAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question: hard to guess for whoever would answer instead.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(SocketAddr::new(server, PORT)).await?;
    socket.send(question).await?;
    let mut answer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer.get(ID) == question.get(ID) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn ask_by_tcp(question: &[u8], server: IpAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((server, PORT)).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
