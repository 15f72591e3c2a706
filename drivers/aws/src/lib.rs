//! A virtual machine in EC2.
//!
//! A plan is security group → instance → elastic address, where one is wanted. The group belongs to the store and is
//! joined by later machines, each of which then takes one write. What is made carries its tags in the creating call,
//! and an instance the token that its journal key gives, so that a repeated call never makes a second one.
//!
//! Secrets (what the machine is born with) go into the user data of the creating call and into no action; the instance
//! hands them to nobody but itself, since its metadata needs a session that one hop ends.
//!
//! Without the feature `sdk` this crate is empty: see `Cargo.toml`.
#![forbid(unsafe_code)]
#![cfg(feature = "sdk")]

mod action;
mod address;
mod admission;
mod catalog;
mod client;
mod config;
mod credential;
mod destroy;
mod driver;
mod errors;
mod found;
mod group;
mod image;
mod instance;
mod names;
mod observe;
mod offer;
mod parameter;
mod perform;
mod plan;
mod power;
mod resource;
mod seed;
mod survey;
mod tags;
mod throttle;

pub use action::{Action, Group, Machine, Place, What};
pub use config::{Config, Disk, Image, Metadata, Port, Spot};
pub use driver::Aws;
pub use resource::Resource;
