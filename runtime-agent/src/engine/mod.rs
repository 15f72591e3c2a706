//! What the engine means: containers, images, networks, volumes and events. Knows no HTTP and no system calls.

pub(crate) mod build;
pub(crate) mod containers;
pub(crate) mod dockerfile;
pub(crate) mod download;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod glob;
pub(crate) mod host;
pub(crate) mod images;
mod info;
pub(crate) mod logs;
pub(crate) mod networks;
pub(crate) mod reconcile;
pub(crate) mod volumes;

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use error::{Error, Result};
use events::Events;

/// Everything the API's routes can reach. One a daemon.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Made once with the data folder, and as old as it.
    pub(crate) id: String,
    pub(crate) config: Arc<Config>,
    pub(crate) events: Events,
    pub(crate) images: images::Images,
    pub(crate) containers: containers::Containers,
    pub(crate) networks: networks::Networks,
    pub(crate) volumes: volumes::Volumes,
}

impl Engine {
    /// Opens what is on disk and finds again what outlived the last daemon.
    pub(crate) async fn open(config: Arc<Config>) -> Result<Arc<Self>> {
        for folder in [&config.data_root, &config.exec_root] {
            private_folder(folder)
                .map_err(|e| Error::internal(&format!("making {}", folder.display()), e))?;
        }
        let id =
            identity(&config.data_root).map_err(|e| Error::internal("reading the engine's identity", e))?;
        let events = Events::new();
        let images = images::Images::open(&config, events.clone()).await?;
        let networks = networks::Networks::open(Arc::clone(&config), events.clone()).await?;
        let volumes = volumes::Volumes::open(&config, events.clone()).await?;
        let ground = containers::seams::Ground::real(&images, &networks, &volumes);
        let shims = crate::runtime::Shims::open(&config.exec_root, Path::new("/proc/self/exe"), None)
            .map_err(|e| Error::internal("opening the runtime", e))?;
        let containers =
            containers::Containers::open(&config, events.clone(), ground, Arc::new(shims)).await?;
        containers.claim(&images, &volumes, &networks);
        Ok(Arc::new(Self { id, config, events, images, containers, networks, volumes }))
    }
}

/// Readable by root alone but for what a container's user must pass through.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(path)
}

fn identity(data_root: &Path) -> std::io::Result<String> {
    let path = data_root.join("engine-id");
    match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let h = hex::encode(random);
    let id = format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]);
    let temporary = data_root.join(".engine-id");
    let mut file = std::fs::File::create(&temporary)?;
    std::io::Write::write_all(&mut file, id.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    std::fs::File::open(data_root)?.sync_all()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = identity(folder.path()).unwrap();
        assert_eq!(first.len(), 36);
        assert_eq!(identity(folder.path()).unwrap(), first);
    }
}
