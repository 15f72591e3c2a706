//! Every test that needs more than one crate.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod adopt;
mod architecture;
mod aws;
mod azure;
mod bootstrap;
mod certs;
mod ci;
mod cli;
mod cloud;
mod cycles;
mod docker;
mod doctor;
mod examples;
mod firewalls;
mod fleets;
mod guest;
mod inits;
mod jumps;
mod keyring;
mod lab;
mod local;
mod local_mounts;
mod local_trouble;
mod logs;
mod many;
mod mount;
mod registries;
mod scp;
mod upgrade;
mod world;
