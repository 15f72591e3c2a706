//! `wharfd`: the container engine on the machine.
//!
//! It serves the Docker Engine API over a unix socket and mutual TLS, and runs OCI containers itself. One static
//! executable is everything: the daemon, the shim that looks after each container, and the OCI runtime are the same
//! file executed again, so a host needs no helper program.
//!
//! Inside, `api → engine → {runtime, net, store, registry}`: the API knows HTTP and no system calls, the engine knows
//! meaning and no HTTP, and the four below know the kernel, the disk and the network and no containers' meaning.

mod agent;
mod api;
mod certificate;
pub mod config;
mod end;
mod engine;
mod net;
mod purge;
mod registry;
pub mod runtime;
mod serve;
mod shares;
mod store;
mod tls;
mod watchdog;

use std::ffi::OsString;
use std::process::ExitCode;

pub use agent::{Agent, StartError};
pub use end::End;

/// The program: what the first argument names, or the daemon. No thread is started before this is decided, since the
/// shim and the runtime must be single-threaded.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.first().is_some_and(|name| name == runtime::INIT) {
        return runtime::init_main(arguments);
    }
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("certificate") => certificate::main(arguments),
        Some("purge") => purge::main(arguments),
        Some("shim") => runtime::shim_main(arguments),
        Some("runtime") => runtime::runtime_main(arguments),
        Some("watchdog") => watchdog::main(arguments),
        _ => agent::main(arguments),
    }
}
