//! How a process ended, and the record of it that outlives everything else.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit status; 128 + the signal for a process that was killed; 255 when nobody knows.
    pub code: i32,
    /// What killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When the shim heard of it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The kernel killed something in the container for want of memory.
    #[serde(default)]
    pub oom: bool,
}

impl Exit {
    /// Ended by itself.
    #[must_use]
    pub fn status(code: i32) -> Self {
        Self { code, signal: None, at: OffsetDateTime::now_utc(), oom: false }
    }

    /// Killed.
    #[must_use]
    pub fn signalled(signal: i32) -> Self {
        Self { signal: Some(signal), ..Self::status(128 + signal) }
    }

    /// Its shim died with it, or the machine did.
    #[must_use]
    pub fn unknown() -> Self {
        Self::status(255)
    }
}

/// A record's version travels with it: a daemon reads those of older and newer neighbours.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    #[serde(flatten)]
    exit: Exit,
}

const VERSION: u32 = 1;

/// Writes the record so that it is on disk when this returns.
pub(super) fn write(dir: &Path, exit: &Exit) -> io::Result<()> {
    let temporary = dir.join(".exit.json");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(&Record { version: VERSION, exit: exit.clone() })?)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path(dir))?;
    File::open(dir)?.sync_all()
}

/// Reads it; none there is no failure, a damaged one is.
pub(super) fn read(dir: &Path) -> io::Result<Option<Exit>> {
    match std::fs::read(path(dir)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice::<Record>(&bytes)?.exit)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes it away before the next start.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("exit.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let exit = Exit { oom: true, ..Exit::signalled(9) };
        write(dir.path(), &exit).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(exit));
        remove(dir.path()).unwrap();
        remove(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_record_of_the_first_version_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let old = br#"{"version":1,"code":137,"signal":9,"at":"2026-01-02T03:04:05Z","oom":false}"#;
        File::create(path(dir.path())).unwrap().write_all(old).unwrap();
        assert_eq!(read(dir.path()).unwrap().unwrap().code, 137);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        File::create(path(dir.path())).unwrap().write_all(b"{").unwrap();
        assert!(read(dir.path()).is_err());
    }
}
