//! What a command can end with: a kind that decides the exit code, a message, facts, causes, and a hint.
//!
//! The codes are documented and fixed; scripts branch on them. Every error has a hint: its own, or its kind's.

use std::fmt;
use std::process::ExitCode;

pub(crate) use wharf_core::Kind;

/// The result of a command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do now, when the error itself does not know better.
pub(crate) const fn usual_hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "run it again with --debug to see every step",
        Kind::Usage => "`wharf --help` lists the commands, `wharf COMMAND --help` what one takes",
        Kind::Refused => "nothing was made; correct what is named above and run it again",
        Kind::NoSuchMachine => "`wharf ls` shows the machines there are",
        Kind::Unreachable => "check that the machine runs (`wharf ls`) and that no firewall stands between",
        Kind::HostKey => {
            "if the host was really reinstalled, give its new fingerprint with --ssh-host-key; otherwise somebody may be in between"
        }
        Kind::NotAllowed => "check who you are signed in as, and what that account may do",
        Kind::Quota => "ask for less, free something, or try another place",
        Kind::Locked => "wait for the other command to end and run it again",
        Kind::Partial => "run it again for those that failed",
        Kind::Pending => "apply them, or leave things as they are",
        Kind::Hook => "mend the hook, and `wharf apply` runs it again",
        Kind::Cancelled => "`wharf ls` shows what there is; the same command goes on where it stopped",
    }
}

/// What every exit code but nought means. An interrupt ends with the same code as what has none of its own.
pub(crate) const CODES: [(Kind, &str); 12] = [
    (Kind::Failed, "failed"),
    (Kind::Usage, "usage"),
    (Kind::Refused, "refused before anything was made"),
    (Kind::NoSuchMachine, "no such machine"),
    (Kind::Unreachable, "unreachable"),
    (Kind::HostKey, "host key mismatch"),
    (Kind::NotAllowed, "not signed in, or not allowed"),
    (Kind::Quota, "quota or capacity"),
    (Kind::Locked, "locked by another command"),
    (Kind::Partial, "some of several failed"),
    (Kind::Pending, "changes are pending"),
    (Kind::Hook, "a hook failed"),
];

/// One failure, ready to be shown.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) causes: Vec<String>,
    hint: Option<String>,
    /// Shown already; only the exit code is left to give.
    pub(crate) told: bool,
    /// The exit status of a command on a machine, which is passed on as it is.
    status: Option<u8>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            facts: Vec::new(),
            causes: Vec::new(),
            hint: None,
            told: false,
            status: None,
        }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// It was tried and did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Adds what to do now.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a fact.
    #[must_use]
    pub(crate) fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds the cause and everything under it.
    #[must_use]
    pub(crate) fn caused_by(mut self, source: &dyn std::error::Error) -> Self {
        self.causes.extend(chain(source));
        self
    }

    /// Every machine's failure was shown already; only the exit code is left to give.
    pub(crate) fn told(kind: Kind) -> Self {
        Self { told: true, ..Self::new(kind, "some of several failed") }
    }

    /// A command on a machine ended with `status`, and said itself why.
    pub(crate) fn remote(status: i32) -> Self {
        let status = Some(u8::try_from(status).unwrap_or(1));
        Self { told: true, status, ..Self::new(Kind::Failed, "the command on the machine failed") }
    }

    /// The exit status of a command on a machine, where that is what failed.
    pub(crate) const fn status(&self) -> Option<u8> {
        self.status
    }

    /// The fixed exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.status.unwrap_or(self.kind.exit_code()))
    }

    /// What to do now.
    pub(crate) fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or(usual_hint(self.kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<wharf_core::Error> for Error {
    fn from(error: wharf_core::Error) -> Self {
        let mut ours = Self::new(error.kind(), error.message());
        ours.facts = error.facts().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        ours.causes = std::error::Error::source(&error).map(chain).unwrap_or_default();
        ours.causes.retain(|cause| !error.message().contains(cause.as_str()));
        ours.hint = error.advice().map(ToOwned::to_owned);
        ours
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// `error` and what caused it, without repeating what a message already says.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !causes.last().is_some_and(|last| last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// Puts the ends of several machines together: none failed, one kind for one machine, [`Kind::Partial`] for some of
/// several.
pub(crate) fn of_several(total: usize, failures: &[Kind]) -> Option<Kind> {
    match failures {
        [] => None,
        [only] if total == 1 => Some(*only),
        [first, rest @ ..] if failures.len() == total && rest.iter().all(|kind| kind == first) => {
            Some(*first)
        }
        _ => Some(Kind::Partial),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_hint() {
        for kind in [Kind::Failed, Kind::Usage, Kind::Refused, Kind::HostKey, Kind::Locked, Kind::Cancelled] {
            assert!(!Error::new(kind, "x").advice().is_empty());
        }
        assert_eq!(Error::failed("x").hint("do this").advice(), "do this");
    }

    #[test]
    fn several_ends_become_one() {
        use Kind::{Failed, Locked, NoSuchMachine, Partial};
        assert_eq!(of_several(3, &[]), None);
        assert_eq!(of_several(1, &[Locked]), Some(Locked));
        assert_eq!(of_several(2, &[NoSuchMachine]), Some(Partial));
        assert_eq!(of_several(2, &[NoSuchMachine, NoSuchMachine]), Some(NoSuchMachine));
        assert_eq!(of_several(2, &[Failed, NoSuchMachine]), Some(Partial));
    }
}
