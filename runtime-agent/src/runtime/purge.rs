//! Ending every container of one engine without a daemon: for `wharfd purge`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;

use super::error::{Doing as _, Error, Result};
use super::identity::Identity;
use super::{cgroup, oci, record, shims};

/// Ends each container with its shim, and takes away what the runtime keeps of it. By container's id.
pub(crate) fn end_all(exec_root: &Path) -> Vec<(String, Result<()>)> {
    let (shims, runtime_root) = (exec_root.join("shim"), exec_root.join("runtime"));
    let ids: BTreeSet<String> = names(&shims).chain(names(&runtime_root)).collect();
    let end = |id: String| {
        let ended = end(&shims.join(&id), &runtime_root, &id);
        (id, ended)
    };
    ids.into_iter().map(end).collect()
}

/// Takes the groups away that shims and containers were in, those of forgotten containers, too; what another engine uses
/// stays. Somebody who was killed just now is in his group for a moment yet.
pub(crate) fn remove_groups() {
    let end = Instant::now() + DYING;
    while !cgroup::remove_if_empty("/wharf") && Instant::now() < end {
        std::thread::sleep(PAUSE);
    }
}

const DYING: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

fn end(state: &Path, runtime_root: &Path, id: &str) -> Result<()> {
    // The shim first: it would note how its container ended, where nobody will look.
    for shim in living(state) {
        shim.kill().doing(|| format!("killing the shim of {id}"))?;
    }
    oci::delete(runtime_root, id, true).map_err(Error::Runtime)?;
    match std::fs::remove_dir_all(state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system("removing the shim's folder", error))
        }
        _ => Ok(()),
    }
}

/// By its record, or, where it has written none yet, by who listens at its socket.
fn living(state: &Path) -> Vec<Identity> {
    let recorded = record::read(state).ok().flatten().map(|record| record.shim);
    let listening = shims::connect(state).ok().and_then(|socket| {
        let peer = socket_peercred(&socket).ok()?;
        Identity::of(peer.pid.as_raw_pid()).ok()
    });
    recorded.into_iter().chain(listening).filter(Identity::lives).collect()
}

fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| PathBuf::from(entry.file_name()).to_str().map(str::to_owned))
}
