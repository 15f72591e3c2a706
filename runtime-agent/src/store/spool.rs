//! An archive of files, spooled to disk: what came under which name. Names are keys, never paths.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::archive::compression::decompress;
use super::archive::{EntryKind, Reader};
use super::blobs::Blobs;
use super::{Digest, Error, Result, Store};

/// Archives of many images have some thousand entries.
const ENTRIES_MAX: usize = 100_000;
/// Documents are read into memory.
const DOCUMENT_MAX: u64 = 8 * 1024 * 1024;
const LINKS_MAX: usize = 16;

/// The files of one archive; gone with it.
#[derive(Debug)]
pub(crate) struct Spool {
    files: HashMap<String, Spooled>,
    links: HashMap<String, String>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct Spooled {
    file: NamedTempFile,
    pub(crate) size: u64,
}

impl Spool {
    /// Reads a whole archive, packed or not.
    pub(crate) fn read(store: &Store, archive: impl Read) -> Result<Self> {
        let archive = BufReader::with_capacity(BUFFER, archive);
        let (unpacked, _) = decompress(archive).map_err(Error::ArchiveBroke)?;
        let mut reader = Reader::new(BufReader::with_capacity(BUFFER, unpacked));
        let mut spool = Self { files: HashMap::new(), links: HashMap::new() };
        let ingest = store.ingest();
        while let Some(entry) = reader.next()? {
            let Some(name) = clean(&entry.path, b"") else { continue };
            if spool.files.len() + spool.links.len() >= ENTRIES_MAX {
                return Err(Error::InvalidArchive("it has too many entries"));
            }
            match entry.kind {
                EntryKind::File => {
                    store.leave_a_reserve()?;
                    let file =
                        NamedTempFile::new_in(&ingest).map_err(Error::io("create a file in", &ingest))?;
                    let size = copy(&mut reader.data(), &file, store)?;
                    spool.files.insert(name, Spooled { file, size });
                }
                EntryKind::Symlink(target) => {
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    spool.links.extend(clean(&target, folder.as_bytes()).map(|target| (name, target)));
                }
                EntryKind::Hardlink(target) => {
                    spool.links.extend(clean(&target, b"").map(|target| (name, target)));
                }
                _ => {}
            }
        }
        Ok(spool)
    }

    /// The file under a name, through the archive's own links.
    pub(crate) fn find(&self, name: &str) -> Option<&Spooled> {
        let mut name = clean(name.as_bytes(), b"")?;
        for _ in 0..LINKS_MAX {
            if let Some(file) = self.files.get(&name) {
                return Some(file);
            }
            name.clone_from(self.links.get(&name)?);
        }
        None
    }

    /// A small file's contents; `None` when there is none of that name.
    pub(crate) fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(spooled) = self.find(name) else { return Ok(None) };
        if spooled.size > DOCUMENT_MAX {
            return Err(Error::InvalidArchive("a document in it is too long"));
        }
        let mut bytes = Vec::new();
        spooled.open()?.read_to_end(&mut bytes).map_err(Error::ArchiveBroke)?;
        Ok(Some(bytes))
    }
}

impl Spooled {
    pub(crate) fn open(&self) -> Result<File> {
        self.file.reopen().map_err(Error::io("open", self.file.path()))
    }

    /// Keeps the file as a blob: another name for the same bytes, once they were read again for their digest.
    pub(crate) fn keep(&self, blobs: &Blobs) -> Result<Digest> {
        blobs.adopt(self.file.path(), &mut self.open()?)
    }
}

const BUFFER: usize = 128 * 1024;

fn copy(data: &mut impl Read, file: &NamedTempFile, store: &Store) -> Result<u64> {
    let mut file_ref = file.as_file();
    let mut size = 0;
    loop {
        let mut part = data.take(64 * 1024 * 1024);
        let copied = io::copy(&mut part, &mut file_ref).map_err(Error::io("write", file.path()))?;
        size += copied;
        if copied == 0 {
            file_ref.flush().map_err(Error::io("write", file.path()))?;
            return Ok(size);
        }
        store.leave_a_reserve()?;
    }
}

/// A name relative to `folder` without dots; `None` for the root, for what climbs out, and for what is no text.
fn clean(path: &[u8], folder: &[u8]) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    let folder = if path.starts_with(b"/") { b"" } else { folder };
    for part in [folder, path] {
        for name in Path::new(std::str::from_utf8(part).ok()?).components() {
            match name {
                std::path::Component::Normal(name) => names.push(name.to_str()?),
                std::path::Component::ParentDir => drop(names.pop()?),
                _ => {}
            }
        }
    }
    if names.is_empty() { None } else { Some(names.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_never_climb() {
        assert_eq!(clean(b"./a/./b", b""), Some("a/b".into()));
        assert_eq!(clean(b"../x/layer.tar", b"y"), Some("x/layer.tar".into()));
        assert_eq!(clean(b"/etc/passwd", b"y"), Some("etc/passwd".into()));
        assert_eq!(clean(b"../../etc/passwd", b"y"), None);
        assert_eq!(clean(b"./", b""), None);
    }
}
