//! The seam to what happens on the machine itself: bringing the agent there, changing its certificates, taking it
//! away, and asking its engine. The real one is a thin adapter over the bootstrap's own crate.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wharf_driver::{MachineId, MachineName, Progress, Reach, Secret};
use wharf_pki::{Authority, Leaf, Revocations};

pub use wharfd_client::Duplex;

use crate::{Confirm, EngineFacts, EngineOptions, Error, JumpKeys, PlannedStep, Result, Timing};

/// What happens on the machine itself. Every verb may be repeated; repeating is repair.
pub trait Bootstrap: fmt::Debug + Send + Sync {
    /// Whether it has what it needs on this computer, such as the agent's executable. Asks nobody else.
    ///
    /// # Errors
    /// Refused, naming what is missing.
    fn check(&self) -> Result<()>;

    /// What [`Bootstrap::provision`] would do. Changes nothing on the machine.
    fn plan<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Vec<PlannedStep>>>;

    /// Brings the agent to the machine and proves from here that it answers. An error of kind refused, unreachable,
    /// host key or not allowed means that nothing was changed there.
    fn provision<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Outcome>>;

    /// Gives the engine a new server certificate without restarting it; when it ends, in seconds since 1970.
    fn certify<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<u64>>;

    /// Has the engine refuse the clients' certificates that were taken back, without restarting it, and proves it.
    fn revoke<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<()>>;

    /// Puts another agent in the place of the one that answers; one that is no good is taken back. Containers go on.
    fn upgrade<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Upgrade>>;

    /// Takes the agent and its data away. Being gone already is success.
    fn purge<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<()>>;

    /// Restarts the machine from within.
    fn restart<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<()>>;

    /// Signs in over SSH and runs a command, where one is given.
    fn run<'a>(
        &'a self,
        host: &'a Host,
        command: Option<&'a str>,
        input: &'a [u8],
    ) -> BoxFuture<'a, Result<Ran>>;

    /// Opens a connection to a port of the machine itself, over SSH.
    fn tunnel<'a>(&'a self, host: &'a Host, port: u16) -> BoxFuture<'a, Result<Box<dyn Duplex>>>;

    /// Asks the engine what it is.
    fn ask<'a>(&'a self, engine: &'a Engine) -> BoxFuture<'a, Result<EngineFacts>>;
}

/// A machine that answers SSH, and until when to be done with it.
#[derive(Clone)]
pub struct Host {
    /// Its id.
    pub machine: MachineId,
    /// Its name.
    pub name: MachineName,
    /// How it is reached.
    pub reach: Reach,
    /// The key that wharf made for it, in OpenSSH's format; [`wharf_driver::Access::identity`] goes first.
    pub key: Secret<String>,
    /// The host keys accepted so far. When there are none, [`wharf_driver::Access::host_key`] says what is.
    pub host_keys: Vec<String>,
    /// Those of the hosts on the way. For one that is missing, the person's own files say what is good.
    pub jump_keys: Vec<JumpKeys>,
    /// Everything ends by then.
    pub deadline: Instant,
    /// Ends everything.
    pub cancel: CancellationToken,
    /// Asked about a host key that nothing vouches for.
    pub confirm: Option<Confirm>,
    /// Where to say what is being done.
    pub progress: Progress,
    /// Told which host keys are accepted from now on, before anything relies on them.
    pub accept: Accept,
    /// Told when the first change to the host is about to be made.
    pub changes: Changes,
}

/// An engine to bring to a host.
#[derive(Debug, Clone)]
pub struct Provision {
    /// The host.
    pub host: Host,
    /// What the server certificate holds: addresses and names.
    pub names: Vec<String>,
    /// What the engine should be.
    pub options: EngineOptions,
    /// Who signs.
    pub authority: Arc<Authority>,
    /// Whose certificates were taken back.
    pub revoked: Revocations,
    /// Who signs in to the engine.
    pub client: Arc<Leaf>,
    /// Whether the host key came with the seed, which others could read, and is to be replaced.
    pub rotate_host_key: bool,
}

/// What a provision did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The host keys that the host has now.
    pub host_keys: Vec<String>,
    /// The engine's version.
    pub engine: String,
    /// When the server certificate ends, in seconds since 1970.
    pub expires: u64,
    /// The SHA-256 of the agent, in hex.
    pub agent: String,
    /// What was found out about the host.
    pub facts: Value,
    /// How long each part took.
    pub timings: Vec<Timing>,
}

/// What came of another agent, where the engine answers.
#[derive(Debug, Clone)]
pub enum Upgrade {
    /// It is in force.
    Done {
        /// What there is now.
        outcome: Box<Outcome>,
        /// The version that was there before.
        before: String,
    },
    /// It was no good, and the one before it is in force again.
    RolledBack {
        /// What was wrong with it.
        because: Arc<Error>,
        /// The version that answers.
        before: String,
    },
}

/// What came of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// An engine to ask.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The machine's id, which its certificate must hold.
    pub machine: MachineId,
    /// Address or name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The port that it listens on inside the machine.
    pub listen: u16,
    /// The way to it, where it is not reached from here.
    pub through: Option<Host>,
    /// The authority's certificate.
    pub authority_pem: String,
    /// Who signs in.
    pub client: Arc<Leaf>,
}

/// Remembers whether anything on a host was about to be changed, for whoever must know after a cut or a failure.
#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<AtomicBool>);

impl Changes {
    /// From now on something may be changed.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether something may have been changed.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Host keys to write into the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// From now on exactly these are the machine's.
    Keys(Vec<String>),
    /// A connection was made, and these were shown: kept where nothing was accepted before.
    Shown {
        /// By the machine.
        host: String,
        /// By the hosts on the way.
        jumps: Vec<JumpKeys>,
    },
}

/// Writes accepted host keys into the journal.
#[derive(Clone)]
pub struct Accept(Arc<Record>);

type Record = dyn Fn(Accepted) -> BoxFuture<'static, Result<()>> + Send + Sync;

impl Accept {
    /// Writes by `record`.
    pub fn new(record: impl Fn(Accepted) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(record))
    }

    /// Writes nothing down: for whoever only looks.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(|_| Box::pin(async { Ok(()) }))
    }

    /// From now on exactly these are accepted; on the disk when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn keys(&self, keys: Vec<String>) -> Result<()> {
        (self.0)(Accepted::Keys(keys)).await
    }

    /// A connection was made, and these keys were shown; on the disk when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn shown(&self, host: String, jumps: Vec<JumpKeys>) -> Result<()> {
        (self.0)(Accepted::Shown { host, jumps }).await
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).field("reach", &self.reach).finish_non_exhaustive()
    }
}
