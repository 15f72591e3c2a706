//! Machines, without a terminal or a cloud: names, journal, store and the engine's verbs.
#![forbid(unsafe_code)]

mod call;
mod entropy;
mod error;
pub mod journal;
mod machine;
pub mod store;

pub use call::{Call, Confirm, Event, HostKeyQuestion, Phase, Sink, What};
pub use entropy::{Entropy, OsEntropy};
pub use error::{Error, Kind, Result};
pub use machine::{
    Connection, CreateRequest, Created, EngineFacts, EngineOptions, Inspection, Life, Observed, PlannedStep,
    RemoveOptions, Removed, SshAccess, Summary, Timing,
};
pub use wharf_driver::{Factory, MachineId, MachineName, Power, State};
