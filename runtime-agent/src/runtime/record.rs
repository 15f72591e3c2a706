//! The shim's record of itself, by which the next daemon finds it.

use std::io::{self, Write as _};
use std::path::Path;

use super::protocol::Record;

/// Not synced: it means nothing after a reboot.
pub(super) fn write(state: &Path, record: &Record) -> io::Result<()> {
    let temporary = state.join(".shim.json");
    std::fs::File::create(&temporary)?.write_all(&serde_json::to_vec(record)?)?;
    std::fs::rename(temporary, state.join("shim.json"))
}

/// None when no container was ever created there.
pub(super) fn read(state: &Path) -> io::Result<Option<Record>> {
    match std::fs::read(state.join("shim.json")) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
