//! The events of a journal. What an old release wrote is read for ever: variants and fields are added, never changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_driver::{Account, ActionKey, MachineId, MachineName, OwnerTag, Plan, Power, Reach};

use crate::{EngineOptions, HookEnd, JumpKeys};

/// One event with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1 on without a gap.
    pub number: u64,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// The writer's fencing token; it never goes down.
    pub fence: u64,
    /// What happened, or is about to.
    pub event: Event,
}

/// What happened to a machine, or is about to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody wants this machine. Always the first event.
    Begun {
        /// Its id.
        machine: MachineId,
        /// Its name.
        name: MachineName,
        /// The driver's name.
        driver: String,
        /// The version of the driver's types.
        driver_version: u32,
        /// The driver's configuration.
        config: Value,
        /// What its engine should be.
        options: Box<EngineOptions>,
        /// What its resources will say of themselves.
        owner: OwnerTag,
        /// Whether it existed before wharf and stays after it.
        adopts: bool,
        /// The account that it is made in, where there are accounts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Account>,
        /// Whether the machine alone is wanted, without an engine.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bare: bool,
        /// The fleet that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fleet: Option<String>,
    },
    /// The driver resolved the wish into steps.
    Planned {
        /// Which attempt this is.
        attempt: u32,
        /// The steps.
        plan: Plan<Value>,
    },
    /// A step's action is about to be performed, or performed again under the same key.
    Started {
        /// The step's index.
        step: usize,
        /// The action's key.
        key: ActionKey,
        /// No call for it outlasts this, in milliseconds since 1970.
        deadline: u64,
    },
    /// A step's action left this.
    Made {
        /// The step's index.
        step: usize,
        /// What is there now.
        resource: Value,
    },
    /// A started action left nothing, and will not.
    Undone {
        /// The step's index.
        step: usize,
        /// How that is known.
        because: String,
    },
    /// It belongs to this fleet from now on, or to none.
    Joined {
        /// The fleet.
        fleet: Option<String>,
    },
    /// Its engine should be like this from now on.
    Configured {
        /// What it should be.
        options: Box<EngineOptions>,
    },
    /// The machine is reached like this now.
    Seen {
        /// How.
        reach: Reach,
    },
    /// These SSH host keys, and no others, are accepted from now on.
    HostKeys {
        /// One line each, in OpenSSH's format.
        keys: Vec<String>,
    },
    /// These SSH host keys of the hosts on the way, and no others, are accepted from now on.
    JumpKeys {
        /// One entry a host.
        jumps: Vec<JumpKeys>,
    },
    /// The machine's rules let a client in from here from now on, or do not any more.
    Admitted {
        /// Which: `person@computer`.
        client: String,
        /// The address or network; `None` when its rules were taken back.
        from: Option<String>,
    },
    /// It has an engine that another program brought. What opens it, if that came along, stands beside the journal.
    Imported {
        /// The program.
        from: String,
    },
    /// The agent is about to be brought to it.
    Provisioning {
        /// What the server certificate will hold.
        names: Vec<String>,
    },
    /// The agent answered.
    Provisioned {
        /// The engine's version.
        engine: String,
        /// What the server certificate holds.
        names: Vec<String>,
        /// When the server certificate ends, in seconds since 1970.
        expires: u64,
        /// The SHA-256 of the agent, in hex.
        agent: String,
        /// What was found out about the host.
        facts: Value,
    },
    /// It is about to be started or stopped.
    Powering {
        /// Which of them.
        to: Power,
    },
    /// It was.
    Powered {
        /// Which of them.
        to: Power,
    },
    /// A new server certificate is about to be installed.
    Certifying {
        /// What it will hold.
        names: Vec<String>,
    },
    /// It was.
    Certified {
        /// What it holds.
        names: Vec<String>,
        /// When it ends, in seconds since 1970.
        expires: u64,
    },
    /// The engine is about to be given the list of clients' certificates that were taken back.
    Revoking {
        /// The list's number.
        list: u64,
    },
    /// It heeds the list.
    Revoked {
        /// The list's number.
        list: u64,
    },
    /// A hook of its fleet is about to be run. It gets secrets, which stand nowhere.
    Hooking {
        /// The hook's name.
        hook: String,
    },
    /// It ended.
    Hooked {
        /// The hook's name.
        hook: String,
        /// How.
        end: HookEnd,
    },
    /// Another agent is about to be put in the place of the one that is there. `provisioned` follows.
    Upgrading {
        /// The SHA-256 of the one that is there, in hex.
        agent: String,
    },
    /// The other agent was no good, and the one that was there is in force again.
    RolledBack {
        /// What was wrong.
        because: String,
    },
    /// Nobody wants the machine any more.
    Removing {
        /// Whether a host that existed before loses its agent too.
        purge: bool,
        /// Whether it is forgotten even when something cannot be removed.
        force: bool,
    },
    /// The agent is about to be taken off a host that existed before.
    Purging,
    /// It was.
    Purged,
    /// A step's resource is about to be destroyed.
    Destroying {
        /// The step's index.
        step: usize,
    },
    /// It is gone.
    Destroyed {
        /// The step's index.
        step: usize,
    },
    /// What a shared step left stays, since this machine uses it, too.
    Kept {
        /// The step's index.
        step: usize,
        /// The other machine.
        by: MachineName,
    },
    /// What a shared step left stays, since something that is no machine of this store uses it.
    Left {
        /// The step's index.
        step: usize,
        /// What the place said.
        because: String,
    },
    /// Nothing is left to do. Always the last event.
    Removed,
}

impl Event {
    /// The event's name, as it stands in the file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "begun",
            Self::Planned { .. } => "planned",
            Self::Started { .. } => "started",
            Self::Made { .. } => "made",
            Self::Undone { .. } => "undone",
            Self::Joined { .. } => "joined",
            Self::Configured { .. } => "configured",
            Self::Seen { .. } => "seen",
            Self::HostKeys { .. } => "host_keys",
            Self::JumpKeys { .. } => "jump_keys",
            Self::Admitted { .. } => "admitted",
            Self::Imported { .. } => "imported",
            Self::Provisioning { .. } => "provisioning",
            Self::Provisioned { .. } => "provisioned",
            Self::Powering { .. } => "powering",
            Self::Powered { .. } => "powered",
            Self::Certifying { .. } => "certifying",
            Self::Certified { .. } => "certified",
            Self::Revoking { .. } => "revoking",
            Self::Revoked { .. } => "revoked",
            Self::Hooking { .. } => "hooking",
            Self::Hooked { .. } => "hooked",
            Self::Upgrading { .. } => "upgrading",
            Self::RolledBack { .. } => "rolled_back",
            Self::Removing { .. } => "removing",
            Self::Purging => "purging",
            Self::Purged => "purged",
            Self::Destroying { .. } => "destroying",
            Self::Destroyed { .. } => "destroyed",
            Self::Kept { .. } => "kept",
            Self::Left { .. } => "left",
            Self::Removed => "removed",
        }
    }
}
