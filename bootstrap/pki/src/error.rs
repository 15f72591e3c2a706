//! What can go wrong with a certificate.

/// Why a certificate was not read or not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no PEM, or what it holds is no such thing.
    #[error("the {what} is damaged: {reason}")]
    Damaged {
        /// Which of them: `authority's certificate`, `authority's key`, `certificate`, `intermediate`, `key`, `request`, `serial number`.
        what: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A certificate and a key that do not belong together.
    #[error("the authority's key does not fit its certificate")]
    Misfit,
    /// The certificate is good, but not an authority's.
    #[error("the certificate of `{subject}` is not an authority's")]
    NotAnAuthority {
        /// Its subject's common name.
        subject: String,
    },
    /// Nothing that outlives the authority is signed.
    #[error("the authority has expired: {not_after}")]
    Expired {
        /// When it ended.
        not_after: time::OffsetDateTime,
    },
    /// Neither an address nor a host name.
    #[error("this is neither an address nor a host name: `{0}`")]
    Name(String),
    /// The identity cannot stand in a certificate.
    #[error("an identity is made of letters, digits, `.`, `_` and `-`: `{0}`")]
    Identity(String),
    /// A role that no agent knows.
    #[error("no such role: `{0}`; there are admin, operator and reader")]
    Role(String),
    /// The library that makes certificates refused.
    #[error("cannot make the certificate: {0}")]
    Make(String),
}

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Make(error.to_string())
    }
}
