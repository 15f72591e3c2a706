//! What happens meanwhile, as events that somebody else draws, and the one thing that must be written down on the way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf_ssh::{HostKey, Session};

/// A part of the whole, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Until SSH answers and lets us in.
    Connect,
    /// What the host is and has.
    Probe,
    /// The agent travels, and the engine's key is made.
    Prepare,
    /// The certificate is installed, and the service started.
    Activate,
    /// The engine answers over mutual TLS.
    Verify,
    /// The SSH host key is replaced.
    RotateHostKey,
    /// Ours is taken off the host.
    Remove,
}

/// How long a phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Which.
    pub phase: Phase,
    /// How long.
    pub took: Duration,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A phase begins.
    Started(Phase),
    /// A phase has ended well.
    Ended(Timing),
    /// The agent is on its way.
    Uploaded {
        /// So many bytes.
        sent: usize,
        /// Of so many.
        total: usize,
    },
    /// A line for a person.
    Note(String),
}

type Written = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Journal<T> = dyn Fn(T) -> Written + Send + Sync;

/// Where events go.
#[derive(Clone)]
pub struct Progress {
    tell: Arc<dyn Fn(Event) + Send + Sync>,
    connected: Option<Arc<Journal<Session>>>,
    host_keys: Option<Arc<Journal<Vec<HostKey>>>>,
}

impl Progress {
    /// Tells this function. It must not block.
    pub fn new(tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), connected: None, host_keys: None }
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Called with the session, before anything is asked of the host: what it and the hosts on the way proved to have
    /// can be written down, so that whatever happens after, they must prove it again.
    #[must_use]
    pub fn on_connected<F>(self, journal: impl Fn(Session) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { connected: Some(Arc::new(move |session| Box::pin(journal(session)))), ..self }
    }

    /// Called with every host key that is good from now on, before a rotation goes on: whatever happens after, one of
    /// them is what the host shows. A rotation needs this.
    #[must_use]
    pub fn on_host_keys<F>(self, journal: impl Fn(Vec<HostKey>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { host_keys: Some(Arc::new(move |keys| Box::pin(journal(keys)))), ..self }
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.tell)(event);
    }

    pub(crate) async fn connected(&self, session: &Session) -> Result<(), String> {
        match &self.connected {
            Some(journal) => journal(session.clone()).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn journal(&self, keys: Vec<HostKey>) -> Result<(), String> {
        match &self.host_keys {
            Some(journal) => journal(keys).await,
            None => Err("nobody writes down the new host key".to_owned()),
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
