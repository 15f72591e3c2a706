//! Unpacked layers, by the digest of their tar (diff id). A layer has its name only when both its digests were seen to
//! be right.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::archive::compression::{Compression, decompress};
use super::archive::{self};
use super::record::{self, Record};
use super::tree::Tree;
use super::{Digest, Error, Result, unpack};

/// The layers of one data root. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    folder: PathBuf,
    ingest: PathBuf,
}

/// What is known about a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Bytes of its files.
    pub(crate) size: u64,
    /// The blob that it came from: what is pushed and saved.
    pub(crate) blob: Digest,
    pub(crate) blob_size: u64,
    pub(crate) compression: Packing,
}

/// How the layer's blob is packed, which decides its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Record for Layer {
    const VERSION: u32 = 1;
}

/// A layer that is unpacked and has no name yet. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Unpacked {
    folder: tempfile::TempDir,
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    pub(crate) packing: Packing,
}

impl Layers {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let (folder, ingest) = (root.join("layers"), root.join("ingest"));
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self { folder, ingest })
    }

    /// The layer, if it is here.
    pub(crate) fn find(&self, diff_id: &Digest) -> Result<Option<Layer>> {
        record::read(&self.path(diff_id).join("layer.json"))
    }

    /// The layer, which an image that is listed says must be here.
    pub(crate) fn get(&self, diff_id: &Digest) -> Result<Layer> {
        self.find(diff_id)?.ok_or(Error::NoLayer(*diff_id))
    }

    /// Where a layer's files are.
    pub(crate) fn files(&self, diff_id: &Digest) -> PathBuf {
        self.path(diff_id).join("fs")
    }

    /// Unpacks a blob as it arrives, whatever it is packed with, and reads it to its end.
    pub(crate) fn unpack(&self, blob: impl Read) -> Result<Unpacked> {
        let folder = tempfile::Builder::new().prefix("layer-").tempdir_in(&self.ingest);
        let folder = folder.map_err(Error::io("create a folder in", &self.ingest))?;
        let root = folder.path().join("fs");
        make_root(&root)?;
        let blob = BufReader::with_capacity(BUFFER, blob);
        let (contents, compression) = decompress(blob).map_err(Error::ArchiveBroke)?;
        let mut hashed = Hashed { inner: contents, hasher: Sha256::new() };
        let mut archive = archive::Reader::new(BufReader::with_capacity(BUFFER, &mut hashed));
        let size = unpack::unpack(&mut archive, Tree::open(&root)?)?;
        // What follows the archive's end is part of the digest.
        drain(archive.into_inner())?;
        let packing = match compression {
            Compression::Gzip => Packing::Gzip,
            Compression::Zstd => Packing::Zstd,
            Compression::None => Packing::None,
            // No manifest has a name for such a layer.
            Compression::Bzip2 | Compression::Xz => {
                return Err(Error::InvalidArchive("a layer must be plain, or packed with gzip or zstd"));
            }
        };
        Ok(Unpacked { folder, diff_id: Digest::finish(hashed.hasher), size, packing })
    }

    /// Gives an unpacked layer its name. One that came first stays.
    pub(crate) fn commit(&self, unpacked: Unpacked, blob: Digest, blob_size: u64) -> Result<Layer> {
        let Unpacked { folder, diff_id, size, packing } = unpacked;
        if let Some(layer) = self.find(&diff_id)? {
            return Ok(layer);
        }
        let layer = Layer { size, blob, blob_size, compression: packing };
        record::write(&folder.path().join("layer.json"), &layer)?;
        let path = self.path(&diff_id);
        let from = folder.keep();
        std::fs::rename(&from, &path).map_err(|error| {
            // Not ours to keep: the folder would stay in ingest until the next start.
            let _ = std::fs::remove_dir_all(&from);
            Error::io("store", path)(error)
        })?;
        Ok(layer)
    }

    /// Takes a layer's name away and moves it where removing it takes as long as it takes.
    pub(super) fn discard(&self, diff_id: &Digest) -> Result<Option<PathBuf>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let trash = format!("trash-{}-{}", diff_id.hex(), NEXT.fetch_add(1, Ordering::Relaxed));
        let trash = self.ingest.join(trash);
        match std::fs::rename(self.path(diff_id), &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("remove", self.path(diff_id))(error)),
        }
    }

    /// Every layer that is here.
    pub(super) fn list(&self) -> Result<Vec<Digest>> {
        super::list_digests(&self.folder)
    }

    fn path(&self, diff_id: &Digest) -> PathBuf {
        self.folder.join(diff_id.hex())
    }
}

const BUFFER: usize = 128 * 1024;

fn make_root(root: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir(root)
        .and_then(|()| std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)))
        .map_err(Error::io("create", root))
}

fn drain(mut rest: impl BufRead) -> Result<()> {
    loop {
        let length = rest.fill_buf().map_err(Error::ArchiveBroke)?.len();
        if length == 0 {
            return Ok(());
        }
        rest.consume(length);
    }
}

struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
