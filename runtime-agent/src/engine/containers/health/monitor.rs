//! The one who looks, for as long as a container runs.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Check, probe};
use crate::engine::containers::task::{Command, Snapshot};
use crate::engine::containers::world::World;
use crate::runtime::Shim;

/// Looks until it is dropped.
#[derive(Debug)]
pub(crate) struct Monitor(JoinHandle<()>);

impl Drop for Monitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Monitor {
    /// Begins with a wait, as dockerd does; what it finds goes to the container's task.
    pub(crate) fn begin(
        world: Arc<World>,
        shim: Arc<dyn Shim>,
        check: Check,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        (own, run): (mpsc::WeakSender<Command>, u64),
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let pause = {
                    let now = snapshots.borrow();
                    let state = &now.record.state;
                    check.pause(&state.health.clone().unwrap_or_default(), state.started)
                };
                tokio::time::sleep(pause).await;
                let snapshot = Arc::clone(&snapshots.borrow());
                let probe = probe::run(&world, &*shim, &snapshot, &check).await;
                // Once nobody holds the container, nobody asks how it is.
                let Some(own) = own.upgrade() else { return };
                if own.send(Command::Probed(run, probe)).await.is_err() {
                    return;
                }
            }
        }))
    }
}
