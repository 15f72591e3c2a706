//! What can go wrong on the way to a host, each with the facts that a person needs.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Fingerprint, HostKey};

/// Why there is no session, or why it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name has no address.
    #[error("the host name resolves to nothing: {host}")]
    Unresolved {
        /// The name.
        host: String,
    },
    /// Nothing listens there.
    #[error("connection refused by {address}")]
    Refused {
        /// Where.
        address: String,
    },
    /// Nothing answers there: the host is down, or a firewall drops packets.
    #[error("no answer from {address} within {after:.1?}")]
    TimedOut {
        /// Where.
        address: String,
        /// For how long it was tried.
        after: Duration,
    },
    /// There is no way there.
    #[error("no route to {address}")]
    NoRoute {
        /// Where.
        address: String,
    },
    /// The connection opens, and then says nothing: SSH is still starting, or something else listens.
    #[error("{address} takes connections, but no SSH server answered within {after:.1?}")]
    Silent {
        /// Where.
        address: String,
        /// For how long it was tried.
        after: Duration,
    },
    /// Something else than SSH answers.
    #[error("{address} answers, but not as an SSH server: `{said}`")]
    NotSsh {
        /// Where.
        address: String,
        /// Its first words.
        said: String,
    },
    /// The host is another one than expected.
    #[error("the host key of {host} is not the expected one: offered {offered}, expected {}", list(expected))]
    HostKeyMismatch {
        /// Where.
        host: String,
        /// What we know.
        expected: Vec<Fingerprint>,
        /// What it showed.
        offered: Fingerprint,
    },
    /// Nobody has seen this host before.
    #[error("the host key of {host} is not known: {}", offered.fingerprint())]
    HostKeyUnknown {
        /// Where.
        host: String,
        /// What it showed.
        offered: HostKey,
    },
    /// The key was withdrawn in `known_hosts`.
    #[error("the host key of {host} is revoked: {offered}")]
    HostKeyRevoked {
        /// Where.
        host: String,
        /// What it showed.
        offered: Fingerprint,
    },
    /// The host takes none of our keys.
    #[error("{host} accepts no key for the user `{user}` (tried {}; it takes {methods})", tried.join(", "))]
    KeyRejected {
        /// Where.
        host: String,
        /// As whom.
        user: String,
        /// What was shown, and what could not be.
        tried: Vec<String>,
        /// How it would let somebody in.
        methods: String,
    },
    /// A key of ours cannot be used.
    #[error("the SSH key {name} cannot be used: {reason}")]
    Identity {
        /// Its file, or what it is.
        name: String,
        /// Why.
        reason: String,
    },
    /// A host key or fingerprint that was written down is none.
    #[error("this is no host key: `{text}`: {reason}")]
    HostKeyText {
        /// What was written.
        text: String,
        /// Why.
        reason: String,
    },
    /// A `known_hosts` file is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    KnownHosts {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to {host} broke: {reason}")]
    Lost {
        /// Whose.
        host: String,
        /// Why.
        reason: String,
    },
    /// The command did not end in time.
    #[error("{host} did not finish within {after:.1?}")]
    Unfinished {
        /// Whose.
        host: String,
        /// For how long it was waited.
        after: Duration,
    },
    /// A host on the way failed.
    #[error("the jump host {hop}: {source}")]
    Jump {
        /// Which.
        hop: String,
        /// How.
        source: Box<Error>,
    },
    /// The host does not speak as it should.
    #[error("{0}")]
    Protocol(String),
}

/// What to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// See [`Error::Unresolved`].
    Unresolved,
    /// See [`Error::Refused`].
    Refused,
    /// See [`Error::TimedOut`], and [`Error::Unfinished`].
    TimedOut,
    /// See [`Error::NoRoute`].
    NoRoute,
    /// See [`Error::Silent`] and [`Error::NotSsh`].
    NotSsh,
    /// See [`Error::HostKeyMismatch`] and [`Error::HostKeyRevoked`].
    HostKeyMismatch,
    /// See [`Error::HostKeyUnknown`].
    HostKeyUnknown,
    /// See [`Error::KeyRejected`].
    KeyRejected,
    /// A file or text of ours is wrong.
    Input,
    /// See [`Error::Lost`].
    Lost,
    /// See [`Error::Protocol`].
    Protocol,
}

impl Error {
    /// What to branch on; for a jump host, what went wrong there.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unresolved { .. } => Kind::Unresolved,
            Self::Refused { .. } => Kind::Refused,
            Self::TimedOut { .. } | Self::Unfinished { .. } => Kind::TimedOut,
            Self::NoRoute { .. } => Kind::NoRoute,
            Self::Silent { .. } | Self::NotSsh { .. } => Kind::NotSsh,
            Self::HostKeyMismatch { .. } | Self::HostKeyRevoked { .. } => Kind::HostKeyMismatch,
            Self::HostKeyUnknown { .. } => Kind::HostKeyUnknown,
            Self::KeyRejected { .. } => Kind::KeyRejected,
            Self::Identity { .. } | Self::HostKeyText { .. } | Self::KnownHosts { .. } => Kind::Input,
            Self::Lost { .. } => Kind::Lost,
            Self::Jump { source, .. } => source.kind(),
            Self::Protocol(_) => Kind::Protocol,
        }
    }

    /// Whether a host that is still starting would answer like this.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.kind(), Kind::Refused | Kind::TimedOut | Kind::NoRoute | Kind::Lost)
            || matches!(self, Self::Silent { .. })
    }
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
