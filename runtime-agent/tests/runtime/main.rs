//! Real containers through the real shim and runtime: this executable's own, on this machine's kernel.
//!
//! They need root and `/bin/busybox` (a static one); without, each says that it is skipped and why.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and one that is skipped says so"
)]

mod exec;
mod limits;
mod run;
mod stdio;
mod stress;
mod support;
mod survive;
