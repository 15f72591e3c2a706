//! The driver seam: what makes and unmakes machines somewhere, and what wraps it.
//!
//! A driver author implements [`Driver`], a typed trait with seven verbs; the engine sees `AnyDriver`, its erased
//! twin, which the layers decorate. A driver keeps no state, does not retry, sleep, print, or read the
//! environment: what it made stands in the journal, and retry, deadline and tracing are layers.
//!
//! Order of a machine's life: `connect` → `plan` → `perform` for every step → `observe` → `power` → `destroy` in
//! reverse order of making.
#![forbid(unsafe_code)]

mod driver;
mod error;
mod name;
mod owner;
mod plan;
mod secret;
mod setting;
mod spec;

pub use driver::{
    About, Capabilities, Context, Driver, Observation, Places, Power, Progress, Reach, State, Stored,
};
pub use error::{Error, Kind, Result};
pub use name::{MachineId, MachineName, NameError, resource_name};
pub use owner::{ActionKey, OwnerTag, StoreId};
pub use plan::{Plan, Step, Verb};
pub use secret::Secret;
pub use setting::{Configure, Mistake, Setting, Settings, Takes};
pub use spec::{MachineSpec, Seed};
