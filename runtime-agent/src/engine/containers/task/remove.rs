//! Removal: the root filesystem, the folder, and the volumes that nobody named.

use super::Task;
use crate::engine::containers::record::{self, Status};
use crate::engine::error::{Error, Result};

impl Task {
    pub(super) async fn remove(&mut self, volumes: bool) -> Result<()> {
        let record = &self.now.record;
        if self.status().is_running() {
            return Err(Error::conflict(format!(
                "cannot remove container \"/{}\": container is {}: stop the container before removing or force remove",
                record.name,
                self.status().as_str()
            )));
        }
        let folder = self.world.folder_of(&self.now.record.id);
        if let Err(error) = record::doom(&folder) {
            // On a full disk a removal is the way out.
            tracing::warn!(%error, container = self.now.record.id, "a removal that is cut off would not go on");
        }
        self.now.record.state.status = Status::Removing;
        self.publish();
        if let Err(error) = self.take_away(volumes).await {
            record::reprieve(&folder);
            self.now.record.state.status = Status::Dead;
            self.now.record.state.error = error.to_string();
            self.commit().await?;
            return Err(error);
        }
        self.world.index.forget(&self.now.record.id);
        self.now.removed = true;
        self.publish();
        self.tell("destroy", []);
        Ok(())
    }

    /// The record goes last: a removal that was cut off is seen, and done again.
    async fn take_away(&mut self, volumes: bool) -> Result<()> {
        let id = self.now.record.id.clone();
        // A start that failed half way, or an older daemon, may have left something.
        self.clean_up().await;
        self.world.ground.filesystems.remove(&id).await?;
        for mounted in self.now.record.mounts.iter().filter_map(|mount| mount.image.as_ref()) {
            self.world.ground.filesystems.remove(&mounted.snapshot).await?;
        }
        if volumes {
            for volume in self.now.record.mounts.iter().filter(|mount| mount.anonymous) {
                let Some(name) = &volume.volume else { continue };
                if let Err(error) = self.world.ground.volumes.remove(name).await {
                    tracing::warn!(%error, volume = name, "an anonymous volume stays");
                }
            }
        }
        self.world.ground.filesystems.discard(self.world.folder_of(&id)).await
    }
}
