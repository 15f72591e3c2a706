//! A shared store in real emulators of S3 (moto) and of Azure's blobs (Azurite): by itself, and under the whole program as
//! several processes.
#![cfg(test)]

mod contract;
mod emulator;
mod fleets;
#[cfg(feature = "aws")]
mod profiles;
mod recipients;
