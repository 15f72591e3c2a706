//! The AWS driver against the simulated EC2.

#![expect(clippy::unwrap_used, reason = "all of this is a test")]

mod fleet;
mod life;
mod networks;
mod suite;
mod weather;
mod world;
