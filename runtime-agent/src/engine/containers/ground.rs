//! The real ground: overlay snapshots, volumes' folders, networks.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wharfd_api_types::volume::VolumeCreateRequest;

use super::seams::{Connections, Filesystems, Ground, Lent, VolumePlace, VolumeSource, Wired, Wiring};
use crate::engine::error::{Error, Result};
use crate::engine::images::Images;
use crate::engine::networks::{Attach, Networks};
use crate::engine::volumes::Volumes;
use crate::store::chamber::Walls;
use crate::store::changes::Change;
use crate::store::{Digest, Snapshots, holding};

impl Ground {
    /// What the engine's other parts provide.
    pub(crate) fn real(images: &Images, networks: &Networks, volumes: &Volumes) -> Self {
        Self {
            images: Arc::new(images.clone()),
            filesystems: Arc::new(images.snapshots().clone()),
            volumes: Arc::new(volumes.clone()),
            connections: Arc::new(networks.clone()),
        }
    }
}

impl Filesystems for Snapshots {
    fn prepare<'a>(&'a self, container: &'a str, layers: &'a [Digest]) -> BoxFuture<'a, Result<()>> {
        async move { Self::prepare(self, container, layers).await.map_err(failed("preparing a root filesystem")) }.boxed()
    }

    fn mount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        async move { Self::mount(self, container).await.map_err(failed("mounting the root filesystem")) }
            .boxed()
    }

    fn unmount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { Self::unmount(self, container).await.map_err(failed("unmounting the root filesystem")) }
            .boxed()
    }

    fn remove<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { Self::remove(self, container).await.map_err(failed("removing the root filesystem")) }
            .boxed()
    }

    fn discard(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>> {
        async move { Self::discard(self, folder).await.map_err(failed("removing a container's folder")) }
            .boxed()
    }

    fn lend<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Lent>> {
        async move {
            let loan = Self::lend(self, container).await.map_err(failed("mounting the root filesystem"))?;
            Ok(Lent { root: loan.root.clone(), walls: Walls::Namespace, _loan: Some(loan) })
        }
        .boxed()
    }

    fn changes<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Vec<Change>>> {
        async move { Self::changes(self, container, MADE).await.map_err(failed("comparing the root filesystem")) }
            .boxed()
    }

    fn difference<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Box<dyn Read + Send>>> {
        async move {
            let packed =
                Self::difference(self, container, MADE).map_err(failed("packing the root filesystem"))?;
            Ok(Box::new(packed) as Box<dyn Read + Send>)
        }
        .boxed()
    }

    fn pin(&self, volume: PathBuf, inside: PathBuf, at: PathBuf) -> BoxFuture<'_, Result<()>> {
        blocking(move || holding::pin(&volume, &inside, &at).map_err(failed("mounting a part of a volume")))
    }

    fn share_memory(&self, at: PathBuf, size: i64) -> BoxFuture<'_, Result<()>> {
        blocking(move || holding::share_memory(&at, size).map_err(failed("mounting shared memory")))
    }

    fn release(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>> {
        blocking(move || holding::release(&folder).map_err(failed("unmounting what was held")))
    }

    fn size<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<u64>> {
        async move { Self::size(self, container).await.map_err(failed("measuring the root filesystem")) }
            .boxed()
    }

    fn folders(&self, container: &str) -> BTreeMap<String, String> {
        let Ok(parts) = self.parts(container) else { return BTreeMap::new() };
        let lower: Vec<_> = parts.lower.iter().map(|path| path.display().to_string()).collect();
        [
            ("LowerDir", lower.join(":")),
            ("MergedDir", parts.merged.display().to_string()),
            ("UpperDir", parts.upper.display().to_string()),
            ("WorkDir", parts.work.display().to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

impl VolumeSource for Volumes {
    fn obtain<'a>(
        &'a self,
        name: Option<String>,
        labels: BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<VolumePlace>> {
        let labels = (!labels.is_empty()).then_some(labels);
        let request =
            VolumeCreateRequest { name: name.unwrap_or_default(), labels, ..VolumeCreateRequest::default() };
        let volumes = self.clone();
        blocking(move || {
            let volume = volumes.create(request)?;
            let mountpoint = volumes.mount(&volume.name)?;
            Ok(VolumePlace { name: volume.name, mountpoint })
        })
    }

    fn mount<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        let (volumes, name) = (self.clone(), name.to_owned());
        blocking(move || Self::mount(&volumes, &name).map(drop))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        let (volumes, name) = (self.clone(), name.to_owned());
        blocking(move || Self::remove(&volumes, &name, true))
    }
}

impl Connections for Networks {
    fn make_namespace<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        Self::make_namespace(self, container).boxed()
    }

    fn connect(&self, wiring: Wiring) -> BoxFuture<'_, Result<Wired>> {
        let Wiring { container, name, hostname, endpoints, ports, publish_all, namespace, dns } = wiring;
        let dns = dns.iter().filter_map(|server| server.parse().ok()).collect();
        let wanted = Attach { container, name, hostname, endpoints, ports, publish_all, namespace, dns };
        async move {
            let attached = self.attach(wanted).await?;
            Ok(Wired {
                endpoints: attached.endpoints,
                ports: attached.ports,
                reserved: attached.reserved,
                dns: attached.dns.iter().map(ToString::to_string).collect(),
            })
        }
        .boxed()
    }

    fn disconnect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.detach(container).boxed()
    }

    fn reconcile<'a>(&'a self, live: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Self::reconcile(self, live).boxed()
    }

    fn identify<'a>(&'a self, network: &'a str) -> BoxFuture<'a, Result<String>> {
        async move { Self::identify(self, network) }.boxed()
    }
}

/// What the engine and the runtime make in every container; dockerd has it in a layer of its own.
pub(crate) const MADE: &[&str] = &[
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

fn failed(doing: &'static str) -> impl FnOnce(crate::store::Error) -> Error {
    move |error| Error::internal(doing, error)
}

fn blocking<'a, T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> BoxFuture<'a, Result<T>> {
    async move { tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("working on a volume", e))? }.boxed()
}
