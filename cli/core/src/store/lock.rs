//! One lock a subject: `flock` on a file beside the journal, so that it ends with its holder however that ends. The
//! file says who holds it, and carries the fencing token, which goes up with every taking.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// What the lock's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) fence: u64,
    pub(super) process: u32,
    pub(super) command: String,
    pub(super) since: u64,
}

/// What came of one try.
pub(super) enum Try {
    Taken(File),
    /// Somebody else has it.
    Held(Holder),
    /// The file was removed or replaced meanwhile: try again.
    Moved,
}

/// Tries once to take the lock at `path`. Does not wait.
pub(super) fn try_lock(path: &Path) -> io::Result<Try> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if still_there(&file, path)? => Ok(Try::Taken(file)),
        Ok(()) => Ok(Try::Moved),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(Try::Held(read(&mut file))),
        Err(errno) => Err(errno.into()),
    }
}

/// Who holds the lock at `path`; `None` when nobody does.
pub(super) fn look(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    // Shared, so that nobody who only looks is told of another who does.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(Some(read(&mut file).describe())),
        Err(errno) => Err(errno.into()),
    }
}

/// What `file` says; the default when it says nothing readable, as between truncation and writing.
pub(super) fn read(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Says in `file`, whose lock is ours, who we are.
pub(super) fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

impl Holder {
    /// For the person who waits.
    pub(super) fn describe(&self) -> String {
        if self.process == 0 {
            return "another command".to_owned();
        }
        format!("`{}` (process {})", self.command, self.process)
    }
}

/// A machine may be forgotten while we wait for its lock, or by ourselves: then ours is the lock of a file without a name.
pub(super) fn still_there(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
