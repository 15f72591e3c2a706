//! What every verb is given beside its own arguments: until when, how to stop it, and where to say what it does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_driver::MachineName;

/// One command's frame.
#[derive(Debug, Clone)]
pub struct Call {
    /// The command as typed, without values that could be secret; stands in the lock for others to read.
    pub command: String,
    /// The whole verb ends within this, one way or the other.
    pub deadline: Duration,
    /// How long to wait for a machine that another command holds.
    pub lock_wait: Duration,
    /// Cancelled when the person interrupts: the verb ends soon, and what it made stands in the journal.
    pub cancel: CancellationToken,
    /// Where events go.
    pub events: Sink,
    /// Asked whether a host key that nothing vouches for is right. `None`: nobody is there to ask.
    pub confirm: Option<Confirm>,
}

impl Call {
    /// A call that reports to nobody and asks nobody.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            deadline: Duration::from_secs(600),
            lock_wait: Duration::from_secs(60),
            cancel: CancellationToken::new(),
            events: Sink::silent(),
            confirm: None,
        }
    }
}

/// What a verb says while it works, to be drawn by whoever called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The machine that it is about.
    pub machine: MachineName,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A phase of the verb began; it ends when the next one begins or the verb ends.
    Phase(Phase),
    /// One of the driver's steps began.
    StepStarted {
        /// Unique among the machine's steps.
        name: String,
        /// One line for people.
        summary: String,
    },
    /// A step ended well.
    StepDone {
        /// The step.
        name: String,
    },
    /// A step ended badly; the verb's error says why.
    StepFailed {
        /// The step.
        name: String,
    },
    /// What is being done right now, in a few words.
    Doing(String),
    /// Something the person should know, and that stops nothing.
    Warning(String),
    /// Waiting for another command that holds the machine.
    Waiting {
        /// Who holds it.
        holder: String,
    },
}

/// The phases of the verbs, in the order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking at what can be checked without changing anything.
    Checking,
    /// Finding out what became of actions that an earlier command began.
    Settling,
    /// The driver makes the machine.
    Making,
    /// Waiting until it has an address.
    Addressing,
    /// Bringing the agent to it.
    Bootstrapping,
    /// Starting, stopping or restarting it.
    Powering,
    /// New certificates.
    Certifying,
    /// Another agent is put in the place of the one that is there.
    Upgrading,
    /// Certificates are taken back.
    Revoking,
    /// Its tags are put back.
    Marking,
    /// Removing it.
    Removing,
}

/// Where events go.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Event) + Send + Sync>);

impl Sink {
    /// Sends them to `sink`, which must not block.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops them.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Says that `what` happened to `machine`.
    pub fn say(&self, machine: &MachineName, what: What) {
        (self.0)(Event { machine: machine.clone(), what });
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// A question about a host key, answered with yes or no.
#[derive(Clone)]
pub struct Confirm(Arc<dyn Fn(&HostKeyQuestion) -> bool + Send + Sync>);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyQuestion {
    /// The host, with its port where it is not 22.
    pub host: String,
    /// The key's type, `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
}

impl Confirm {
    /// Asks `ask`, which may block: it is called off the async threads.
    pub fn new(ask: impl Fn(&HostKeyQuestion) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Asks.
    #[must_use]
    pub fn ask(&self, question: &HostKeyQuestion) -> bool {
        (self.0)(question)
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirm")
    }
}
