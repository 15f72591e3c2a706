//! What can go wrong between here and the engine, told apart by what a person would do about it.

use std::io;
use std::path::PathBuf;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our own certificates are no good.
    #[error("the {what} cannot be used: {why}")]
    Credentials {
        /// Which of them.
        what: &'static str,
        /// The library's reason.
        why: String,
    },
    /// Nobody answers at the address.
    #[error("cannot connect to {place}: {source}")]
    Connect {
        /// Where.
        place: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Nobody answers at the socket.
    #[error("cannot connect to {}: {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody answers, and it is not the machine's engine, or it does not accept us.
    #[error("the handshake with {place} failed: {source}")]
    Handshake {
        /// Where.
        place: String,
        /// The library's reason.
        source: io::Error,
    },
    /// The connection broke in the middle.
    #[error("the connection to the engine broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The engine answered that it won't.
    #[error("the engine refused: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The engine answered something else than expected.
    #[error("the engine's answer to {path} is not understood: {source}")]
    Unexpected {
        /// What was asked.
        path: String,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// The path is none.
    #[error("{0:?} is no path")]
    Path(String),
}

impl Error {
    /// Whether nobody answered, so that trying again later may help. A forwarder that accepts before anybody listens
    /// behind it hangs up in the middle of the handshake: that is nobody, too.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Socket { .. } | Self::Broken(_) => true,
            Self::Handshake { source, .. } => {
                matches!(source.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hanging_up_is_not_refusing() {
        let handshake = |kind: io::ErrorKind| Error::Handshake { place: String::new(), source: kind.into() };
        assert!(handshake(io::ErrorKind::ConnectionReset).is_unreachable());
        assert!(!handshake(io::ErrorKind::InvalidData).is_unreachable());
    }
}
