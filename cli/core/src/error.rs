//! What can go wrong with a machine: a kind to branch on, a message, facts, a cause and a hint that stands apart.

use std::fmt;

use wharf_driver::NameError;

/// The result of the engine's verbs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; exit codes follow from this and from nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Everything that has no kind of its own.
    Failed,
    /// What the person typed is wrong.
    Usage,
    /// Refused before anything was made.
    Refused,
    /// There is no machine of that name.
    NoSuchMachine,
    /// Nobody answered.
    Unreachable,
    /// The SSH host key is not the expected one.
    HostKey,
    /// Not signed in, not allowed, or another account than the one that made the machine.
    NotAllowed,
    /// Quota or capacity.
    Quota,
    /// Another command holds the machine's lock.
    Locked,
    /// Some of several failed.
    Partial,
    /// Changes are pending.
    Pending,
    /// A hook of a fleet failed.
    Hook,
    /// The person interrupted.
    Cancelled,
}

impl Kind {
    /// The process's exit code. Documented and fixed.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Cancelled => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NoSuchMachine => 4,
            Self::Unreachable => 5,
            Self::HostKey => 6,
            Self::NotAllowed => 7,
            Self::Quota => 8,
            Self::Locked => 9,
            Self::Partial => 10,
            Self::Pending => 11,
            Self::Hook => 12,
        }
    }
}

/// One failure. The message starts lower-case and says what and because; the hint says what to do now.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    facts: Vec<(&'static str, String)>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` that `message` describes.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), facts: Vec::new(), hint: None, source: None }
    }

    /// Adds a fact to read: a path, a fingerprint, a region.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// Adds what to do now, unless somebody nearer to the failure said so already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Says what to do now, whatever was said before, because more is known here.
    #[must_use]
    pub fn advise(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says during what it happened.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What to branch on.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What and because.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
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

    /// The same failure once more, for each of several that it is about: without its cause.
    #[must_use]
    pub fn again(&self) -> Self {
        let Self { kind, message, facts, hint, .. } = self;
        Self { kind: *kind, message: message.clone(), facts: facts.clone(), hint: hint.clone(), source: None }
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

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::new(Kind::Refused, error.to_string())
            .hint("use letters, digits, dots and dashes, and begin with a letter or a digit")
    }
}

impl From<wharf_driver::Error> for Error {
    fn from(error: wharf_driver::Error) -> Self {
        use wharf_driver::Kind as Driver;
        let kind = match error.kind() {
            Driver::Refused | Driver::NameTaken => Kind::Refused,
            Driver::NotAllowed => Kind::NotAllowed,
            Driver::Quota => Kind::Quota,
            Driver::Unreachable => Kind::Unreachable,
            Driver::HostKey => Kind::HostKey,
            Driver::Cancelled => Kind::Cancelled,
            Driver::Throttled | Driver::Transient | Driver::TimedOut | Driver::InUse | Driver::Failed => {
                Kind::Failed
            }
        };
        Self {
            kind,
            message: error.to_string(),
            facts: error.facts().to_vec(),
            hint: error.advice().map(ToOwned::to_owned),
            source: error.into_cause(),
        }
    }
}
