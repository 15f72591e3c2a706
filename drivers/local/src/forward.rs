//! Ports of this computer that lead into the guest: QEMU's own forwards, added and removed while it runs.

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};

use crate::qmp::{Qmp, QmpError};

/// The guest's address in QEMU's user networking, whoever it is.
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// This computer's, as the guest sees it.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What travels through a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of this computer and the guest's port that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    /// One of the loopback: nobody else reaches it.
    pub(crate) address: Ipv4Addr,
    pub(crate) host: u16,
    pub(crate) guest: u16,
}

/// Why a forward is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("port {}/{} of {} cannot be bound: {why}", .forward.host, .forward.protocol, .forward.address)]
    Refused { forward: Forward, why: &'static str },
}

impl Forward {
    /// Adds it. Zero as the port of this computer means any free one.
    pub(crate) async fn add(self, qmp: &mut Qmp) -> Result<(), ForwardError> {
        let Self { protocol, address, host, guest } = self;
        let line = format!("hostfwd_add net0 {protocol}:{address}:{host}-{GUEST}:{guest}");
        // QEMU answers nothing when it worked, and a sentence without a reason when it did not.
        if qmp.console(&line).await?.is_empty() {
            return Ok(());
        }
        Err(ForwardError::Refused { forward: self, why: self.why_not() })
    }

    /// Why the port cannot be bound, as the kernel says when it is asked again.
    fn why_not(self) -> &'static str {
        let at = SocketAddrV4::new(self.address, self.host);
        let bound = match self.protocol {
            Protocol::Tcp => TcpListener::bind(at).map(drop),
            Protocol::Udp => UdpSocket::bind(at).map(drop),
        };
        match bound.map_err(|error| error.kind()) {
            Err(ErrorKind::PermissionDenied) => "a port below 1024 is for root alone here",
            Err(ErrorKind::AddrNotAvailable) => "this computer does not have the address",
            _ => "another program of this computer has it",
        }
    }

    /// Takes it away; being gone already is success.
    pub(crate) async fn remove(self, qmp: &mut Qmp) -> Result<(), ForwardError> {
        let Self { protocol, address, host, .. } = self;
        qmp.console(&format!("hostfwd_remove net0 {protocol}:{address}:{host}")).await?;
        Ok(())
    }

    /// The forwards that are there.
    pub(crate) async fn list(qmp: &mut Qmp) -> Result<BTreeSet<Self>, ForwardError> {
        Ok(parse(&qmp.console("info usernet").await?))
    }
}

/// Reads QEMU's table: `TCP[HOST_FORWARD]  12  127.0.0.1 40235  10.0.2.15  22  0  0`.
fn parse(table: &str) -> BTreeSet<Forward> {
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let protocol = match fields.next()? {
            "TCP[HOST_FORWARD]" => Protocol::Tcp,
            "UDP[HOST_FORWARD]" => Protocol::Udp,
            _ => return None,
        };
        let address = fields.nth(1)?.parse().ok()?;
        let host = fields.next()?.parse().ok()?;
        let guest = fields.nth(1)?.parse().ok()?;
        Some(Forward { protocol, address, host, guest })
    };
    table.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_table_is_read() {
        let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[HOST_FORWARD]  12       127.0.0.1 40235       10.0.2.15    22     0     0\r\n  \
            UDP[HOST_FORWARD]  13       127.0.0.2  5353       10.0.2.15    53     0     0\r\n  \
            TCP[ESTABLISHED]   14       127.0.0.1 40235       10.0.2.15    22     0     0\r\n";
        let forwards: Vec<_> = parse(table).into_iter().collect();
        assert_eq!(
            forwards,
            [
                Forward { protocol: Protocol::Tcp, address: Ipv4Addr::LOCALHOST, host: 40235, guest: 22 },
                Forward {
                    protocol: Protocol::Udp,
                    address: Ipv4Addr::new(127, 0, 0, 2),
                    host: 5353,
                    guest: 53
                },
            ]
        );
    }

    #[test]
    fn the_kernel_says_why_not() {
        let thief = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = thief.local_addr().unwrap().port();
        let taken = Forward { protocol: Protocol::Tcp, address: Ipv4Addr::LOCALHOST, host, guest: 80 };
        assert_eq!(taken.why_not(), "another program of this computer has it");
        let elsewhere = Forward { address: Ipv4Addr::new(192, 0, 2, 1), ..taken };
        assert_eq!(elsewhere.why_not(), "this computer does not have the address");
    }
}
