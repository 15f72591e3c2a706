//! Ports of the host: each published one is held by a socket for as long as the container runs.
//!
//! The socket carries nothing (the firewall sends packets on before they reach it). It makes the kernel refuse the
//! port to everybody else, and tells us that somebody else had it first.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use super::{Error, Protocol, Result};

/// A port, and what holds it.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) port: u16,
    pub(crate) socket: OwnedFd,
}

/// Takes a port of the host; zero takes any free one. [`Error::PortTaken`] when it is somebody's.
pub(crate) fn reserve(protocol: Protocol, address: Ipv4Addr, port: u16) -> Result<Reserved> {
    let wanted = SocketAddrV4::new(address, port);
    let (port, socket) = match protocol {
        // Listening, not only bound: two bound sockets may share a port, a listening one shares it with nobody.
        Protocol::Tcp => TcpListener::bind(wanted)
            .and_then(|socket| Ok((socket.local_addr()?.port(), OwnedFd::from(socket)))),
        Protocol::Udp => UdpSocket::bind(wanted)
            .and_then(|socket| Ok((socket.local_addr()?.port(), OwnedFd::from(socket)))),
    }
    .map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken(wanted.into()),
        _ => Error::kernel(format!("bind host port {wanted}"))(error),
    })?;
    Ok(Reserved { port, socket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_until_its_socket_is_closed() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let held = reserve(protocol, Ipv4Addr::LOCALHOST, 0).unwrap();
            assert_ne!(held.port, 0);
            let again = reserve(protocol, Ipv4Addr::LOCALHOST, held.port);
            assert!(matches!(again, Err(Error::PortTaken(_))), "{again:?}");
            let everywhere = reserve(protocol, Ipv4Addr::UNSPECIFIED, held.port);
            assert!(matches!(everywhere, Err(Error::PortTaken(_))), "{everywhere:?}");
            let port = held.port;
            drop(held);
            reserve(protocol, Ipv4Addr::LOCALHOST, port).unwrap();
        }
    }
}
