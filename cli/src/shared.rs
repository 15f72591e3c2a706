//! The shared store of a run: opened once, and left only when its locks are let go of.

use std::sync::Arc;
use std::time::Duration;

use wharf_core::OsEntropy;
use wharf_core::store::Store as _;
use wharf_driver::SystemClock;
use wharf_objects::{Address, Objects, Place, Times};

use crate::Build;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::world::World;

/// Opens the store at `address`. Nothing is asked yet.
pub(crate) fn open(address: &Address, config: &Config, world: &World, build: &Build) -> Result<Arc<Objects>> {
    let objects = (build.objects)(address, &world.env).map_err(Error::from)?;
    let place = Place {
        objects,
        prefix: address.prefix.clone(),
        name: address.to_string(),
        own: config.store.clone(),
        person: world.person_here(),
        times: times(world)?,
    };
    Ok(Arc::new(Objects::new(place, Arc::new(SystemClock::new()), Arc::new(OsEntropy))))
}

/// Waits until the locks of what is over are free for others: not for long, since they run out by themselves.
pub(crate) async fn let_go(store: &Objects) {
    if tokio::time::timeout(PATIENCE, store.settled()).await.is_err() {
        tracing::debug!("a lock was not let go of in time: it runs out by itself");
    }
}

/// How long locks last, where the environment says otherwise than usual.
fn times(world: &World) -> Result<Times> {
    let Some(text) = world.var("WHARF_LOCK_TIME") else { return Ok(Times::default()) };
    let lease = crate::config::span(text).map_err(|e| Error::usage(format!("WHARF_LOCK_TIME: {e}")))?;
    Times::of(lease).ok_or_else(|| {
        Error::usage(format!("WHARF_LOCK_TIME is {text}, which is too short for a call to the store"))
            .hint("it is how long the lock of a command that was killed stays: 30s is usual, 3s the least")
    })
}

const PATIENCE: Duration = Duration::from_secs(10);
