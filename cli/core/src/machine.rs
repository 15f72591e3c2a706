//! What the verbs take and give: wishes, and views of machines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_driver::{Jump, MachineId, MachineName, Reach, Secret, State};

use crate::{Error, Hook, Kind, Result};

/// A machine that somebody wants.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// What it will be called.
    pub name: MachineName,
    /// The driver's name or one of its aliases.
    pub driver: String,
    /// The driver's own configuration, as JSON of its `Config` type.
    pub config: Value,
    /// What its engine should be.
    pub options: EngineOptions,
    /// How long it is wanted for: then its engine takes no new containers, and it is powered off where wharf made it.
    /// `None` means until somebody removes it.
    pub expires: Option<Duration>,
    /// Whether the machine alone is wanted, without an engine.
    pub bare: bool,
    /// The fleet that it belongs to.
    pub fleet: Option<String>,
    /// What is run once it has joined that.
    pub hooks: Vec<Hook>,
}

/// A machine that another program made and set up.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The machine, with a driver that takes over what exists.
    pub machine: CreateRequest,
    /// The program.
    pub from: String,
    /// How it is reached, as that program remembered it.
    pub reach: Reach,
    /// What opens its engine; `None` where there are none.
    pub certificates: Option<Certificates>,
    /// The private key that signs in over SSH, to be kept at [`crate::Wharf::imported_key`].
    pub sign_in: Option<Secret<String>>,
}

/// What a docker client talks to one engine with, as PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority that signed the engine's certificate.
    pub authority: String,
    /// The client's certificate.
    pub client: String,
    /// Its key.
    pub key: Secret<String>,
}

impl Certificates {
    /// When the client's certificate ends.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn ends(&self) -> Result<SystemTime> {
        let parsed = wharf_pki::Certificate::parse(&self.client).map_err(|e| {
            Error::new(Kind::Failed, format!("the client certificate cannot be read: {e}")).caused_by(e)
        })?;
        Ok(parsed.not_after().into())
    }
}

/// What an engine should be. Stands in the journal, so no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineOptions {
    /// The port that the engine listens on inside the machine.
    pub port: u16,
    /// `key=value`.
    pub labels: Vec<String>,
    /// Registries asked before the official one.
    pub registry_mirrors: Vec<String>,
    /// Registries spoken to without a verified certificate.
    pub insecure_registries: Vec<String>,
    /// The authorities that registries are believed by, as PEM.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub registry_authorities: BTreeMap<String, String>,
    /// Names and addresses that the server certificate holds beside the machine's own.
    pub extra_names: Vec<String>,
    /// `KEY=value` in the engine's environment, such as `HTTPS_PROXY`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Further flags of the engine, as they are.
    pub arguments: Vec<String>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            port: 2376,
            labels: Vec::new(),
            registry_mirrors: Vec::new(),
            insecure_registries: Vec::new(),
            registry_authorities: BTreeMap::new(),
            extra_names: Vec::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

/// How a machine was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// On a host that existed before: take the agent and its data away too.
    pub purge: bool,
    /// Forget the machine even when what it is made of cannot be removed or asked about.
    pub force: bool,
}

/// What a removal left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What is still there and why, as sentences; empty when nothing is.
    pub left: Vec<String>,
}

/// How a create ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Created {
    /// How to reach the machine.
    pub connection: Connection,
    /// Whether an earlier, unfinished create was continued.
    pub resumed: bool,
    /// How long each phase took, in order.
    pub timings: Vec<Timing>,
}

/// How long something took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// What.
    pub what: String,
    /// How long.
    pub milliseconds: u64,
}

/// A step that would be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Whose step: `driver` or `bootstrap`.
    pub part: &'static str,
    /// What it does: `create`, `adopt`, `install` …
    pub verb: String,
    /// The name of what it leaves.
    pub name: String,
    /// One line for people.
    pub summary: String,
}

/// Everything needed to reach a machine, known without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Its name.
    pub name: MachineName,
    /// Its id.
    pub id: MachineId,
    /// The driver's name.
    pub driver: String,
    /// `tcp://host:port`, the value of `DOCKER_HOST`.
    pub url: String,
    /// The port of this computer that `url` names where the engine is reached through other hosts: `wharf tunnel`
    /// answers there while it runs.
    pub tunnel: Option<u16>,
    /// Address or name of the engine.
    pub engine_host: String,
    /// Its port.
    pub engine_port: u16,
    /// The folder of `ca.pem`, `cert.pem` and `key.pem`, the value of `DOCKER_CERT_PATH`.
    pub certificates: PathBuf,
    /// The machine's own folder.
    pub folder: PathBuf,
    /// How to sign in.
    pub ssh: SshAccess,
    /// Where the machine is in its life; only a ready one has an engine that answered.
    pub life: Life,
}

/// How to sign in over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshAccess {
    /// Address or name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who.
    pub user: String,
    /// The private key file; `None` where the person's own keys and agent sign in, or `held` says otherwise.
    pub identity: Option<PathBuf>,
    /// The public key file, where the private key is in a keyring or encrypted: [`crate::Wharf::held_key`] has it.
    pub held: Option<PathBuf>,
    /// A `known_hosts` file that holds the accepted keys and nothing else.
    pub known_hosts: PathBuf,
    /// The accepted host keys, one line each in OpenSSH's format.
    pub host_keys: Vec<String>,
    /// Hosts to go through, the first one first.
    pub jumps: Vec<Jump>,
    /// The private key file that signs in to them; `None` where the person's own keys and agent do.
    pub jump_identity: Option<PathBuf>,
    /// What was accepted of them; one that is missing was never connected to.
    pub jump_keys: Vec<JumpKeys>,
}

/// The host keys that are accepted of one host on the way to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JumpKeys {
    /// Its address or name.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// One line each, in OpenSSH's format.
    pub keys: Vec<String>,
}

/// What the journal says of a machine, without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: MachineName,
    /// Its id.
    pub id: MachineId,
    /// The driver's name.
    pub driver: String,
    /// Where it is in its life.
    pub life: Life,
    /// `tcp://host:port`, once it has an address.
    pub url: Option<String>,
    /// When it was begun, in seconds since 1970.
    pub made: u64,
    /// When its time is over, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The fleet that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
}

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// Begun and not finished: `create` continues it, `rm` removes what there is.
    Creating,
    /// Finished, without an engine because none was wanted: a provision brings it.
    Bare,
    /// Finished.
    Ready,
    /// A removal began and did not end: `rm` continues it.
    Removing,
}

/// What a machine is right now, as `ls` and `status` show it.
#[derive(Debug, Clone, Serialize)]
pub struct Observed {
    /// Its name.
    pub name: MachineName,
    /// What the journal says; `None` when that cannot be read.
    pub summary: Option<Summary>,
    /// What the driver says; `None` when it said nothing in time.
    pub state: Option<State>,
    /// What the engine says; `None` when it did not answer in time or was not asked.
    pub engine: Option<EngineFacts>,
    /// What is wrong though it runs, such as a published port that could not be bound.
    pub warnings: Vec<String>,
    /// What is good to know of it though nothing is wrong.
    pub notes: Vec<String>,
    /// How long asking took.
    #[serde(skip)]
    pub took: Duration,
    /// Why a part of this is missing.
    pub errors: Vec<String>,
    /// What kind of failure each of `errors` is, in their order.
    #[serde(skip)]
    pub kinds: Vec<Kind>,
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Its version.
    pub version: String,
    /// The newest API version that it speaks.
    pub api_version: String,
}

/// Everything known of a machine, for `inspect`. No secrets.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// What the journal says.
    pub summary: Summary,
    /// The driver's configuration.
    pub config: Value,
    /// The engine's options.
    pub options: EngineOptions,
    /// What it is made of, in the order it was made.
    pub resources: Vec<Value>,
    /// How to reach it, once it has an address.
    pub connection: Option<Connection>,
    /// Where the private keys are: the certificate authority's, and the one that signs in over SSH.
    pub keys: BTreeMap<&'static str, String>,
    /// What the bootstrap found out about the host.
    pub facts: Option<Value>,
    /// The number of the journal's last event.
    pub events: u64,
}
