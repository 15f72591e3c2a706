//! Failures of the bootstrap, of SSH and of the agent's client, as the engine's kinds.
//!
//! Refused, unreachable, host key and not allowed mean that nothing was changed on the host; whatever happens later is
//! failed, so that nobody forgets a host that already holds something of ours.

use std::io::ErrorKind;

use wharf_bootstrap::Kind as Boot;
use wharf_ssh::Kind as Ssh;

use crate::{Error, Kind};

pub(super) fn of_bootstrap(error: wharf_bootstrap::Error) -> Error {
    let hint = error.hint();
    if let wharf_bootstrap::Error::Ssh(ssh) = error {
        let error = of_ssh(ssh);
        return match hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
    }
    let kind = match error.kind() {
        Boot::NotAllowed => Kind::NotAllowed,
        Boot::Unsupported | Boot::PortTaken | Boot::NoRoom | Boot::Input => Kind::Refused,
        _ => Kind::Failed,
    };
    let (message, facts) = split(error);
    let mut ours =
        facts.into_iter().fold(Error::new(kind, message), |error, (name, value)| error.fact(name, value));
    if let Some(hint) = hint {
        ours = ours.hint(hint);
    }
    ours
}

/// A log is a fact to read under the message, not a part of it.
fn split(error: wharf_bootstrap::Error) -> (String, Vec<(&'static str, String)>) {
    match error {
        wharf_bootstrap::Error::AgentFailed { log } => {
            ("the agent was started and does not stay up".to_owned(), vec![("the end of its log", log)])
        }
        other => (other.to_string(), Vec::new()),
    }
}

pub(super) fn of_ssh(error: wharf_ssh::Error) -> Error {
    let kind = match (&error, error.kind()) {
        (wharf_ssh::Error::Unfinished { .. }, _) => Kind::Failed,
        (_, Ssh::HostKeyMismatch) => Kind::HostKey,
        (_, Ssh::KeyRejected) => Kind::NotAllowed,
        (_, Ssh::HostKeyUnknown | Ssh::Input) => Kind::Refused,
        (_, Ssh::Unresolved | Ssh::Refused | Ssh::TimedOut | Ssh::NoRoute | Ssh::NotSsh) => Kind::Unreachable,
        _ => Kind::Failed,
    };
    let (message, mismatch) = (error.to_string(), mismatch(&error));
    match mismatch {
        Some((host, expected, offered)) => {
            Error::new(kind, format!("the SSH host key of {host} is not the expected one"))
                .fact("expected", expected)
                .fact("offered", offered)
                .hint("somebody may be listening in, or the host was made anew: compare the fingerprint on the host's console")
        }
        None => Error::new(kind, message).caused_by(error),
    }
}

/// On the way to an engine: a connection that broke is one that can be made again.
pub(super) fn of_way(error: wharf_ssh::Error) -> Error {
    if error.kind() == Ssh::Lost {
        return Error::new(Kind::Unreachable, error.to_string()).caused_by(error);
    }
    of_ssh(error)
}

fn mismatch(error: &wharf_ssh::Error) -> Option<(String, String, String)> {
    match error {
        wharf_ssh::Error::HostKeyMismatch { host, expected, offered } => {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            Some((host.clone(), expected.join(" or "), offered.to_string()))
        }
        wharf_ssh::Error::Jump { source, .. } => mismatch(source),
        _ => None,
    }
}

pub(super) fn of_engine(error: wharfd_client::Error) -> Error {
    // Forwarded ports take connections before anything listens behind them, and then drop them.
    let dropped =
        |kind| matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    let kind = match &error {
        error if error.is_unreachable() => Kind::Unreachable,
        wharfd_client::Error::Handshake { source, .. } if dropped(source.kind()) => Kind::Unreachable,
        wharfd_client::Error::Handshake { .. } | wharfd_client::Error::Refused { status: 401 | 403, .. } => {
            Kind::NotAllowed
        }
        _ => Kind::Failed,
    };
    let message = error.to_string();
    Error::new(kind, message).caused_by(error)
}
