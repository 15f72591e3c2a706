//! Mounts that are made on the host before a start and held while the container runs: parts of volumes, and shared
//! memory that other containers join.

use std::path::PathBuf;

use crate::engine::containers::mounts::Mount;
use crate::engine::containers::record::ContainerRecord;
use crate::engine::containers::world::World;
use crate::engine::error::{Error, Result};

/// What a start found or made.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::containers) struct Held {
    /// The record's mounts, those of parts of volumes with a source that cannot change its meaning.
    pub(in crate::engine::containers) mounts: Vec<Mount>,
    /// The host's folder that is `/dev/shm` inside, when it is not the container's own alone.
    pub(in crate::engine::containers) shared_memory: Option<PathBuf>,
}

/// Where a container's are.
pub(in crate::engine) fn folder(world: &World, id: &str) -> PathBuf {
    world.folder_of(id).join("mounts")
}

/// What holds what a container writes into one of its mounted images.
pub(in crate::engine) fn snapshot(id: &str, number: usize) -> String {
    format!("{id}-image{number}")
}

/// Lets go of the images that were mounted. Failures are for the log: the next start finds them mounted, which is fine.
pub(in crate::engine) async fn unmount_images(world: &World, record: &ContainerRecord) {
    for mounted in record.mounts.iter().filter_map(|mount| mount.image.as_ref()) {
        if let Err(error) = world.ground.filesystems.unmount(&mounted.snapshot).await {
            tracing::warn!(%error, container = record.id, "cannot unmount an image");
        }
    }
}

pub(in crate::engine::containers) async fn prepare(world: &World, record: &ContainerRecord) -> Result<Held> {
    let folder = folder(world, &record.id);
    let mut held = Held { mounts: record.mounts.clone(), shared_memory: None };
    for (number, mount) in held.mounts.iter_mut().enumerate() {
        let root = match &mount.image {
            Some(mounted) => world.ground.filesystems.mount(&mounted.snapshot).await?,
            None => mount.volume_root(),
        };
        if mount.image.is_some() {
            mount.source.clone_from(&root);
        }
        if mount.subpath.is_empty() {
            continue;
        }
        let (at, inside) = (folder.join(number.to_string()), PathBuf::from(&mount.subpath));
        world.ground.filesystems.pin(root, inside, at.clone()).await?;
        mount.source = at;
    }
    match record.host.ipc_mode.split_once(':') {
        Some(("container", other)) => held.shared_memory = joined(world, other)?,
        _ if record.host.ipc_mode == "shareable" => {
            let at = folder.join("shm");
            world.ground.filesystems.share_memory(at.clone(), record.host.shm_size).await?;
            held.shared_memory = Some(at);
        }
        _ => {}
    }
    Ok(held)
}

/// The other's, if it lets others in; `None` when it has the host's.
fn joined(world: &World, other: &str) -> Result<Option<PathBuf>> {
    let other = world.index.find(other)?;
    let snapshot = other.snapshot();
    match snapshot.record.host.ipc_mode.as_str() {
        "host" => Ok(Some(PathBuf::from("/dev/shm"))),
        "shareable" => Ok(Some(folder(world, &other.id).join("shm"))),
        mode if mode.starts_with("container:") => joined(world, &mode["container:".len()..]),
        _ => Err(Error::conflict(format!(
            "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            other.id
        ))),
    }
}
