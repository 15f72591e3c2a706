//! The end of a run: cleaned up, recorded, told, and followed by what the restart policy says.

use std::sync::Arc;

use super::{Command, Task};
use crate::engine::containers::moment::Moment;
use crate::engine::containers::place;
use crate::engine::containers::record::Status;
use crate::runtime::{Error, Exit, ProcessRef, Shim};

impl Task {
    /// Sends the end of this run back to us, also when the shim is lost.
    pub(super) fn watch_exit(&self, shim: Arc<dyn Shim>) {
        let (own, run) = (self.own.clone(), self.run);
        let (world, id) = (Arc::clone(&self.world), self.now.record.id.clone());
        tokio::spawn(async move {
            let exit = match shim.wait(ProcessRef::Init).await {
                Ok(exit) => exit,
                Err(error) => lost(&world, &id, &error).await,
            };
            // Once nobody holds the container, nobody asks how it ended.
            if let Some(own) = own.upgrade() {
                let _ = own.send(Command::Exited(run, exit)).await;
            }
        });
    }

    pub(super) async fn exited(&mut self, exit: Exit) {
        self.clean_up().await;
        let state = &mut self.now.record.state;
        let ran_for = state.started.map(Moment::elapsed).unwrap_or_default();
        state.exit_code = exit.code;
        state.oom_killed = exit.oom;
        state.finished = Some(exit.at.into());
        self.failures = if ran_for >= self.world.pace.good_run { 0 } else { self.failures };
        let again = self.policy_says_again(exit.code);
        self.now.record.state.status = if again { Status::Restarting } else { Status::Exited };
        self.now.exits += 1;
        if let Err(error) = self.commit().await {
            tracing::error!(%error, container = self.now.record.id, "an exit is not on disk");
        }
        if exit.oom {
            self.tell("oom", []);
        }
        self.tell(
            "die",
            [("exitCode", exit.code.to_string()), ("execDuration", ran_for.as_secs().to_string())],
        );
        if again {
            self.schedule_restart();
        } else if self.now.record.host.auto_remove
            && let Err(error) = self.remove(true).await
        {
            tracing::error!(%error, container = self.now.record.id, "cannot remove a container that ended");
        }
    }

    /// Gives back everything that a run holds. Failures are logged: the next start or the removal tries again.
    pub(super) async fn clean_up(&mut self) {
        self.unwatch_health();
        let id = self.now.record.id.clone();
        let log = |what: &str, error: &dyn std::fmt::Display| tracing::warn!(%error, container = id, "cannot {what}");
        if let Some(shim) = self.now.shim.take()
            && let Err(error) = shim.delete().await
        {
            log("end the shim", &error);
        }
        let ground = &self.world.ground;
        let held = place::held::folder(&self.world, &id);
        let (disconnected, unmounted, released) = tokio::join!(
            ground.connections.disconnect(&id),
            ground.filesystems.unmount(&id),
            ground.filesystems.release(held)
        );
        place::held::unmount_images(&self.world, &self.now.record).await;
        if let Err(error) = released {
            log("let go of mounts", &error);
        }
        if let Err(error) = disconnected {
            log("disconnect", &error);
        }
        if let Err(error) = unmounted {
            log("unmount the root filesystem", &error);
        }
        // A start that failed before there was one never told of them.
        if self.now.rootfs.take().is_some() {
            self.tell_of_volumes(false);
        }
        let state = &mut self.now.record.state;
        state.pid = 0;
        state.connected.clear();
        state.ports.clear();
    }

    fn policy_says_again(&self, code: i32) -> bool {
        let record = &self.now.record;
        if record.state.stopped_by_hand {
            return false;
        }
        let policy = &record.host.restart_policy;
        match policy.name.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => {
                let limit = u64::try_from(policy.maximum_retry_count).unwrap_or(0);
                code != 0 && (limit == 0 || record.state.restarts < limit)
            }
            _ => false,
        }
    }

    pub(super) fn schedule_restart(&mut self) {
        let delay = self.world.pace.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        let (own, run) = (self.own.clone(), self.run);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(own) = own.upgrade() {
                let _ = own.send(Command::Due(run)).await;
            }
        });
    }
}

/// A shim that died may have left a record; otherwise nobody knows how its container ended.
async fn lost(world: &crate::engine::containers::world::World, id: &str, error: &Error) -> Exit {
    tracing::error!(%error, container = id, "the shim is lost");
    let folder = world.folder_of(id);
    // Finding it is what cleans up after it.
    if let Err(error) = world.runtime.find(id, &folder).await {
        tracing::error!(%error, container = id, "cannot clean up after a lost shim");
    }
    world.runtime.exit_record(&folder).ok().flatten().unwrap_or_else(Exit::unknown)
}
