//! What is on disk: blobs by digest, layers, snapshots and records.
//!
//! ```text
//! <data-root>/
//!   blobs/sha256/<hex>      manifests, configurations and compressed layers, verified before they get their name
//!   layers/<hex>/fs         one unpacked layer, by the digest of its tar (diff id): an overlay lowerdir, read-only
//!   layers/<hex>/layer.json its size and the blob that it came from
//!   snapshots/<container>/  upper, work and merged: what one container wrote, over its image's layers
//!   images.json             THE list: what nothing in it (and no snapshot) refers to is garbage
//!   ingest/                 what is still arriving; emptied at start
//!   trash/                  what was removed, until it is off the disk
//! ```
//!
//! **Crash safety.** A pull writes blobs and layers without waiting for the disk, then asks for one `syncfs`, and only
//! then replaces `images.json`. Whatever a killed or powered-off machine leaves is therefore either whole and listed,
//! or unlisted and swept at the next start. Nothing is ever visible half.
//!
//! **Layers are shared by diff id**, not by chain id: an unpacked layer is a pure difference (whiteouts and opaque
//! marks included) and does not depend on what lies under it, so two images that share only an upper layer share it too.
//!
//! Refuses: digests other than sha256, archives that break [`unpack`]'s limits, an upper folder that overlayfs can't use.

pub(crate) mod archive;
pub(crate) mod blobs;
pub(crate) mod chamber;
pub(crate) mod changes;
mod collect;
pub(crate) mod digest;
pub(crate) mod holding;
pub(crate) mod layers;
mod overlay;
pub(crate) mod pack;
pub(crate) mod record;
pub(crate) mod snapshots;
pub(crate) mod spool;
pub(crate) mod trash;
pub(crate) mod tree;
pub(crate) mod unpack;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

pub(crate) use blobs::Blobs;
use collect::Leases;
pub(crate) use collect::{Collected, Lease};
pub(crate) use digest::Digest;
pub(crate) use layers::{Layer, Layers, Packing};
pub(crate) use snapshots::{Mounting, Snapshots};
use trash::Trash;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong on disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing} {}", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged", .path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} was written by a newer version: record version {found}, this one knows {known}", .path.display())]
    TooNew { path: PathBuf, found: u32, known: u32 },
    #[error("invalid digest {0:?}: it must be sha256: and 64 lower-case hexadecimal digits")]
    InvalidDigest(String),
    #[error("filesystem layer verification failed for digest {expected}: the content is {found}")]
    WrongDigest { expected: Digest, found: Digest },
    #[error("layer {0} is not here")]
    NoLayer(Digest),
    #[error("snapshot {0} is not here")]
    NoSnapshot(String),
    #[error("invalid tar archive: {0}")]
    InvalidArchive(&'static str),
    #[error("the archive breaks off")]
    ArchiveBroke(#[source] io::Error),
    #[error("cannot unpack {path:?}: {why}")]
    Archive { path: String, why: &'static str },
    #[error("{path:?} is outside of {folder:?}")]
    Outside { path: String, folder: String },
    #[error("cannot overwrite {what}directory {path:?} with {with}directory {folder:?}")]
    OtherKind { path: String, folder: String, what: &'static str, with: &'static str },
    #[error("cannot {doing} {path:?}")]
    Entry {
        doing: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("no space left: unpacking stops while {0} bytes are still free")]
    Reserve(u64),
    #[error("a worker thread stopped")]
    Stopped,
}

impl Error {
    /// For `map_err`: what was being done, and to which path.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// An archive's entry that is refused, and why.
    pub(crate) fn archive(path: &[u8], why: &'static str) -> Self {
        Self::Archive { path: String::from_utf8_lossy(path).into_owned(), why }
    }

    /// An archive's entry that the kernel refused.
    pub(crate) fn entry(doing: &'static str, path: &[u8]) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        move |errno| Self::Entry { doing, path, source: errno.into() }
    }

    /// The same for system calls made through rustix.
    pub(crate) fn os(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.into();
        move |errno| Self::Io { doing, path, source: errno.into() }
    }
}

/// Everything under one data root. Cheap to clone; one daemon has one.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
    pub(crate) blobs: Blobs,
    pub(crate) layers: Layers,
    pub(crate) snapshots: Snapshots,
    leases: Leases,
}

impl Store {
    /// Makes the folders that are missing and sweeps what never got its name.
    pub(crate) fn open(root: &Path, mounting: Mounting) -> Result<Self> {
        let ingest = root.join("ingest");
        match std::fs::remove_dir_all(&ingest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("empty", ingest)(error));
            }
            _ => {}
        }
        for name in ["ingest", "blobs", "layers", "snapshots"] {
            private_folder(&root.join(name))?;
        }
        let gate = Arc::new(RwLock::new(()));
        Ok(Self {
            root: root.to_owned(),
            blobs: Blobs::open(root)?,
            layers: Layers::open(root)?,
            snapshots: Snapshots::new(root, Arc::clone(&gate), mounting, Trash::open(root, mounting)?)?,
            leases: Leases::new(gate),
        })
    }

    /// Waits until everything written so far would survive a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        let root = std::fs::File::open(&self.root).map_err(Error::io("open", &self.root))?;
        rustix::fs::syncfs(&root).map_err(Error::os("sync", &self.root))
    }

    /// Refuses to fill the disk's last reserve, which records and logs need.
    pub(crate) fn leave_a_reserve(&self) -> Result<()> {
        let root = std::fs::File::open(&self.root).map_err(Error::io("open", &self.root))?;
        unpack::leave_a_reserve(&root)
    }

    /// Where archives may be spooled; whatever is left there is swept at the next start.
    pub(crate) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    /// Keeps this content from being collected as long as the lease lives, whether it is here yet or not.
    pub(crate) fn lease(&self, content: impl IntoIterator<Item = Digest>) -> Lease {
        self.leases.take(content)
    }
}

/// Only root looks into images: they may hold set-user-id programs of anybody.
fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

/// Runs disk work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopped)?
}

/// The digests that name the entries of a folder; anything else in it is not ours to touch.
fn list_digests(folder: &Path) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        digests.extend(name.to_str().and_then(|name| format!("sha256:{name}").parse::<Digest>().ok()));
    }
    Ok(digests)
}
