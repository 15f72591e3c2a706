//! The Azure driver against the simulated cloud: as public Azure, as US Gov, and as stamps of two ages.

#![expect(clippy::unwrap_used, reason = "all of this is a test")]

mod admission;
mod bench;
mod faults;
mod fleet;
mod gc;
mod life;
mod operator;
mod options;
mod places;
mod signing;
mod suite;
mod weather;
mod world;
