//! Machines, without a terminal or a cloud: names, journal, store and the engine's verbs.
//!
//! [`Wharf`] is the front door; every verb takes a [`Call`] that says until when, how to stop it and where events go.
//! A machine's journal is the truth about it: what is intended stands there before it is done, so a verb may be killed
//! at any point and the next one continues or takes everything back.
#![forbid(unsafe_code)]

pub mod bootstrap;
mod bundle;
mod call;
mod engine;
mod entropy;
mod error;
mod hook;
mod host;
pub mod journal;
mod machine;
mod registries;
pub mod store;
mod vault;
mod wharf;

pub use bootstrap::Duplex;
pub use bundle::{Bundle, BundledMachine, Lock, Opener};
pub use call::{Call, Confirm, Event, HostKeyQuestion, Phase, Sink, What};
pub use engine::{
    Bundled, Change, Comparison, Deed, End, Fate, FleetLock, Held, Issue, Issued, Leftover, Leftovers,
    Listed, Look, NewRecipient, Place, Recipients, RemovedRecipient, TakenBack, Tunnel, Unfinished, Upgraded,
};
pub use entropy::{Entropy, OsEntropy};
pub use error::{Error, Kind, Result};
pub use hook::{Hook, HookEnd, HookFacts, HookGiven, HookPlace, HookSsh};
pub use machine::{
    Certificates, Connection, CreateRequest, Created, EngineFacts, EngineOptions, ImportRequest, Inspection,
    JumpKeys, Life, Observed, PlannedStep, RemoveOptions, Removed, SshAccess, Summary, Timing,
};
pub use registries::registry_authority;
pub use vault::{Identity, Keeping, Keyring, PublicKey, Recipient, RecipientRole};
pub use wharf::{Parts, Person, Setup, Wharf};
pub use wharf_driver::{Admission, Factory, MachineId, MachineName, Power, Secret, State, StoreId};
pub use wharf_pki::Role;
