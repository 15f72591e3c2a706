//! The simulator, asked as clients ask it: by HTTP calls, most of them handed over directly, with a clock that the test
//! moves.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod bodies;
mod catalog;
mod deployments;
mod faults;
mod harness;
mod listener;
mod machines;
mod networks;
mod operations;
mod shapes;
mod sign_in;
mod throttle;
mod versions;
