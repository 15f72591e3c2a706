//! A simulated Azure Resource Manager that is honest. It answers as public Azure, a sovereign cloud or an Azure Stack Hub
//! answers: it refuses a field that the api-version asked for does not have, a version that the cloud does not advertise,
//! a token for another audience; its long-running operations end when they end, its networks know what uses them, its
//! quotas run out. Faults come on demand, and every call is counted.
//!
//! A test starts one by [`Simulator::start`]; a person runs the program `wharf-sim`. A machine that is created has a
//! [body](body): none, or whatever is plugged in.
//!
//! It promises to refuse rather than to guess: what it does not know is answered as the real service answers what is not
//! there. It refuses to be a place for data: everything ends with the process.

mod blob;
pub mod body;
pub mod catalog;
pub mod cloud;
pub mod command;
mod config;
mod control;
pub mod description;
mod error;
mod flavour;
pub mod http;
mod resource;
mod route;
mod sign_in;
mod simulator;
mod template;
pub mod user_data;

pub use cloud::{Clock, Cloud, Effect, Entry, Fault, Policy};
pub use config::{Account, Config, Naming, Quotas};
pub use error::ArmError;
pub use flavour::{Flavour, IdentitySystem};
pub use sign_in::{IDENTITY_HEADER, OTHER_TENANT};
pub use simulator::Simulator;
