//! A virtual machine in EC2.
//!
//! A plan is security group → instance → elastic address, where one is wanted. The group belongs to the store and is
//! joined by later machines, each of which then takes one write. What is made carries its tags in the creating call,
//! and an instance the token that its journal key gives, so that a repeated call never makes a second one.
//!
//! Secrets (what the machine is born with) go into the user data of the creating call and into no action; the instance
//! hands them to nobody but itself, since its metadata needs a session that one hop ends.
//!
//! Without the feature `sdk` this crate is what describes the driver and nothing else: see `Cargo.toml`.
#![forbid(unsafe_code)]

#[cfg(feature = "sdk")]
mod action;
#[cfg(feature = "sdk")]
mod address;
#[cfg(feature = "sdk")]
mod admission;
#[cfg(feature = "sdk")]
mod catalog;
#[cfg(feature = "sdk")]
mod client;
#[cfg(feature = "sdk")]
mod config;
#[cfg(feature = "sdk")]
mod credential;
#[cfg(feature = "sdk")]
mod destroy;
#[cfg(feature = "sdk")]
mod driver;
#[cfg(feature = "sdk")]
mod errors;
#[cfg(feature = "sdk")]
mod found;
#[cfg(feature = "sdk")]
mod group;
#[cfg(feature = "sdk")]
mod image;
#[cfg(feature = "sdk")]
mod instance;
#[cfg(feature = "sdk")]
mod names;
#[cfg(feature = "sdk")]
mod observe;
#[cfg(feature = "sdk")]
mod offer;
#[cfg(feature = "sdk")]
mod parameter;
#[cfg(feature = "sdk")]
mod perform;
#[cfg(feature = "sdk")]
mod plan;
#[cfg(feature = "sdk")]
mod power;
#[cfg(feature = "sdk")]
mod resource;
pub mod rights;
#[cfg(feature = "sdk")]
mod seed;
pub mod settings;
#[cfg(feature = "sdk")]
mod sign_in;
#[cfg(feature = "sdk")]
mod survey;
#[cfg(feature = "sdk")]
mod tags;
#[cfg(feature = "sdk")]
mod throttle;

#[cfg(feature = "sdk")]
pub use action::{Action, Group, Machine, Place, What};
#[cfg(feature = "sdk")]
pub use config::{Config, Disk, Image, Metadata, Port, Spot};
#[cfg(feature = "sdk")]
pub use driver::Aws;
#[cfg(feature = "sdk")]
pub use resource::Resource;
#[cfg(feature = "sdk")]
pub use sign_in::{Keys, SignIn};
