//! Whole commands, as people see them: `$` is what was typed, `!` what went to stderr, the rest is the result.
#![cfg(test)]

mod adopt;
mod certs;
mod ci;
mod clouds;
mod completions;
mod contexts;
mod create;
mod cut;
mod docker_machine;
mod doctor;
mod errors;
mod export;
mod fake;
mod fleet_certificates;
mod fleets;
mod gc;
mod hooks;
mod import;
mod keyring;
mod mount;
mod pty;
mod recipients;
mod sandbox;
mod shared;
mod shells;
mod terminal;
mod upgrade;
mod verbs;
