//! The first thing a daemon does: to find out what became of the containers that an earlier one knew.
//!
//! What runs is taken up again with its shim. What ended meanwhile gets the exit that its shim recorded, or 255 where
//! nobody knows (the machine went down). What was half started or half removed is cleaned up. Then the restart policies
//! are applied, all at once and behind the daemon's back, so that a slow start keeps nobody waiting.

use std::path::Path;
use std::sync::Arc;

use super::containers::record::{ContainerRecord, Status};
use super::containers::task::{Snapshot, attributes};
use super::containers::world::World;
use super::containers::{Container, place};
use super::error::{Error, Result};
use super::events::EventKind;
use crate::runtime::{Exit, Shim};

/// Fills the list from the folder.
pub(crate) async fn reconcile(world: &Arc<World>) -> Result<()> {
    let mut live = Vec::new();
    let mut found = Vec::new();
    for record in records(world)? {
        let (snapshot, follow_up) = settle(world, record).await;
        if snapshot.shim.is_some() {
            live.push(snapshot.record.id.clone());
        }
        let record = &snapshot.record;
        if let Err(error) = world.index.reserve(&record.name, &record.id) {
            tracing::error!(%error, container = record.id, "two containers have one name");
        }
        let container = Container::spawn(world, snapshot);
        world.index.insert(container.clone());
        found.push((container, follow_up));
    }
    world.ground.connections.reconcile(&live).await?;
    for (container, follow_up) in found {
        tokio::spawn(follow_up.run(container));
    }
    Ok(())
}

/// What is to be done with a container once all are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FollowUp {
    Nothing,
    Restart,
    Remove,
}

impl FollowUp {
    async fn run(self, container: Container) {
        match self {
            Self::Nothing => {}
            Self::Restart => container.restart_is_due().await,
            Self::Remove => {
                if let Err(error) = container.remove(true, container.snapshot().record.host.auto_remove).await
                {
                    tracing::error!(%error, container = container.id, "cannot finish a removal");
                }
            }
        }
    }
}

fn records(world: &World) -> Result<Vec<ContainerRecord>> {
    let listing = |e| Error::internal(&format!("listing {}", world.folder.display()), e);
    let mut records = Vec::new();
    for entry in std::fs::read_dir(&world.folder).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        match ContainerRecord::read(&path) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => forget(&path),
            // One damaged record must not keep all others down; its folder stays for whoever repairs it.
            Err(error) => tracing::error!(%error, folder = %path.display(), "a container is left out"),
        }
    }
    records.sort_by_key(|record| record.created);
    Ok(records)
}

/// A create that was cut off before its record, or a removal after it.
fn forget(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        tracing::warn!(%error, folder = %path.display(), "cannot remove what a container left");
    }
}

async fn settle(world: &World, record: ContainerRecord) -> (Snapshot, FollowUp) {
    let folder = world.folder_of(&record.id);
    let shim = world.runtime.find(&record.id, &folder).await.unwrap_or_else(|error| {
        tracing::error!(%error, container = record.id, "cannot look for the shim");
        None
    });
    let mut snapshot = Snapshot { record, shim: None, rootfs: None, exits: 0, removed: false };
    match shim {
        Some(shim) if snapshot.record.state.status.has_process() => {
            // It may have ended while nobody watched; the shim waits with it until somebody comes.
            if matches!(world.runtime.exit_record(&folder), Ok(None)) {
                take_up(world, &mut snapshot, shim).await;
            } else {
                let_go(&snapshot, &*shim).await;
                bury(world, &mut snapshot, &folder).await;
            }
        }
        Some(shim) => let_go(&snapshot, &*shim).await,
        None if snapshot.record.state.status.has_process() => bury(world, &mut snapshot, &folder).await,
        // A daemon that was killed while somebody looked into it left it mounted.
        None => {
            place::held::unmount_images(world, &snapshot.record).await;
            if let Err(error) = world.ground.filesystems.unmount(&snapshot.record.id).await {
                tracing::warn!(%error, container = snapshot.record.id, "cannot unmount the root filesystem");
            }
        }
    }
    let follow_up = follow_up(&mut snapshot);
    (snapshot, follow_up)
}

async fn take_up(world: &World, snapshot: &mut Snapshot, shim: Arc<dyn Shim>) {
    snapshot.record.state.pid = shim.pid();
    // Mounted already: this only tells where.
    match world.ground.filesystems.mount(&snapshot.record.id).await {
        Ok(rootfs) => snapshot.rootfs = Some(rootfs),
        Err(error) => {
            tracing::error!(%error, container = snapshot.record.id, "the root filesystem is not mounted");
        }
    }
    for mounted in snapshot.record.mounts.iter().filter_map(|mount| mount.image.as_ref()) {
        if let Err(error) = world.ground.filesystems.mount(&mounted.snapshot).await {
            tracing::error!(%error, container = snapshot.record.id, "an image is not mounted");
        }
    }
    snapshot.shim = Some(shim);
}

/// Its container ended, or was created and not started: then whoever asked never got an answer.
async fn let_go(snapshot: &Snapshot, shim: &dyn Shim) {
    if let Err(error) = shim.delete().await {
        tracing::warn!(%error, container = snapshot.record.id, "cannot end a shim");
    }
}

async fn bury(world: &World, snapshot: &mut Snapshot, folder: &Path) {
    let id = snapshot.record.id.clone();
    let exit = world.runtime.exit_record(folder).unwrap_or_else(|error| {
        tracing::error!(%error, container = id, "the exit record is damaged");
        None
    });
    let rebooted = snapshot.record.state.boot != world.boot;
    let exit = exit.unwrap_or_else(Exit::unknown);
    let held = place::held::folder(world, &id);
    place::held::unmount_images(world, &snapshot.record).await;
    for cleaned in [
        world.ground.connections.disconnect(&id).await,
        world.ground.filesystems.unmount(&id).await,
        world.ground.filesystems.release(held).await,
    ] {
        if let Err(error) = cleaned {
            tracing::warn!(%error, container = id, "cannot clean up after a container");
        }
    }
    let state = &mut snapshot.record.state;
    state.status = Status::Exited;
    state.exit_code = exit.code;
    state.oom_killed = exit.oom;
    state.finished = Some(exit.at.into());
    state.pid = 0;
    state.connected.clear();
    state.ports.clear();
    if let Err(error) = snapshot.record.write(folder).await {
        tracing::error!(%error, container = id, "an exit is not on disk");
    }
    tracing::info!(container = id, code = exit.code, rebooted, "a container ended while nobody watched");
    let mut told = attributes(&snapshot.record);
    told.insert("exitCode".to_owned(), exit.code.to_string());
    world.events.publish(EventKind::Container, "die", id, told);
}

fn follow_up(snapshot: &mut Snapshot) -> FollowUp {
    let record = &mut snapshot.record;
    let state = &mut record.state;
    match state.status {
        Status::Removing => return FollowUp::Remove,
        Status::Restarting => return FollowUp::Restart,
        Status::Exited => {}
        _ => return FollowUp::Nothing,
    }
    let again = match record.host.restart_policy.name.as_str() {
        // Also one that was stopped by hand: that is what sets it apart from `unless-stopped`.
        "always" => true,
        "unless-stopped" => !state.stopped_by_hand,
        "on-failure" => {
            let limit = u64::try_from(record.host.restart_policy.maximum_retry_count).unwrap_or(0);
            !state.stopped_by_hand && state.exit_code != 0 && (limit == 0 || state.restarts < limit)
        }
        _ => false,
    };
    if again {
        state.status = Status::Restarting;
        return FollowUp::Restart;
    }
    if record.host.auto_remove { FollowUp::Remove } else { FollowUp::Nothing }
}
