//! Plain folders and made-up addresses in the place of overlayfs and netlink.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wharfd_api_types::network::EndpointSettings;

use super::{Connections, Filesystems, Lent, VolumePlace, VolumeSource, Wired, Wiring};
use crate::engine::error::{Error, Result};
use crate::store::Digest;
use crate::store::chamber::Walls;
use crate::store::changes::{Change, ChangeKind};

/// A folder a container.
#[derive(Debug)]
pub(crate) struct FolderFilesystems {
    root: PathBuf,
    pub(crate) mounted: Mutex<BTreeSet<String>>,
    /// The next folder that is to go stays, with this text.
    pub(crate) failure: Mutex<Option<String>>,
}

impl FolderFilesystems {
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), mounted: Mutex::default(), failure: Mutex::default() }
    }
}

impl Filesystems for FolderFilesystems {
    fn prepare<'a>(&'a self, container: &'a str, _layers: &'a [Digest]) -> BoxFuture<'a, Result<()>> {
        std::fs::create_dir_all(self.root.join(container).join("etc")).unwrap();
        let passwd = self.root.join(container).join("etc/passwd");
        std::os::unix::fs::symlink("/dev/null", passwd).unwrap();
        async { Ok(()) }.boxed()
    }

    fn mount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        self.mounted.lock().unwrap().insert(container.to_owned());
        async move { Ok(self.root.join(container)) }.boxed()
    }

    fn unmount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.mounted.lock().unwrap().remove(container);
        async { Ok(()) }.boxed()
    }

    fn remove<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        let gone = std::fs::remove_dir_all(self.root.join(container));
        async move { gone.or(Ok(())) }.boxed()
    }

    fn discard(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>> {
        if let Some(failure) = self.failure.lock().unwrap().take() {
            return async { Err(Error::internal("removing", std::io::Error::other(failure))) }.boxed();
        }
        let gone = std::fs::remove_dir_all(folder);
        async move { gone.or(Ok(())) }.boxed()
    }

    fn lend<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Lent>> {
        async move { Ok(Lent { root: self.root.join(container), walls: Walls::Pretend, _loan: None }) }
            .boxed()
    }

    fn changes<'a>(&'a self, _container: &'a str) -> BoxFuture<'a, Result<Vec<Change>>> {
        let change = Change { path: "/etc/new".into(), kind: ChangeKind::Added };
        async { Ok(vec![change]) }.boxed()
    }

    fn difference<'a>(&'a self, _container: &'a str) -> BoxFuture<'a, Result<Box<dyn Read + Send>>> {
        async { Ok(Box::new(std::io::empty()) as Box<dyn Read + Send>) }.boxed()
    }

    fn pin(&self, _volume: PathBuf, _inside: PathBuf, at: PathBuf) -> BoxFuture<'_, Result<()>> {
        async move { std::fs::create_dir_all(at).map_err(|e| Error::internal("holding", e)) }.boxed()
    }

    fn share_memory(&self, at: PathBuf, _size: i64) -> BoxFuture<'_, Result<()>> {
        async move { std::fs::create_dir_all(at).map_err(|e| Error::internal("holding", e)) }.boxed()
    }

    fn release(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>> {
        let gone = std::fs::remove_dir_all(folder);
        async move { gone.or(Ok(())) }.boxed()
    }

    fn size<'a>(&'a self, _container: &'a str) -> BoxFuture<'a, Result<u64>> {
        async { Ok(42) }.boxed()
    }

    fn folders(&self, container: &str) -> BTreeMap<String, String> {
        [("MergedDir".to_owned(), self.root.join(container).display().to_string())].into()
    }
}

/// A folder a volume.
#[derive(Debug)]
pub(crate) struct FolderVolumes {
    root: PathBuf,
}

impl FolderVolumes {
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl VolumeSource for FolderVolumes {
    fn obtain<'a>(
        &'a self,
        name: Option<String>,
        _labels: BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<VolumePlace>> {
        let name = name.unwrap_or_else(|| super::super::name::new_id().unwrap());
        let mountpoint = self.root.join(&name);
        std::fs::create_dir_all(&mountpoint).unwrap();
        async { Ok(VolumePlace { name, mountpoint }) }.boxed()
    }

    fn mount<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        std::fs::remove_dir_all(self.root.join(name)).unwrap();
        async { Ok(()) }.boxed()
    }
}

/// Hands out 10.0.0.2, and remembers who is connected. The network `gone` does not exist.
#[derive(Debug, Default)]
pub(crate) struct PaperConnections {
    pub(crate) connected: Mutex<BTreeSet<String>>,
    /// The next connect fails with this text.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Connections for PaperConnections {
    fn make_namespace<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        async move { Ok(Path::new("/run/netns").join(container)) }.boxed()
    }

    fn connect(&self, wiring: Wiring) -> BoxFuture<'_, Result<Wired>> {
        let failure = self.failure.lock().unwrap().take();
        async move {
            if let Some(failure) = failure {
                return Err(Error::internal("connecting", std::io::Error::other(failure)));
            }
            self.connected.lock().unwrap().insert(wiring.container.clone());
            let endpoint = |settings: EndpointSettings| EndpointSettings {
                ip_address: "10.0.0.2".to_owned(),
                gateway: "10.0.0.1".to_owned(),
                ip_prefix_len: 24,
                ..settings
            };
            let endpoints =
                wiring.endpoints.into_iter().map(|(name, settings)| (name, endpoint(settings))).collect();
            Ok(Wired { endpoints, ports: wiring.ports, ..Wired::default() })
        }
        .boxed()
    }

    fn disconnect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.connected.lock().unwrap().remove(container);
        async { Ok(()) }.boxed()
    }

    fn reconcile<'a>(&'a self, live: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.connected.lock().unwrap().retain(|id| live.contains(id));
        async { Ok(()) }.boxed()
    }

    fn identify<'a>(&'a self, network: &'a str) -> BoxFuture<'a, Result<String>> {
        async move {
            match network {
                "gone" => Err(Error::not_found("network gone not found")),
                _ => Ok(format!("id of {network}")),
            }
        }
        .boxed()
    }
}
