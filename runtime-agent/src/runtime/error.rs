//! What can go wrong with a container's processes. Travels between shim and daemon.

use serde::{Deserialize, Serialize};

/// Of what concerns containers' processes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The texts of [`Error::Executable`] and [`Error::Permission`] are runc's: docker's client reads exit codes 127 and
/// 126 out of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "message", rename_all = "kebab-case")]
pub enum Error {
    /// There is no such program in the container.
    #[error("{0}")]
    Executable(String),
    /// The program is there but may not be executed.
    #[error("{0}")]
    Permission(String),
    /// The request makes no sense: no terminal to resize, an id in use, a started container started again.
    #[error("{0}")]
    Invalid(String),
    /// There is no process of that name in this container.
    #[error("no such process: {0}")]
    NotFound(String),
    /// The process has ended.
    #[error("process is not running")]
    NotRunning,
    /// The shim does not answer any more.
    #[error("the container's shim is gone: {0}")]
    Gone(String),
    /// The shim speaks a version of the protocol that this daemon does not.
    #[error("the container's shim speaks protocol version {0}")]
    Version(u32),
    /// The runtime refused; its own words.
    #[error("{0}")]
    Runtime(String),
    /// A failure of the system's: what was being done, and why it failed.
    #[error("{0}")]
    System(String),
}

impl Error {
    pub(crate) fn system(doing: &str, why: impl std::fmt::Display) -> Self {
        Self::System(format!("{doing}: {why}"))
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|why| Error::system(&doing(), why))
    }
}
