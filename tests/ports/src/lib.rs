//! Ports of this machine's loopback that one test has to itself.
//!
//! A port that was found free and let go belongs to whoever asks the kernel for one next: with several tests beside each
//! other that is soon another test's server. Here the port stays bound, and nothing listens at it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A TCP port of 127.0.0.1 that the kernel chooses for nobody else while this lives.
///
/// Who connects to it is refused, until a server binds it by its number: that succeeds with `SO_REUSEADDR`, which
/// sshd, dropbear, QEMU, and the listeners of tokio and of the standard library set.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _bound: TcpSocket,
}

impl Port {
    /// Any port that is free.
    ///
    /// # Errors
    /// When the kernel has none, or this process may open no more files.
    pub fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { number: socket.local_addr()?.port(), _bound: socket })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_closed_until_a_server_takes_it_and_again_afterwards() {
        let port = Port::reserve().unwrap();
        let at = (Ipv4Addr::LOCALHOST, port.number());
        let refused = || TcpStream::connect(at).unwrap_err().kind() == io::ErrorKind::ConnectionRefused;
        assert!(refused());
        for listen in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let server = TcpListener::bind((listen, port.number())).unwrap();
            TcpStream::connect(at).unwrap();
            drop(server);
            assert!(refused());
        }
    }

    #[test]
    fn ports_are_chosen_once() {
        let ports: Vec<_> = (0..200).map(|_| Port::reserve().unwrap()).collect();
        let numbers: HashSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        let others: Vec<_> = (0..200).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        assert!(others.iter().all(|other| !numbers.contains(&other.local_addr().unwrap().port())));
    }
}
