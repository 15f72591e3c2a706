//! What can go wrong in the engine: a kind that the API turns into a status, and the text that the client reads.
//!
//! The message is for the client and follows dockerd's wording where scripts match on it; the source is for the log.

use std::fmt;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What to branch on. The API maps each to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NotModified,
    Invalid,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    Internal,
    Unimplemented,
    Unavailable,
}

#[derive(Debug)]
pub(crate) struct Error {
    kind: Kind,
    message: String,
    /// The exit code of a program, where that is the failure.
    code: Option<i64>,
    source: Option<Source>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, source: None }
    }

    pub(crate) fn not_modified() -> Self {
        Self::new(Kind::NotModified, "")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub(crate) fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Kind::Unimplemented, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A failure of ours: what we were doing, and why it failed. Both reach the client, as with dockerd.
    pub(crate) fn internal(doing: &str, source: impl Into<Source>) -> Self {
        let source = source.into();
        let message = format!("{doing}: {}", chain(&*source));
        Self { kind: Kind::Internal, message, code: None, source: Some(source) }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that a program ended so.
    pub(crate) const fn with_code(mut self, code: i64) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) const fn code(&self) -> Option<i64> {
        self.code
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error and its causes in one line, each once: wrappers often repeat what they wrap.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_names_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the record: {0}")]
        struct Wrapper(#[source] std::io::Error);
        let error = Error::internal("starting x", Wrapper(std::io::Error::other("disk full")));
        assert_eq!(error.to_string(), "starting x: cannot open the record: disk full");
        assert_eq!(error.kind(), Kind::Internal);
    }
}
