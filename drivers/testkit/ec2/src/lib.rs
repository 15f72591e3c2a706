//! EC2 as its callers meet it, for tests. moto answers with the right shapes, and forgets what makes EC2 hard: it ignores
//! signatures and idempotency tokens, has every instance running at once, deletes groups that are in use, takes any user
//! data, and is never busy. A [`Simulator`] stands before it and does all of that: see `credential`, `identity` and `deeds`.
//!
//! Each simulator is an account of its own, so many share one moto ([`Moto`]). Its minutes may be shorter than real ones.
#![forbid(unsafe_code)]

mod bodies;
mod command;
mod config;
mod credential;
mod deeds;
mod fault;
mod identity;
mod ipv6;
mod moto;
mod proxy;
mod rules;
mod simulator;
mod state;
mod throttle;
mod xml;

pub use command::run;
pub use config::{Config, Durations, Role};
pub use credential::Standing;
pub use fault::{Effect, Fault};
pub use moto::Moto;
pub use simulator::Simulator;
pub use wharf_sim::body;
