//! Machines, without a terminal or a cloud: names, journal, store and the engine's verbs.
#![forbid(unsafe_code)]

mod call;
mod error;
mod machine;

pub use call::{Call, Confirm, Event, HostKeyQuestion, Phase, Sink, What};
pub use error::{Error, Kind, Result};
pub use machine::{
    Connection, CreateRequest, Created, EngineFacts, EngineOptions, Inspection, Life, Observed, PlannedStep,
    RemoveOptions, Removed, SshAccess, Summary, Timing,
};
pub use wharf_driver::{Factory, MachineId, MachineName, Power, State};
