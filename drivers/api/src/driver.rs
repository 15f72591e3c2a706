//! The trait that a driver author implements, and the values that travel through it.

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    Account, ActionKey, Admission, Door, Found, Jump, MachineSpec, OwnerTag, Plan, Result, Seed, Session,
    Settings,
};

/// A value that stands in a journal: it can be written down, read back by a later release, compared and shown.
/// It never contains a secret.
pub trait Stored: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Stored for T {}

/// What a driver is, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// The name that `--driver` takes.
    pub name: &'static str,
    /// Other names it answers to, docker-machine's among them.
    pub aliases: &'static [&'static str],
    /// One line for `--help`.
    pub summary: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Version of its `Config`, `Action` and `Resource` types; a journal of a newer one is refused.
    pub version: u32,
    /// When [`Driver::settle`] may be believed that nothing is there.
    pub settles: Settles,
}

/// When a started action that left nothing visible may be called undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Settles {
    /// At once: what a cut call had not done by then it will never do (files and processes of this computer, or
    /// hosts that are only taken over).
    AtOnce,
    /// When the intent's deadline and then this long have passed: a cloud finishes cut requests, and its answers lag.
    After(Duration),
}

/// Abilities as data: core asks these instead of calling and failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// `power` works; otherwise `start` and `stop` are refused with a hint.
    pub power: bool,
    /// The machine exists before wharf and stays after it: `rm` leaves the host as it is unless told to purge.
    pub adopts: bool,
    /// The agent is brought to its machines; otherwise somebody else looks after an engine there, or nobody does.
    pub provisions: bool,
    /// The machine takes the SSH host key that [`Seed`] brings, so its first connection is verified.
    pub takes_host_key: bool,
    /// `console` returns something.
    pub console: bool,
    /// A stopped machine may come back under another address.
    pub address_changes: bool,
    /// What goes on costing when the machine is off.
    pub still_paid: StillPaid,
}

/// What of a machine that is off is still paid for, each a sentence for the person; empty where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StillPaid {
    /// After [`Power::Off`].
    pub stopped: &'static str,
    /// After [`Power::Kill`].
    pub killed: &'static str,
    /// After it powered itself off because its time was over.
    pub over: &'static str,
}

impl StillPaid {
    /// For drivers whose machines cost nothing, or nothing that wharf knows of.
    pub const NOTHING: Self = Self { stopped: "", killed: "", over: "" };
}

/// What a call may know beyond its arguments.
#[derive(Clone)]
pub struct Context {
    /// Names this attempt at this action; the idempotency token of clouds that have one. Repeating a call under the
    /// same key must yield the same resource.
    pub key: ActionKey,
    /// Who the machine belongs to; stands inside the creating call.
    pub owner: OwnerTag,
    /// What the machine is born with. `None` in calls that make nothing.
    pub seed: Option<Arc<Seed>>,
    /// No call outlasts this; the deadline layer enforces it, a driver passes it on to servers that take one.
    pub deadline: Instant,
    /// After this is cancelled nothing more is written.
    pub cancel: CancellationToken,
    /// Where a driver reports what it is doing.
    pub progress: Progress,
    /// Where this call may keep things on this computer.
    pub places: Places,
    /// What the command has, whatever machine it is about.
    pub session: Session,
}

/// Folders and files on this computer, handed in because a driver reads no environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Belongs to this machine alone, for drivers that keep files (disks, sockets). Exists, mode 0700.
    pub machine: PathBuf,
    /// Shared by all machines and safe to delete, for downloaded or built images. Exists.
    pub cache: PathBuf,
    /// The program itself, for drivers whose process must outlive the command. It is started again with the
    /// arguments `supervise <driver> <folder of the machine>`.
    pub program: PathBuf,
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("key", &self.key).field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// A stream of short status sentences; drawn by the CLI, dropped by everybody else.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&str) + Send + Sync>);

impl Progress {
    /// Reports to `sink`.
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Reports to nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Says what is being done now, without a final stop.
    pub fn say(&self, what: &str) {
        (self.0)(what);
    }
}

/// The state a machine is in, as `ls` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Up, as far as the driver can tell.
    Running,
    /// Between stopped and running.
    Starting,
    /// Between running and stopped.
    Stopping,
    /// Exists and is off.
    Stopped,
    /// Resources exist, but not the machine itself: a create that is not finished.
    Partial,
    /// Nothing of it exists under the account identity that made it.
    Absent,
    /// The driver cannot tell (a host that exists already is just reached over SSH).
    Unknown,
}

/// What `power` should reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Running.
    On,
    /// Stopped gently, and no longer paid for.
    Off,
    /// Stopped at once, as by pulling the plug.
    Kill,
    /// Restarted gently.
    Restart,
}

/// How to reach a machine over SSH and where its engine's port can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Address or name of the SSH server.
    pub ssh_host: String,
    /// Its port.
    pub ssh_port: u16,
    /// Who to sign in as; root, or somebody who may sudo without a password.
    pub ssh_user: String,
    /// Address or name under which the engine's port is reached; often the same as `ssh_host`.
    pub engine_host: String,
    /// The port there.
    pub engine_port: u16,
    /// What the docker client is told instead of host and port, where somebody else chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How to sign in, where that differs from what a machine made by wharf has: `Access::default()`.
    #[serde(default)]
    pub access: Access,
}

/// How to sign in to a machine over SSH. The default is a machine that wharf made: with the key made for it, straight,
/// and with the host key that it was born with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The private key file to sign in with; `None` is the one that wharf made for this machine.
    pub identity: Option<PathBuf>,
    /// Hosts to go through, the first one first.
    pub jumps: Vec<Jump>,
    /// What its host key must be.
    pub host_key: HostKeyTrust,
}

/// What the host key of a machine must be at the first connection; afterwards it is what was accepted then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKeyTrust {
    /// The one that it was born with: [`crate::Seed::host_key`].
    #[default]
    Seeded,
    /// The one with this fingerprint, `SHA256:…`.
    Fingerprint(String),
    /// One of the person's `known_hosts`, else what the person says when asked, else refused.
    Known,
    /// Whatever it shows, because the person said so; held from then on.
    AcceptNew,
}

/// A machine that is asked about.
#[derive(Debug)]
pub struct Known<'a, R> {
    /// What was made for it.
    pub made: &'a [R],
    /// The state in which its address is known: while it is still in this one, [`Observation::reach`] may be missing,
    /// where it takes a call to find out. `None` asks for everything.
    pub state: Option<State>,
}

impl<R> Clone for Known<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Known<'_, R> {}

impl<'a, R> Known<'a, R> {
    /// A machine of which nothing but this is known.
    #[must_use]
    pub const fn of(made: &'a [R]) -> Self {
        Self { made, state: None }
    }
}

/// What is there now, whatever the journal believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The state of the whole.
    pub state: State,
    /// How to reach it, when it has an address; missing, too, where [`Known::state`] allows it.
    pub reach: Option<Reach>,
    /// What is wrong with it though it runs, such as a published port that could not be bound.
    pub warnings: Vec<String>,
}

/// What a place is, for a person who sets it up as a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What was found out or chosen, by flag: what machines there are to be configured with, and how to sign in.
    pub settings: Settings,
    /// What else a person wants to know, each with its name.
    pub facts: Vec<(&'static str, String)>,
}

/// A place where machines are made. See the crate's page for the order of calls.
pub trait Driver: Debug + Send + Sync + Sized + 'static {
    /// Name, summary, capabilities, version of the types below.
    const ABOUT: About;
    /// What the user may set, parsed; secrets redacted in `Debug`.
    type Config: Stored;
    /// Closed enum: one thing that leaves something behind.
    type Action: Stored;
    /// Closed enum: what it left, and `destroy` takes away.
    type Resource: Stored;

    /// Authenticates, and checks what can be checked without changing anything (quota, image, size, name).
    /// Everything that can be refused is refused here or in `plan`, with [`crate::Kind::Refused`].
    fn connect(config: Self::Config, cx: &Context) -> impl Future<Output = Result<Self>> + Send;

    /// The account that this connection speaks for; `None` where there are no accounts. It stands in the machine's
    /// journal, and whoever connects for that machine later under another one is told so before anything is asked.
    fn account(&self) -> Option<Account> {
        None
    }

    /// What the place is and offers, for a profile of it. Reads only.
    fn survey(&self, _: &Context) -> impl Future<Output = Result<Survey>> + Send {
        std::future::ready(Ok(Survey::default()))
    }

    /// Turns a wish, and what is there now, into steps with their dependencies, so that independent ones run at once.
    /// Every step is fully resolved: image version, zone, size. Reads only. An empty plan means nothing to do.
    fn plan(
        &self,
        spec: &MachineSpec,
        now: Option<&Observation>,
        cx: &Context,
    ) -> impl Future<Output = Result<Plan<Self::Action>>> + Send;

    /// Performs one action and converges. Repeating it under the same `cx.key` yields the same resource; finding
    /// something of that name that is not ours is [`crate::Kind::NameTaken`], never overwritten.
    fn perform(
        &self,
        action: &Self::Action,
        made: &[Self::Resource],
        cx: &Context,
    ) -> impl Future<Output = Result<Self::Resource>> + Send;

    /// Settles a started action whose end nobody saw: what it left, by its key (GET by name, or the same call with
    /// the same token), or `None` when nothing is there *yet*; the engine asks again until the intent's deadline and
    /// [`About::settles`] have passed. What is on its way out is not there. Reads only.
    fn settle(
        &self,
        action: &Self::Action,
        cx: &Context,
    ) -> impl Future<Output = Result<Option<Self::Resource>>> + Send;

    /// What is there now; many machines in one call where the cloud can. One answer for each machine, in order.
    fn observe(
        &self,
        machines: &[Known<'_, Self::Resource>],
        cx: &Context,
    ) -> impl Future<Output = Result<Vec<Observation>>> + Send;

    /// Starts, stops (and stops paying), or resets. Being there already is success.
    fn power(
        &self,
        made: &[Self::Resource],
        to: Power,
        cx: &Context,
    ) -> impl Future<Output = Result<()>> + Send;

    /// What the machine's rules say of this client, [`Session::client`]. Reads only.
    fn admission(&self, _: &[Self::Resource], _: &Context) -> impl Future<Output = Result<Admission>> + Send {
        std::future::ready(Ok(Admission::Unguarded))
    }

    /// Changes what they say of it, and of nobody else. Asked only where [`Driver::admission`] has an answer; that it
    /// is so already is success.
    fn admit(
        &self,
        _: &[Self::Resource],
        _: Door<'_>,
        _: &Context,
    ) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Removes one resource. Being gone already is success. What machines share is asked for only when no machine of
    /// the store uses it any more; if something else does, that is [`crate::Kind::InUse`].
    fn destroy(&self, resource: &Self::Resource, cx: &Context) -> impl Future<Output = Result<()>> + Send;

    /// Everything in the account that carries the tag of a store, whichever, and since when: for what no journal names,
    /// and for a lost store. What is on its way out may be missing. Reads only.
    fn find_owned(&self, cx: &Context) -> impl Future<Output = Result<Found<Self::Resource>>> + Send;

    /// Puts the tags back that the creating call put on what is a machine's own, beside those that others put there. That
    /// they are there already is success. Asked only where there are accounts.
    fn mark(&self, _: &Self::Resource, _: &Context) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// The tail of the machine's console, where there is one.
    fn console(
        &self,
        made: &[Self::Resource],
        cx: &Context,
    ) -> impl Future<Output = Result<Option<String>>> + Send;
}
