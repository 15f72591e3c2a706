//! Ports of the host: each published one is held by a socket for as long as the container runs.
//!
//! The socket carries nothing (the firewall sends packets on before they reach it). It makes the kernel refuse the
//! port to everybody else, and tells us that somebody else had it first.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

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
        Protocol::Sctp => return reserve_sctp(wanted.into()),
    }
    .map_err(refused(wanted.into()))?;
    Ok(Reserved { port, socket })
}

/// The same for SCTP, of either family. Bound is enough: nobody else gets the port, and nothing is ever accepted by it.
pub(super) fn reserve_sctp(wanted: SocketAddr) -> Result<Reserved> {
    let family = if wanted.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = SocketType::STREAM;
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(ipproto::SCTP));
    let socket = socket.map_err(|_| Error::NoSctp)?;
    let bound = || {
        if wanted.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        rustix::net::bind(&socket, &wanted)?;
        Ok::<_, io::Error>(SocketAddr::try_from(rustix::net::getsockname(&socket)?)?.port())
    };
    let port = bound().map_err(refused(wanted))?;
    Ok(Reserved { port, socket })
}

/// For `map_err`: why the port cannot be had.
pub(super) fn refused(wanted: SocketAddr) -> impl Fn(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken(wanted),
        _ => Error::kernel(format!("bind host port {wanted}"))(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_until_its_socket_is_closed() {
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let held = match reserve(protocol, Ipv4Addr::LOCALHOST, 0) {
                Err(Error::NoSctp) if protocol == Protocol::Sctp => continue,
                held => held.unwrap(),
            };
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
