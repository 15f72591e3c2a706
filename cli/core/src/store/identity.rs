//! The store's id: made with the store, exactly once, however many commands begin at the same time.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wharf_driver::StoreId;

use crate::store::layout::Layout;
use crate::store::replace::{failed, make_folder, sync_folder};
use crate::{Error, Kind, Result};

const LAYOUT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: StoreId,
}

/// Reads the id, or makes it from `fresh`.
pub(super) fn read_or_make(layout: &Layout, fresh: [u8; 8]) -> Result<StoreId> {
    let path = layout.identity();
    match fs::read(&path) {
        Ok(bytes) => read(&path, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(layout, fresh).map_err(|e| failed("make the store at", layout.root(), e))?;
            let bytes = fs::read(&path).map_err(|e| failed("read", &path, e))?;
            read(&path, &bytes)
        }
        Err(error) => Err(failed("read", &path, error)),
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<StoreId> {
    let identity: Identity = serde_json::from_slice(bytes).map_err(|e| {
        Error::new(Kind::Failed, format!("{} is damaged: {e}", path.display())).hint(
            "bring it back from a backup: without the store's id its machines cannot be told from others'",
        )
    })?;
    if identity.version > LAYOUT_VERSION {
        let message =
            format!("the store has layout {}, and this release knows {LAYOUT_VERSION}", identity.version);
        return Err(Error::new(Kind::Refused, message).hint("use the newer release of wharf that wrote it"));
    }
    Ok(identity.id)
}

/// Writes the whole file under a name of its own, then links it: the first one wins, and nobody sees half of it.
fn make(layout: &Layout, fresh: [u8; 8]) -> io::Result<()> {
    make_folder(layout.root())?;
    let identity = Identity { version: LAYOUT_VERSION, id: StoreId(hex::encode(fresh)) };
    let own = layout.root().join(format!(".store.{}.new", identity.id.0));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&own)?;
    file.write_all(&serde_json::to_vec(&identity)?)?;
    file.sync_all()?;
    let linked = fs::hard_link(&own, layout.identity());
    fs::remove_file(&own)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(layout.root()),
    }
}
