//! Ports of this computer that lead into the guest: QEMU's own forwards, added and removed while it runs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use crate::qmp::{Qmp, QmpError};

/// The guest's address in QEMU's user networking, whoever it is.
pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

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

/// A port of 127.0.0.1 and the guest's port that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    pub(crate) host: u16,
    pub(crate) guest: u16,
}

/// Why a forward is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("port {port}/{protocol} of 127.0.0.1 cannot be bound: {reason}")]
    Taken { port: u16, protocol: Protocol, reason: String },
}

impl Forward {
    /// Adds it. Zero as the port of this computer means any free one.
    pub(crate) async fn add(self, qmp: &mut Qmp) -> Result<(), ForwardError> {
        let Self { protocol, host, guest } = self;
        let line = format!("hostfwd_add net0 {protocol}:127.0.0.1:{host}-{GUEST}:{guest}");
        // QEMU answers nothing when it worked, and a sentence when it did not.
        let reason = qmp.console(&line).await?;
        if reason.is_empty() { Ok(()) } else { Err(ForwardError::Taken { port: host, protocol, reason }) }
    }

    /// Takes it away; being gone already is success.
    pub(crate) async fn remove(self, qmp: &mut Qmp) -> Result<(), ForwardError> {
        qmp.console(&format!("hostfwd_remove net0 {}:127.0.0.1:{}", self.protocol, self.host)).await?;
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
        let host = fields.nth(2)?.parse().ok()?;
        let guest = fields.nth(1)?.parse().ok()?;
        Some(Forward { protocol, host, guest })
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
            UDP[HOST_FORWARD]  13       127.0.0.1  5353       10.0.2.15    53     0     0\r\n  \
            TCP[ESTABLISHED]   14       127.0.0.1 40235       10.0.2.15    22     0     0\r\n";
        let forwards: Vec<_> = parse(table).into_iter().collect();
        assert_eq!(
            forwards,
            [
                Forward { protocol: Protocol::Tcp, host: 40235, guest: 22 },
                Forward { protocol: Protocol::Udp, host: 5353, guest: 53 },
            ]
        );
    }
}
