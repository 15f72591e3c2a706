//! The suite that every driver passes.
//!
//! ```ignore
//! #[tokio::test]
//! async fn conforms() {
//!     let report = wharf_testkit::suite::run(|| MyWorld::fresh()).await;
//!     println!("{report}");
//! }
//! ```
//!
//! It panics at the first promise that is broken, naming the point. A fresh world is made for every point. Where all of
//! a world follows tokio's time, `#[tokio::test(start_paused = true)]` lets it run ahead, and late effects cost nothing.

mod bench;
mod contract;
mod crashes;
mod faults;
mod sharing;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf_driver::{Clock, Factory, Seed, SystemClock};

pub use bench::Bench;
pub use contract::{Desk, contract};
pub use crashes::{crash_then_create, crash_then_remove, crash_while_powering, crash_while_removing};
pub use faults::faults;
pub use sharing::sharing;

/// A place where one machine is made and unmade, with nothing in it yet.
pub trait World: Send + Sync {
    /// The driver.
    fn factory(&self) -> Factory;

    /// Its configuration for one machine.
    fn config(&self) -> Value;

    /// Everything there is now, or is still to come, whatever any journal says: one line each, and none in a fresh
    /// world. Files below the machine's own folder need not be listed: the suite looks there itself.
    fn remains(&self) -> BoxFuture<'_, Vec<String>>;

    /// Time in this world, where it is not the computer's own: the same clock at every call.
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    /// What the person's environment says here, such as the secret that the driver signs in with.
    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The program that the driver starts again as a supervisor, where it does.
    fn program(&self) -> PathBuf {
        PathBuf::from("/bin/false")
    }

    /// How long one verb may take here.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// How many points to skip after each one that is tried: 0 tries all. For worlds where a machine takes long.
    fn stride(&self) -> usize {
        0
    }

    /// The first point that a create is killed at: two trials that skip points can share them out.
    fn first(&self) -> usize {
        0
    }
}

/// How many points to skip in trials that hardly differ from others: so many, or none where `WHARF_TEST_EVERY_POINT` is
/// set.
#[must_use]
pub fn sparse(skipped: usize) -> usize {
    if std::env::var_os("WHARF_TEST_EVERY_POINT").is_some() { 0 } else { skipped }
}

/// What was tried.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// How often each kind of trial was made.
    pub tried: Vec<(&'static str, usize)>,
    /// What was left out, and why.
    pub skipped: Vec<(&'static str, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.tried {
            writeln!(f, "{what}: {count}")?;
        }
        for (what, why) in &self.skipped {
            writeln!(f, "{what}: skipped, {why}")?;
        }
        Ok(())
    }
}

/// Runs everything.
///
/// # Panics
/// At the first promise that the driver breaks.
pub async fn run<W: World>(fresh: impl Fn() -> W) -> Report {
    let mut report = Report::default();
    report.tried.push(("contract", contract(&fresh).await));
    report.tried.push(("faults", faults(&fresh).await));
    report.tried.push(("killed, then created", crash_then_create(&fresh).await));
    report.tried.push(("killed, then removed", crash_then_remove(&fresh).await));
    if fresh().factory().about().capabilities.power {
        report.tried.push(("killed while powering", crash_while_powering(&fresh).await));
    } else {
        report.skipped.push(("killed while powering", "the driver has no power".to_owned()));
    }
    report.tried.push(("removal killed twice", crash_while_removing(&fresh).await));
    if Desk::new(fresh()).await.shares().await {
        report.tried.push(("killed beside a neighbour that shares something", sharing(&fresh).await));
    } else {
        report.skipped.push(("killed beside a neighbour", "its machines share nothing".to_owned()));
    }
    report
}

/// A seed with keys that open nothing.
#[must_use]
pub fn seed() -> Arc<Seed> {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA test";
    Arc::new(Seed {
        host_name: "test".to_owned(),
        user: "wharf".to_owned(),
        authorized_key: key.to_owned(),
        host_key: wharf_driver::Secret::new("no key".to_owned()),
        host_key_public: key.to_owned(),
    })
}
