//! The Docker Engine API's wire types: serde only, checked against golden JSON.
//!
//! One noun a module, all named here. Field names, zero values and omissions are the official description's, and where
//! known clients disagree with it, the clients'.
#![forbid(unsafe_code)]

pub mod container;
mod error;
mod event;
pub mod exec;
mod filters;
pub mod image;
pub mod network;
mod system;
pub mod volume;

pub use error::ErrorMessage;
pub use event::{EventActor, EventMessage};
pub use filters::Filters;
pub use system::*;
