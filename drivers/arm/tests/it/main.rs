//! Azure Resource Manager as one process plays it: every request is real HTTP on loopback, the answers are scripted, and
//! time is a value that runs ahead when somebody waits.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "all of this is a test")]

mod client;
mod discovery;
mod operations;
mod service;
mod sign_in;
mod trust;
