//! The engine over a driver in memory: killed anywhere, many at once, drifted, damaged, and collected.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bare;
mod compare;
mod damage;
mod fleet;
mod gc;
mod layers;
mod memory;
mod revocations;
mod stores;
