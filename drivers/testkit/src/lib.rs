//! What every driver is tested with: the conformance suite, the fault layer, a driver in memory and hosts in memory.
//!
//! A driver's `tests/conformance.rs` says how to make a fresh [`World`] and calls [`suite::run`]. The heart of the
//! suite: for every event of every journal and every call of the driver, kill there, then create again, and there is
//! exactly one machine; kill there, then remove, and nothing is left; also when the removal is killed twice.
#![forbid(unsafe_code)]

mod crash;
mod fast;
mod fault;
mod hosts;
pub mod memory;
mod pace;
mod script;
pub mod stores;
pub mod suite;

pub use crash::{CrashDriver, CrashHosts, CrashStore, Switch};
pub use fast::Fast;
pub use fault::{Fault, FaultLayer, When};
pub use hosts::Hosts;
pub use pace::bearable;
pub use script::script;
pub use suite::World;

use std::path::Path;
use std::sync::Arc;

use wharf_core::store::Folder;
use wharf_core::{Factory, Keeping, OsEntropy, Parts, Person, Setup, Wharf};
use wharf_driver::{Clock, SystemClock};

/// What a person hands over who has no keys, no agent and this one driver.
#[must_use]
pub fn setup(home: &Path, driver: Factory) -> Setup {
    Setup {
        home: home.to_owned(),
        store: None,
        cache: None,
        drivers: vec![driver],
        program: "/bin/false".into(),
        agent: None,
        ssh: Person::default(),
        person: "ada@engine".to_owned(),
        keys: Keeping::default(),
    }
}

/// The engine over a real folder, with hosts in memory instead of SSH: for tests of the program.
#[must_use]
pub fn open_in_memory(setup: Setup, hosts: Arc<Hosts>) -> Wharf {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let folder = Folder::new(setup.home.clone(), Arc::clone(&clock), Arc::new(OsEntropy));
    Wharf::with(
        setup,
        Parts { store: Arc::new(folder), clock, entropy: Arc::new(OsEntropy), bootstrap: hosts },
    )
}
