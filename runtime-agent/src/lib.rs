//! `wharfd`: the container engine on the machine.
//!
//! It serves the Docker Engine API over a unix socket and mutual TLS, and runs OCI containers itself. One static
//! executable is everything: the daemon, the shim that looks after each container, and the OCI runtime are the same
//! file executed again, so a host needs no helper program.
//!
//! Inside, `api → engine → {runtime, net, store, registry}`: the API knows HTTP and no system calls, the engine knows
//! meaning and no HTTP, and the four below know the kernel, the disk and the network and no containers' meaning.

mod api;
mod config;
mod engine;
mod net;
mod registry;
mod runtime;
mod store;
mod tls;
