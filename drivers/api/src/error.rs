//! What can go wrong in a driver: a kind to branch on, facts to read, a cause to follow, and a hint that stands apart.

use std::fmt;
use std::time::Duration;

/// The result of a driver's verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; the engine, the layers and the exit codes branch on this and on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong, or cannot be honoured; nothing was made. Exit code 3.
    Refused,
    /// Something of that name is there and not ours. Exit code 3.
    NameTaken,
    /// Not signed in, not allowed, or another account than the one that made the machine. Exit code 7.
    NotAllowed,
    /// Quota or capacity. Exit code 8.
    Quota,
    /// Nobody answered. Exit code 5. May be retried.
    Unreachable,
    /// The SSH host key is not the expected one. Exit code 6. Never retried.
    HostKey,
    /// The other side asked for patience; see [`Error::retry_after`]. Retried by the layer.
    Throttled,
    /// A passing fault, such as a 5xx or a reset connection. Retried by the layer.
    Transient,
    /// The deadline passed; the effect may still complete.
    TimedOut,
    /// The person interrupted; nothing more was written.
    Cancelled,
    /// It cannot be removed, since something that is not ours uses it. Only from `destroy`, for what machines share: it
    /// is left.
    InUse,
    /// Everything else. Exit code 1.
    Failed,
}

impl Kind {
    /// Whether the same call may be made again by the retry layer.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Unreachable | Self::Throttled | Self::Transient)
    }
}

/// One failure. The message starts lower-case and says what and because; the hint says what to do now.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    facts: Vec<(&'static str, String)>,
    hint: Option<String>,
    retry_after: Option<Duration>,
    leaves_nothing: Option<bool>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` that `message` describes.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            facts: Vec::new(),
            hint: None,
            retry_after: None,
            leaves_nothing: None,
            source: None,
        }
    }

    /// Adds a fact to read: a request id, a region, a path.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// Adds what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds how long the other side asked us to wait.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds that nothing was made, and that nothing will be: the other side itself said no.
    #[must_use]
    pub const fn leaving_nothing(mut self) -> Self {
        self.leaves_nothing = Some(true);
        self
    }

    /// Adds that something may have been made all the same, or may still be.
    #[must_use]
    pub const fn leaving_something(mut self) -> Self {
        self.leaves_nothing = Some(false);
        self
    }

    /// Whether nothing was made. Unless it was said, two kinds promise that; after any other one only asking tells.
    #[must_use]
    pub fn leaves_nothing(&self) -> bool {
        self.leaves_nothing.unwrap_or(matches!(self.kind, Kind::Refused | Kind::NameTaken))
    }

    /// What to branch on.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The facts, in the order they were added.
    #[must_use]
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.facts
    }

    /// What to do now, for the person.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The cause, taken out.
    #[must_use]
    pub fn into_cause(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.source
    }

    /// How long the other side asked us to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
