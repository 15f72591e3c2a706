//! Snapshots: what one container wrote, over the layers of its image.
//!
//! Every verb may be repeated: what is done already is done. A mount outlives the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::changes::{self, Change};
use super::overlay::{self, Overlay};
use super::pack::{Manner, Packer};
use super::record::{self, Record};
use super::trash::Trash;
use super::{Digest, Error, Result, blocking};

/// How snapshots of builds are called: what a killed daemon leaves of them is of no use to anybody.
pub(crate) const BUILDING: &str = "build-";

/// The container filesystems of one data root. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    layers: PathBuf,
    /// Held for reading while a snapshot begins to refer to layers, for writing while unreferenced ones are removed.
    gate: Arc<RwLock<()>>,
    mounting: Mounting,
    trash: Trash,
    /// Why each filesystem is mounted, by container; each entry locked while it is mounted or unmounted.
    uses: Mutex<BTreeMap<String, Arc<Mutex<Use>>>>,
}

/// Who needs a container's filesystem mounted.
#[derive(Debug, Default)]
struct Use {
    by_container: bool,
    loans: usize,
}

/// A mounted filesystem that stays mounted as long as this lives, whatever the container does. Dropping it may block.
#[derive(Debug)]
pub(crate) struct Loan {
    pub(crate) root: PathBuf,
    used: Arc<Mutex<Use>>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.loans -= 1;
        if used.loans == 0
            && !used.by_container
            && let Err(error) = overlay::unmount(&self.root)
        {
            tracing::warn!(%error, "cannot unmount a filesystem that was looked into");
        }
    }
}

/// What a mount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounting {
    /// overlayfs, by the kernel.
    Overlay,
    /// Nothing: the folder stays as it is, for tests without privileges.
    #[cfg(test)]
    Pretend,
}

/// Which layers a container's filesystem stands on: they stay as long as the snapshot does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    /// Lowest first, as in the image's configuration.
    layers: Vec<Digest>,
}

impl Record for Base {
    const VERSION: u32 = 1;
}

/// Where the parts of a snapshot are, for `docker inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Topmost first.
    pub(crate) lower: Vec<PathBuf>,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) merged: PathBuf,
}

impl Snapshots {
    pub(super) fn new(root: &Path, gate: Arc<RwLock<()>>, mounting: Mounting, trash: Trash) -> Result<Self> {
        let (folder, layers) = (root.join("snapshots"), root.join("layers"));
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        sweep(&folder)?;
        let uses = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { folder, layers, gate, mounting, trash, uses }) })
    }

    /// Makes an empty writable layer for `container` over `layers` (lowest first).
    pub(crate) async fn prepare(&self, container: &str, layers: &[Digest]) -> Result<()> {
        let (shared, container, base) = (Arc::clone(&self.shared), container.to_owned(), layers.to_vec());
        blocking(move || shared.prepare(&container, base)).await
    }

    /// Mounts the container's filesystem and says where. Mounted already is fine.
    pub(crate) async fn mount(&self, container: &str) -> Result<PathBuf> {
        let (shared, container) = (Arc::clone(&self.shared), container.to_owned());
        blocking(move || {
            let used = shared.use_of(&container);
            let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
            let mounted = shared.mount(&container)?;
            used.by_container = true;
            Ok(mounted)
        })
        .await
    }

    /// Unmounts it, at the end of the last loan at the latest; what was written stays.
    pub(crate) async fn unmount(&self, container: &str) -> Result<()> {
        let (shared, container) = (Arc::clone(&self.shared), container.to_owned());
        blocking(move || {
            let used = shared.use_of(&container);
            let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
            used.by_container = false;
            if used.loans > 0 {
                return Ok(());
            }
            overlay::unmount(&shared.folder(&container).join("merged"))
        })
        .await
    }

    /// Mounts it for somebody who looks into it for a while.
    pub(crate) async fn lend(&self, container: &str) -> Result<Loan> {
        let (shared, container) = (Arc::clone(&self.shared), container.to_owned());
        blocking(move || {
            let used = shared.use_of(&container);
            let root = {
                let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
                let root = shared.mount(&container)?;
                used.loans += 1;
                root
            };
            Ok(Loan { root, used })
        })
        .await
    }

    /// Unmounts it and removes what was written, which leaves the disk soon. The layers stay until nothing needs them.
    pub(crate) async fn remove(&self, container: &str) -> Result<()> {
        let (folder, container) = (self.shared.folder(container), container.to_owned());
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.uses.lock().unwrap_or_else(PoisonError::into_inner).remove(&container);
            overlay::unmount(&folder.join("merged"))?;
            shared.trash.take(&folder)
        })
        .await
    }

    /// Takes another folder of the same data root away.
    pub(crate) async fn discard(&self, folder: PathBuf) -> Result<()> {
        let trash = self.shared.trash.clone();
        blocking(move || trash.take(&folder)).await
    }

    /// Bytes that the container wrote (`SizeRw`).
    pub(crate) async fn size(&self, container: &str) -> Result<u64> {
        let upper = self.shared.folder(container).join("upper");
        blocking(move || folder_size(&upper)).await
    }

    /// What the container changed, but for `made`, which the engine makes itself.
    pub(crate) async fn changes(
        &self,
        container: &str,
        made: &'static [&'static str],
    ) -> Result<Vec<Change>> {
        let (shared, container) = (Arc::clone(&self.shared), container.to_owned());
        blocking(move || {
            let parts = shared.parts(&container)?;
            changes::changes(&parts.upper, &parts.lower, made).map_err(Error::io("compare", parts.upper))
        })
        .await
    }

    /// The same as an archive, packed while it is read. One that breaks off did not go well; the log says why.
    pub(crate) fn difference(
        &self,
        container: &str,
        made: &'static [&'static str],
    ) -> Result<io::PipeReader> {
        let upper = self.shared.parts(container)?.upper;
        let (reader, writer) = io::pipe().map_err(Error::io("pack", &upper))?;
        std::thread::spawn(move || {
            if let Err(error) = pack(&upper, made, writer) {
                tracing::warn!(%error, "a container's difference cannot be packed");
            }
        });
        Ok(reader)
    }

    /// Where its parts are.
    pub(crate) fn parts(&self, container: &str) -> Result<Parts> {
        self.shared.parts(container)
    }

    /// Every layer that some snapshot stands on.
    pub(super) fn referenced(&self) -> Result<BTreeSet<Digest>> {
        let folder = &self.shared.folder;
        let mut referenced = BTreeSet::new();
        for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let entry = entry.map_err(Error::io("list", folder))?;
            // One without a record was interrupted while it was made; it stands on nothing.
            if let Some(base) = record::read::<Base>(&entry.path().join("snapshot.json"))? {
                referenced.extend(base.layers);
            }
        }
        Ok(referenced)
    }
}

impl Shared {
    fn folder(&self, container: &str) -> PathBuf {
        self.folder.join(container)
    }

    fn use_of(&self, container: &str) -> Arc<Mutex<Use>> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(uses.entry(container.to_owned()).or_default())
    }

    fn prepare(&self, container: &str, layers: Vec<Digest>) -> Result<()> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(missing) = layers.iter().find(|layer| !self.layer(layer).is_dir()) {
            return Err(Error::NoLayer(*missing));
        }
        let folder = self.folder(container);
        for part in ["upper", "work", "merged"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        mark_as_container(&folder.join("upper"))?;
        record::write(&folder.join("snapshot.json"), &Base { layers })
    }

    fn mount(&self, container: &str) -> Result<PathBuf> {
        let parts = self.parts(container)?;
        if self.mounting == Mounting::Overlay && !overlay::is_mounted(&parts.merged)? {
            let overlay = Overlay { lower: parts.lower, upper: parts.upper, work: parts.work };
            overlay::mount(&overlay, &parts.merged)?;
        }
        Ok(parts.merged)
    }

    fn parts(&self, container: &str) -> Result<Parts> {
        let folder = self.folder(container);
        let base = record::read::<Base>(&folder.join("snapshot.json"))?
            .ok_or_else(|| Error::NoSnapshot(container.to_owned()))?;
        let mut lower: Vec<_> = topmost_once(&base.layers).iter().map(|layer| self.layer(layer)).collect();
        if lower.is_empty() {
            // An image without layers: overlayfs wants at least one folder below.
            let empty = self.layers.join("empty");
            std::fs::create_dir_all(&empty).map_err(Error::io("create", &empty))?;
            lower.push(empty);
        }
        let part = |name: &str| folder.join(name);
        Ok(Parts { lower, upper: part("upper"), work: part("work"), merged: part("merged") })
    }

    fn layer(&self, layer: &Digest) -> PathBuf {
        self.layers.join(layer.hex()).join("fs")
    }
}

/// Removes what builds left that were cut off.
fn sweep(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with(BUILDING) {
            overlay::unmount(&entry.path().join("merged"))?;
            std::fs::remove_dir_all(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Without what the engine made and nobody touched.
fn pack(upper: &Path, made: &[&str], to: io::PipeWriter) -> io::Result<()> {
    use std::os::unix::ffi::OsStringExt as _;
    let untouched = changes::untouched(upper, made)?;
    let untouched = untouched.into_iter().map(|path| path.into_os_string().into_vec()).collect();
    let mut packer = Packer::new(io::BufWriter::new(to), Manner::Difference).leave_out(untouched);
    packer.folder(
        rustix::fs::open(upper, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?,
        b"",
    )?;
    packer.finish().map(drop)
}

/// Programs look for this file to find out that they are in a container.
fn mark_as_container(upper: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mark = upper.join(".dockerenv");
    let made = std::fs::File::options().write(true).create_new(true).mode(0o755).open(&mark);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", mark)(error)),
        _ => Ok(()),
    }
}

/// Topmost first, each once: overlayfs refuses the same folder twice, and whatever a lower occurrence says, the upper
/// one says again.
fn topmost_once(layers: &[Digest]) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    layers.iter().rev().filter(|layer| seen.insert(**layer)).copied().collect()
}

fn folder_size(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut size = 0;
    let mut linked = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A running container may remove what is being counted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("list", folder)(error)),
        };
        for entry in entries.flatten() {
            let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.nlink() == 1 || linked.insert((metadata.dev(), metadata.ino())) {
                size += metadata.len();
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_comes_twice_counts_where_it_is_topmost() {
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        assert_eq!(topmost_once(&[a, b, a, c]), [c, a, b]);
    }

    #[tokio::test]
    async fn a_snapshot_needs_its_layers_and_remembers_them() {
        let root = tempfile::tempdir().unwrap();
        let snapshots = {
            let trash = Trash::open(root.path(), Mounting::Pretend).unwrap();
            Snapshots::new(root.path(), Arc::default(), Mounting::Pretend, trash).unwrap()
        };
        let layer = Digest::of(b"layer");
        assert!(
            matches!(snapshots.prepare("c", &[layer]).await, Err(Error::NoLayer(missing)) if missing == layer)
        );
        std::fs::create_dir_all(root.path().join("layers").join(layer.hex()).join("fs")).unwrap();
        snapshots.prepare("c", &[layer]).await.unwrap();
        snapshots.prepare("c", &[layer]).await.unwrap();
        assert_eq!(snapshots.referenced().unwrap(), BTreeSet::from([layer]));
        let loan = snapshots.lend("c").await.unwrap();
        snapshots.mount("c").await.unwrap();
        snapshots.unmount("c").await.unwrap();
        snapshots.remove("c").await.unwrap();
        snapshots.remove("c").await.unwrap();
        drop(loan);
        assert!(matches!(snapshots.parts("c"), Err(Error::NoSnapshot(_))));
    }
}
