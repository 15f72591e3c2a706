//! Into a container: an archive unpacked in one of its folders.

use std::io::BufReader;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::channel::{Inward, Pieces};
use super::path::clean;
use super::read::lookup_failed;
use super::{Container, Containers, path};
use crate::engine::containers::place::identify;
use crate::engine::containers::record::ContainerRecord;
use crate::engine::error::{Error, Kind, Result};
use crate::store;
use crate::store::archive::Reader;
use crate::store::archive::compression::decompress;
use crate::store::tree::Tree;
use crate::store::unpack::{self, Copying};

/// Where an archive goes, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) path: String,
    /// Everything shall belong to the container's user.
    pub(crate) own: bool,
    /// No folder in the place of something else, nor the other way round.
    pub(crate) keep_kinds: bool,
}

/// Why nothing was, or not all.
enum Failure {
    Lookup(Errno),
    NoFolder,
    Unpack(store::Error),
}

impl Containers {
    /// Unpacks an archive, packed or not, until it ends.
    pub(crate) async fn write_path(&self, container: &Container, upload: Upload, body: Pieces) -> Result<()> {
        let record = container.snapshot().record.clone();
        writable(&record, &clean(&upload.path))?;
        let owner = if upload.own { self.owner(container, &record).await? } else { None };
        let wanted = upload.clone();
        let unpacked = self.inside(container, true, move |root| unpack(root, &wanted, owner, body)).await?;
        unpacked.map_err(|failure| match failure {
            Failure::Lookup(errno) => lookup_failed(container, &upload.path, errno),
            Failure::NoFolder => Error::invalid("extraction point is not a directory"),
            Failure::Unpack(
                error @ (store::Error::InvalidArchive(_)
                | store::Error::ArchiveBroke(_)
                | store::Error::Archive { .. }),
            ) => Error::new(Kind::Invalid, Error::internal("Error processing tar file", error).to_string()),
            Failure::Unpack(error) => Error::internal("Error processing tar file", error),
        })?;
        self.tell_of(container, "extract-to-dir");
        Ok(())
    }

    /// The container's user, by the container's own accounts.
    async fn owner(&self, container: &Container, record: &ContainerRecord) -> Result<Option<(u32, u32)>> {
        if record.config.user.is_empty() {
            return Ok(None);
        }
        let lent = self.world.ground.filesystems.lend(&container.id).await?;
        let identity = identify(&lent.root, &record.config.user, record).await;
        tokio::task::spawn_blocking(move || drop(lent))
            .await
            .map_err(|e| Error::internal("unmounting", e))?;
        identity.map(|identity| Some((identity.uid, identity.gid)))
    }
}

/// A volume decides for what is in it, else the root filesystem does.
fn writable(record: &ContainerRecord, path: &str) -> Result<()> {
    let path = std::path::Path::new(path);
    let holding = record.mounts.iter().filter(|mount| path.starts_with(&mount.destination));
    match holding.max_by_key(|mount| mount.destination.components().count()) {
        Some(mount) if mount.read_only => Err(Error::forbidden("mounted volume is marked read-only")),
        None if record.host.readonly_rootfs => Err(Error::forbidden("container rootfs is marked read-only")),
        _ => Ok(()),
    }
}

fn unpack(root: &OwnedFd, upload: &Upload, owner: Option<(u32, u32)>, body: Pieces) -> Result<(), Failure> {
    let path = &upload.path;
    match path::open_folder(root, &clean(path)) {
        Ok(_) => {}
        Err(Errno::NOTDIR) => return Err(Failure::NoFolder),
        Err(errno) => return Err(Failure::Lookup(errno)),
    }
    let broken = |error| Failure::Unpack(store::Error::ArchiveBroke(error));
    let (contents, _) = decompress(BufReader::with_capacity(BUFFER, Inward::new(body))).map_err(broken)?;
    let mut archive = Reader::new(BufReader::with_capacity(BUFFER, contents));
    let tree = path::open_folder(root, "/").map(Tree::over).map_err(Failure::Lookup)?;
    let copying = Copying {
        folder: clean(path).trim_end_matches('/').as_bytes().to_vec(),
        owner,
        keep_kinds: upload.keep_kinds,
    };
    unpack::copy(&mut archive, tree, &copying).map_err(Failure::Unpack)?;
    // Clients send zeros to the end of a record, and expect them to be taken.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map(drop).map_err(broken)
}

const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides_whether_a_place_is_writable() {
        let text = r#"{"id":"a","name":"a","created":"2026-01-01T00:00:00Z","config":{},"endpoints":[],
            "host":{"ReadonlyRootfs":true},"state":{},
            "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "mounts":[{"kind":"volume","source":"/v","destination":"/data","read_only":true},
                      {"kind":"volume","source":"/w","destination":"/data/in","read_only":false}]}"#;
        let record: ContainerRecord = serde_json::from_str(text).unwrap();
        let refused = |path: &str| writable(&record, path).err().map(|error| error.to_string());
        assert_eq!(refused("/data/x").as_deref(), Some("mounted volume is marked read-only"));
        assert_eq!(refused("/data/in/x"), None);
        assert_eq!(refused("/database").as_deref(), Some("container rootfs is marked read-only"));
    }
}
