//! Blobs: content by its digest. A blob has its name only when all its bytes were seen to match it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Digest, Error, Result};

/// The blobs of one data root. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: PathBuf,
    ingest: PathBuf,
}

/// A blob that is arriving. Dropped before [`Writer::commit`], it was never there.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    file: NamedTempFile,
    hasher: Sha256,
    written: u64,
}

impl Blobs {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let (folder, ingest) = (root.join("blobs/sha256"), root.join("ingest"));
        for folder in [&folder, &ingest] {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        Ok(Self { folder, ingest })
    }

    /// Where the blob is or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    #[cfg(test)]
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// All of a small blob.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.path(digest);
        std::fs::read(&path).map_err(Error::io("read", path))
    }

    pub(crate) fn open_file(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(Error::io("open", path))
    }

    /// Begins a blob whose digest is known when it ends.
    pub(crate) fn writer(&self) -> Result<Writer> {
        let file =
            NamedTempFile::new_in(&self.ingest).map_err(Error::io("create a file in", &self.ingest))?;
        Ok(Writer { folder: self.folder.clone(), file, hasher: Sha256::new(), written: 0 })
    }

    /// Stores a file of the ingest folder by another name for it, read once for its digest.
    pub(super) fn adopt(&self, file: &Path, contents: &mut File) -> Result<Digest> {
        let mut hasher = Sha256::new();
        io::copy(contents, &mut hasher).map_err(Error::io("read", file))?;
        let digest = Digest::finish(hasher);
        let path = self.path(&digest);
        match std::fs::hard_link(file, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("store", path)(error))
            }
            _ => Ok(digest),
        }
    }

    /// Stores bytes at hand and says what they are called.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let mut writer = self.writer()?;
        let path = writer.file.path().to_owned();
        writer.write_all(bytes).map_err(Error::io("write", path))?;
        writer.commit(None)
    }

    /// Removes a blob; one that isn't there is removed already.
    pub(super) fn remove(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Every blob that is here.
    pub(super) fn list(&self) -> Result<Vec<Digest>> {
        super::list_digests(&self.folder)
    }
}

impl Writer {
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Gives the blob its name, if it is the one that was expected. The bytes reach the disk with the next
    /// [`super::Store::sync`], before anything refers to them.
    pub(crate) fn commit(self, expected: Option<&Digest>) -> Result<Digest> {
        let digest = Digest::finish(self.hasher);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(Error::WrongDigest { expected: *expected, found: digest });
        }
        let path = self.folder.join(digest.hex());
        match self.file.persist(&path) {
            Ok(_) => Ok(digest),
            Err(failed) => Err(Error::io("store", path)(failed.error)),
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.as_file_mut().write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_there_only_when_it_is_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path()).unwrap();
        let expected = Digest::of(b"hello");
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"hellO").unwrap();
        assert!(matches!(writer.commit(Some(&expected)), Err(Error::WrongDigest { .. })));
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"hel").unwrap();
        drop(writer);
        assert!(!blobs.contains(&expected));
        assert_eq!(std::fs::read_dir(root.path().join("ingest")).unwrap().count(), 0);
        assert_eq!(blobs.put(b"hello").unwrap(), expected);
        assert_eq!(blobs.put(b"hello").unwrap(), expected);
        assert_eq!(blobs.read(&expected).unwrap(), b"hello");
        assert_eq!(blobs.list().unwrap(), [expected]);
        blobs.remove(&expected).unwrap();
        blobs.remove(&expected).unwrap();
    }
}
