//! A virtual machine in Azure: public, sovereign, or an Azure Stack Hub, by the same code.
//!
//! What must differ is worked out from the endpoint: versions, sizes, images, the address's SKU, trusted launch. A plan
//! is group → (network ∥ firewall ∥ address) → interface → machine; group, network and firewall belong to the store and
//! are joined by later machines, which write three things each. Every resource is made by itself, named and tagged in
//! the creating call; a machine's own carry its id, shared ones the store's.
//!
//! Bodies hold only fields that the version in use has: see [`body`]. Secrets (what the machine is born with) go into
//! the creating call's custom data and into no action.
#![forbid(unsafe_code)]

mod action;
mod admission;
mod body;
mod catalog;
mod client;
mod config;
mod credential;
mod destroy;
mod driver;
mod found;
mod kind;
mod mark;
mod names;
mod observe;
mod perform;
mod plan;
mod power;
mod resource;
pub mod rights;
mod seed;
mod survey;
mod tags;

pub use action::{Action, Machine};
pub use config::{Config, DiskWish, Eviction, NetworkName, Port};
pub use driver::Azure;
pub use kind::Kind;
pub use resource::Resource;
