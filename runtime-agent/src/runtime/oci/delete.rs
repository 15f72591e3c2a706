//! Taking a container away, in whatever state it or an interrupted create left things. Needs no process of its own.

use std::path::Path;

use libcontainer::config::YoukiConfig;
use libcontainer::container::Container;

use super::super::cgroup;
use super::chain;

/// Kills what runs (with `force`; without it, a running container is an error), then removes cgroups and state.
/// Being gone already is success.
pub(crate) fn delete(root: &Path, id: &str, force: bool) -> Result<(), String> {
    let folder = root.join(id);
    if !folder.exists() {
        return Ok(());
    }
    if let Ok(config) = YoukiConfig::load(&folder) {
        let groups = cgroup::at(&config.cgroup_path).map_err(chain)?;
        let empty = cgroup::members(&groups).is_empty();
        if !force && !empty {
            let status =
                Container::load(folder).map_or_else(|_| "unknown".to_owned(), |c| c.status().to_string());
            return Err(format!("cannot delete a container that is not stopped: {id} is {status}"));
        }
        cgroup::kill(&groups).map_err(chain)?;
        cgroup::remove(&groups).map_err(|error| format!("removing the cgroup: {error}"))?;
    }
    std::fs::remove_dir_all(&folder).map_err(|error| format!("removing {}: {error}", folder.display()))
}
