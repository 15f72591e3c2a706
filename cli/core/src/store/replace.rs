//! Replacing a file so that a crash leaves the old one or the new one: write, fsync, rename, fsync the folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::{Error, Kind};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Replaces `path` by `bytes`, readable by its owner alone.
///
/// # Errors
/// Those of the file system; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    // One writer at a time holds the lock, so the name is ours; a left-over of a crash is overwritten.
    let temporary = folder.join(format!(".{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        // The first error is what matters; a left-over is overwritten next time.
        drop(std::fs::remove_file(&temporary));
        return Err(error);
    }
    sync_folder(folder)
}

/// Makes `folder` and those above it, for its owner alone.
///
/// # Errors
/// Those of the file system.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Makes names in `folder` outlast a crash.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The error of a failed file operation.
#[must_use]
pub fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then run the command again: it continues where it stopped"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check who owns the folder, or set WHARF_HOME to one that you may write to"
        }
        _ => "check the folder that WHARF_HOME names",
    };
    Error::new(Kind::Failed, format!("cannot {what} {}: {error}", path.display())).hint(hint).caused_by(error)
}
