//! Why a host is no container host yet, each with what a person can do about it.

use std::path::PathBuf;

use crate::Architecture;

/// What stopped a bootstrap. Those up to [`AgentFile`](Error::AgentFile) are found before anything has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session with the host.
    #[error(transparent)]
    Ssh(#[from] wharf_ssh::Error),
    /// The user cannot become root.
    #[error("the user `{user}` is not root and cannot become root: {reason}")]
    NotAllowed {
        /// Who signed in.
        user: String,
        /// What sudo said.
        reason: String,
    },
    /// Not a Linux of this processor.
    #[error("the host is {host}, and the agent is for {agent}")]
    Architecture {
        /// System and processor of the host.
        host: String,
        /// What the executable is for.
        agent: Architecture,
    },
    /// The kernel is too old, or lacks something.
    #[error("the host's kernel {release} cannot run containers: {lacks}")]
    Kernel {
        /// `uname -r`.
        release: String,
        /// What is missing.
        lacks: String,
    },
    /// Somebody else has the engine's port.
    #[error("port {port} on the host is taken{}", by(owner))]
    PortTaken {
        /// Which.
        port: u16,
        /// By which program, where that can be told.
        owner: String,
    },
    /// There is no room.
    #[error("the disk of {path} on the host is full: {free} KB free, {needed} KB needed")]
    DiskFull {
        /// Where.
        path: String,
        /// What there is.
        free: u64,
        /// What it takes.
        needed: u64,
    },
    /// There is no folder for the agent.
    #[error("no folder on the host can hold the agent: {tried}")]
    NoFolder {
        /// Each with its reason.
        tried: String,
    },
    /// The agent to install is missing or no such thing.
    #[error("the agent {} cannot be used: {reason}", path.display())]
    AgentFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A step failed on the host.
    #[error("{step} failed on the host: {said}")]
    Step {
        /// Which.
        step: &'static str,
        /// What the host said.
        said: String,
    },
    /// The agent was started and does not run.
    #[error("the agent does not stay up; the end of its log:\n{log}")]
    AgentFailed {
        /// The end of its log.
        log: String,
    },
    /// The agent listens, and cannot be reached from here.
    #[error(
        "the agent listens on port {listen} of the host, but {address} cannot be reached from here: {reason}"
    )]
    PortClosed {
        /// Where it was tried.
        address: String,
        /// Where it listens.
        listen: u16,
        /// What happened.
        reason: String,
    },
    /// The engine answers, but not to us.
    #[error("the engine at {address} does not accept us, or is not the one we installed: {reason}")]
    Handshake {
        /// Where.
        address: String,
        /// What happened.
        reason: String,
        /// How far the host's clock is ahead of ours.
        skew: i64,
    },
    /// A certificate could not be made or read.
    #[error(transparent)]
    Certificate(#[from] wharf_pki::Error),
    /// Our own certificates do not make a client.
    #[error("our certificates cannot be used: {0}")]
    Client(wharfd_client::Error),
    /// The host answered something else than expected.
    #[error("the host's answer is not understood: {reason}: `{said}`")]
    Answer {
        /// Why.
        reason: String,
        /// What it was.
        said: String,
    },
    /// The new host key could not be written down; nothing was replaced.
    #[error("the SSH host key was not replaced: {0}")]
    Journal(String),
    /// What the host proved could not be written down; nothing was asked of it.
    #[error("the host keys could not be written down: {0}")]
    Unrecorded(String),
    /// There was no time left.
    #[error("out of time while waiting for {0}")]
    Deadline(&'static str),
}

/// What to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// See [`wharf_ssh::Kind`].
    Ssh(wharf_ssh::Kind),
    /// The user cannot become root.
    NotAllowed,
    /// Processor or kernel.
    Unsupported,
    /// Another program has the port.
    PortTaken,
    /// Disk full, read-only or `noexec`.
    NoRoom,
    /// Something of ours: agent or certificates.
    Input,
    /// The agent or a step failed on the host.
    Failed,
    /// The engine cannot be reached from here.
    Unreachable,
}

impl Error {
    /// What to branch on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ssh(error) => Kind::Ssh(error.kind()),
            Self::NotAllowed { .. } => Kind::NotAllowed,
            Self::Architecture { .. } | Self::Kernel { .. } => Kind::Unsupported,
            Self::PortTaken { .. } => Kind::PortTaken,
            Self::DiskFull { .. } | Self::NoFolder { .. } => Kind::NoRoom,
            Self::AgentFile { .. } | Self::Certificate(_) | Self::Client(_) => Kind::Input,
            Self::Step { .. }
            | Self::AgentFailed { .. }
            | Self::Answer { .. }
            | Self::Journal(_)
            | Self::Unrecorded(_) => Kind::Failed,
            Self::PortClosed { .. } | Self::Handshake { .. } | Self::Deadline(_) => Kind::Unreachable,
        }
    }

    /// What to do now, where that can be said.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ssh(error) => return ssh_hint(error.kind()).map(str::to_owned),
            Self::NotAllowed { user, .. } => format!(
                "sign in as root, or let `{user}` use sudo without a password: echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}"
            ),
            Self::Architecture { .. } => {
                "build the agent for the host's processor, and name it with --agent".to_owned()
            }
            Self::Kernel { .. } => "use a host with a newer or more complete kernel".to_owned(),
            Self::PortTaken { port, .. } => {
                format!(
                    "stop the program that listens on port {port}, or choose another with --ssh-engine-port"
                )
            }
            Self::DiskFull { path, .. } => {
                format!("make room in {path} on the host, then run the command again")
            }
            Self::NoFolder { .. } => "make one of these folders writable and executable".to_owned(),
            Self::AgentFile { .. } => {
                "build it with runtime-agent/build.sh, and name it with --agent".to_owned()
            }
            Self::PortClosed { address, .. } => {
                format!(
                    "open the way to {address} in the firewall or security group, then run the command again"
                )
            }
            Self::Handshake { skew, .. } if skew.abs() > 60 => {
                format!("the host's clock is {skew} s ahead of this computer's: set both right")
            }
            Self::Step { .. } | Self::AgentFailed { .. } | Self::Handshake { .. } | Self::Deadline(_) => {
                "run the command again: what is done already is kept".to_owned()
            }
            Self::Certificate(_)
            | Self::Client(_)
            | Self::Answer { .. }
            | Self::Journal(_)
            | Self::Unrecorded(_) => return None,
        })
    }
}

fn ssh_hint(kind: wharf_ssh::Kind) -> Option<&'static str> {
    use wharf_ssh::Kind as Ssh;
    Some(match kind {
        Ssh::Unresolved => "check the spelling of the address",
        Ssh::Refused => "check the port, and that an SSH server runs on the host",
        Ssh::TimedOut => "check the address, and that no firewall drops the SSH port",
        Ssh::NoRoute => "check the address, and the network between",
        Ssh::NotSsh => "check the port: it is no SSH server that listens there",
        Ssh::HostKeyMismatch => {
            "somebody may be listening in, or the host was made anew: compare the fingerprint on the host's console"
        }
        Ssh::HostKeyUnknown => {
            "compare the fingerprint on the host's console, then pass it with --ssh-host-key, or accept it with --ssh-accept-new-host-key"
        }
        Ssh::KeyRejected => {
            "check the user and the key, and that the key stands in the host's authorized_keys"
        }
        _ => return None,
    })
}

fn by(owner: &str) -> String {
    if owner.is_empty() { String::new() } else { format!(" by `{owner}`") }
}
