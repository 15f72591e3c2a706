//! A container's files from outside: `docker cp` both ways, `docker export`, `docker diff`.
//!
//! Stopped or running, they are seen as dockerd shows them: the root filesystem with volumes, binds and the three files
//! of the network in their places, and without what the kernel provides (`/proc`, `/sys`, `/dev`, tmpfs mounts). All work
//! is done in a [`chamber`] from which the host cannot be reached.

mod channel;
mod export;
mod path;
mod read;
mod write;

use std::os::fd::OwnedFd;

use super::mounts::Kind;
use super::place::files::PLACES;
use super::record::ContainerRecord;
use super::seams::Lent;
use super::{Container, Containers};
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::store::chamber::{self, Bind};
use crate::store::changes::Change;
pub(crate) use channel::Pieces;
pub(crate) use path::PathStat;
pub(crate) use write::Upload;

impl Containers {
    /// `docker diff`.
    pub(crate) async fn changes(&self, container: &Container) -> Result<Vec<Change>> {
        self.world.ground.filesystems.changes(&container.id).await
    }

    /// Makes a folder and those above it, as far as they are missing.
    pub(crate) async fn make_folder(&self, container: &Container, path: &str) -> Result<()> {
        let (path, doing) = (format!("{path}/."), "making a folder");
        let made = self.inside(container, false, move |root| {
            let root =
                rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(crate::store::Error::os("open", "/"))?;
            crate::store::tree::Tree::over(root).make_folders(path.as_bytes())
        });
        made.await?.map_err(|e| Error::internal(doing, e))
    }

    /// Runs `work` on a thread whose root is the container's, volumes included if wanted.
    async fn inside<T: Send + 'static>(
        &self,
        container: &Container,
        with_mounts: bool,
        work: impl FnOnce(&OwnedFd) -> T + Send + 'static,
    ) -> Result<T> {
        let record = container.snapshot().record.clone();
        let (binds, images) = if with_mounts { self.binds(&record).await? } else { (Vec::new(), Vec::new()) };
        let lent = self.world.ground.filesystems.lend(&container.id).await?;
        let worked = tokio::task::spawn_blocking(move || {
            let worked = chamber::enter(lent.walls, &lent.root, &binds, work);
            drop(images);
            worked
        });
        let doing = "looking into the container's filesystem";
        worked.await.map_err(|e| Error::internal(doing, e))?.map_err(|e| Error::internal(doing, e))
    }

    /// What is mounted into it, parents first.
    async fn binds(&self, record: &ContainerRecord) -> Result<(Vec<Bind>, Vec<Lent>)> {
        for volume in record.mounts.iter().filter_map(|mount| mount.volume.as_ref()) {
            self.world.ground.volumes.mount(volume).await?;
        }
        let mut mounts: Vec<_> = record.mounts.iter().filter(|mount| mount.kind != Kind::Tmpfs).collect();
        mounts.sort_by_key(|mount| mount.destination.components().count());
        let (mut binds, mut images) = (Vec::new(), Vec::new());
        for mount in mounts {
            let source = match &mount.image {
                Some(mounted) => {
                    images.push(self.world.ground.filesystems.lend(&mounted.snapshot).await?);
                    images.last().map(|lent| lent.root.clone()).unwrap_or_default()
                }
                None => mount.volume_root(),
            };
            let part = (!mount.subpath.is_empty()).then(|| mount.subpath.clone().into());
            binds.push(Bind { source, part, inside: mount.destination.clone() });
        }
        let folder = self.world.folder_of(&record.id);
        binds.extend(PLACES.iter().filter_map(|(name, inside)| {
            let source = folder.join(name);
            let theirs = record.mounts.iter().any(|mount| mount.destination.as_os_str() == *inside);
            // Written at the first start.
            (source.exists() && !theirs).then(|| Bind { source, part: None, inside: inside.into() })
        }));
        Ok((binds, images))
    }

    pub(in crate::engine) fn tell_of(&self, container: &Container, action: &str) {
        let attributes = super::task::attributes(&container.snapshot().record);
        self.world.events.publish(EventKind::Container, action, container.id.clone(), attributes);
    }
}

/// dockerd's text; clients look for its beginning.
fn no_such_file(container: &Container, path: &str) -> Error {
    let name = container.snapshot().record.name.clone();
    Error::not_found(format!("Could not find the file {path} in container {name}"))
}
