//! Records: small JSON files that carry a version and are replaced as a whole.
//!
//! A reader sees the old record or the new one, also after power loss: the bytes go to a temporary name beside it, are
//! synced, renamed over it, and the folder is synced. A record of a newer version than the caller knows is refused
//! rather than misread.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// A kind of record: what it is written as, and the version that this build writes and understands up to.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const VERSION: u32;
}

/// Reads the record at `path`; `None` when there is no such file.
pub(crate) fn read<R: Record>(path: &Path) -> Result<Option<R>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let damaged = |source| Error::Damaged { path: path.to_owned(), source };
    let Stamp { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > R::VERSION {
        return Err(Error::TooNew { path: path.to_owned(), found: version, known: R::VERSION });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Replaces the record at `path`. The folder must be there.
pub(crate) fn write<R: Record>(path: &Path, record: &R) -> Result<()> {
    let stamped = Stamped { version: R::VERSION, record };
    let bytes =
        serde_json::to_vec(&stamped).map_err(|source| Error::Damaged { path: path.to_owned(), source })?;
    replace(path, &bytes)
}

/// Removes the record; one that isn't there is removed already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
    }
}

#[derive(Deserialize)]
struct Stamp {
    version: u32,
}

#[derive(Serialize)]
struct Stamped<'a, R> {
    version: u32,
    #[serde(flatten)]
    record: &'a R,
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written = write_synced(&temporary, bytes)
        .map_err(Error::io("write", &temporary))
        .and_then(|()| std::fs::rename(&temporary, path).map_err(Error::io("replace", path)));
    if written.is_err() {
        // The failure is what matters; the name is never used again.
        let _ = std::fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

/// Unique in this process, and two daemons never share a data root. A leftover of a killed one is overwritten by
/// nobody, so the name carries the process id as well.
fn temporary_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Record for Note {
        const VERSION: u32 = 2;
    }

    #[test]
    fn replaces_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.json");
        assert_eq!(read::<Note>(&path).unwrap(), None);
        for text in ["one", "two"] {
            write(&path, &Note { text: text.into() }).unwrap();
        }
        assert_eq!(read::<Note>(&path).unwrap(), Some(Note { text: "two".into() }));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(r#"{"version":2,"#));
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[test]
    fn refuses_a_newer_version_and_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.json");
        File::create(&path).unwrap().write_all(br#"{"version":3,"text":"x"}"#).unwrap();
        assert!(matches!(read::<Note>(&path), Err(Error::TooNew { found: 3, known: 2, .. })));
        File::create(&path).unwrap().write_all(br#"{"version":2,"te"#).unwrap();
        assert!(matches!(read::<Note>(&path), Err(Error::Damaged { .. })));
    }
}
