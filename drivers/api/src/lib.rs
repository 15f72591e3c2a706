//! The driver seam: what makes and unmakes machines somewhere, and what wraps it.
//!
//! A driver author implements [`Driver`], a typed trait with a handful of verbs; the engine sees [`AnyDriver`], its erased
//! twin, which the layers decorate. A driver keeps no state, does not retry, sleep, print, or read the
//! environment: what it made stands in the journal, and retry, deadline and tracing are layers.
//!
//! Order of a machine's life: `connect` → `plan` → `perform` for every step → `observe` → `power` → `destroy` in
//! reverse order of making.
#![forbid(unsafe_code)]

mod admission;
mod clock;
mod driver;
mod erased;
mod error;
mod found;
mod jump;
pub mod layers;
mod memory;
mod name;
mod owner;
mod plan;
mod profile;
mod right;
mod secret;
mod session;
mod setting;
mod spec;
mod user_data;

pub use admission::{Admission, Door, is_network};
pub use clock::{Clock, SystemClock};
pub use driver::{
    About, Access, Capabilities, Context, Driver, HostKeyTrust, Known, Observation, Places, Power, Progress,
    Reach, Settles, State, StillPaid, Stored, Survey,
};
pub use erased::{AnyDriver, Factory};
pub use error::{Error, Kind, Result};
pub use found::{Found, Owned, Strange};
pub use jump::{Jump, is_host};
pub use memory::Memory;
pub use name::{MachineId, MachineName, NameError, resource_name};
pub use owner::{Account, ActionKey, OwnerTag, StoreId};
pub use plan::{Plan, Step, Verb};
pub use profile::{AskKeyring, Profile, Reference};
pub use right::Right;
pub use secret::Secret;
pub use session::Session;
pub use setting::{Configure, Mistake, Setting, Settings, Takes};
pub use spec::{MachineSpec, Seed};
pub use user_data::{joined_user_data, user_data};
