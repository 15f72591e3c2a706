//! What can go wrong between the engine and the kernel's network.

use std::io;
use std::path::PathBuf;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file, a mount or a namespace.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A request that the kernel refused.
    #[error("cannot {doing}: {source}")]
    Kernel {
        doing: String,
        #[source]
        source: io::Error,
    },
    /// Not `address/bits`, or an address with bits beyond the prefix.
    #[error("invalid CIDR {0:?}")]
    InvalidSubnet(String),
    #[error("invalid MAC address: {0}")]
    InvalidMac(String),
    /// Somebody else has the port.
    #[error("failed to bind host port {0}: address already in use")]
    PortTaken(std::net::SocketAddr),
    /// The kernel was built without it, or may not load it.
    #[error("this host's kernel has no SCTP: its module `sctp` is missing, or was forbidden to load")]
    NoSctp,
    /// The owner's program refused an entry in another firewall.
    #[error("`{command}` failed: {said}")]
    Refused { command: String, said: String },
    /// Another firewall stops everything where no entry of ours would count.
    #[error(
        "the last rule of the firewall's chain {chain} (table {table}) stops whatever is forwarded, and wharf has no \
         place before it: accept forwarding from and to {bridges} there"
    )]
    Stopped { chain: String, table: String, bridges: String },
    /// A thread of ours stopped.
    #[error("a worker thread stopped")]
    Ended,
}

impl Error {
    /// For `map_err`: what was being done, and to which path.
    pub(crate) fn file<E: Into<io::Error>>(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source: source.into() }
    }

    /// For `map_err`: what was being asked of the kernel.
    pub(crate) fn kernel<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |source| Self::Kernel { doing, source: source.into() }
    }
}
