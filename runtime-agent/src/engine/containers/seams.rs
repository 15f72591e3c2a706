//! What a container stands on, as the engine's container code needs it: an image, a root filesystem, volumes, a network.
//!
//! Small traits, so that the state machine is tested without root. Their real ends are in `ground`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wharfd_api_types::container::PortBindings;
use wharfd_api_types::network::EndpointSettings;

use crate::engine::error::Result;
use crate::engine::images::commit::Commit;
use crate::engine::images::{Image, Images};
use crate::store::Digest;
use crate::store::chamber::Walls;
use crate::store::changes::Change;
use crate::store::snapshots::Loan;

/// Root filesystems, by container. Every verb may be repeated.
pub(crate) trait Filesystems: Debug + Send + Sync {
    /// Makes one over an image's layers, lowest first.
    fn prepare<'a>(&'a self, container: &'a str, layers: &'a [Digest]) -> BoxFuture<'a, Result<()>>;
    /// Mounts it and says where.
    fn mount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>>;
    fn unmount<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Everything that the container wrote is gone afterwards.
    fn remove<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Takes a folder of the engine's away, with all that is in it.
    fn discard(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>>;
    /// Mounts it for as long as the loan lives, whatever the container does meanwhile.
    fn lend<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Lent>>;
    /// What the container changed.
    fn changes<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Vec<Change>>>;
    /// The same as an archive with `.wh.` entries: a layer. An archive that breaks off did not go well.
    fn difference<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Box<dyn Read + Send>>>;
    /// Holds what is at `inside` in a volume at a place of its own.
    fn pin(&self, volume: PathBuf, inside: PathBuf, at: PathBuf) -> BoxFuture<'_, Result<()>>;
    /// Holds memory that several containers may share.
    fn share_memory(&self, at: PathBuf, size: i64) -> BoxFuture<'_, Result<()>>;
    /// Lets go of everything that is held in a folder.
    fn release(&self, folder: PathBuf) -> BoxFuture<'_, Result<()>>;
    /// Bytes that the container wrote.
    fn size<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<u64>>;
    /// The driver's folders, for inspect.
    fn folders(&self, container: &str) -> BTreeMap<String, String>;
}

/// A root filesystem on loan. Dropping it may block.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) root: PathBuf,
    /// How work inside is kept from the host.
    pub(crate) walls: Walls,
    /// Gives it back.
    pub(crate) _loan: Option<Loan>,
}

/// A volume, as a mount needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumePlace {
    pub(crate) name: String,
    pub(crate) mountpoint: PathBuf,
}

/// Volumes: found or made, and removed when they were anonymous.
pub(crate) trait VolumeSource: Debug + Send + Sync {
    fn obtain<'a>(
        &'a self,
        name: Option<String>,
        labels: BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<VolumePlace>>;
    /// Makes its content appear at its mount point; before every start.
    fn mount<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Being gone already is success.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// What a container wants to be connected to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wiring {
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) hostname: String,
    /// Network by network, the first one being the default route; never `host`, `none` or another container's.
    pub(crate) endpoints: Vec<(String, EndpointSettings)>,
    pub(crate) ports: PortBindings,
    /// Ports that are published on a free port of the host.
    pub(crate) publish_all: Vec<String>,
    /// The network namespace, made already.
    pub(crate) namespace: PathBuf,
    /// Name servers that the client named.
    pub(crate) dns: Vec<String>,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Wired {
    pub(crate) endpoints: BTreeMap<String, EndpointSettings>,
    pub(crate) ports: PortBindings,
    /// Sockets that keep the published ports, for as long as the shim lives.
    pub(crate) reserved: Vec<OwnedFd>,
    /// Name servers for resolv.conf; empty means the host's.
    pub(crate) dns: Vec<String>,
}

/// Networks, by container. Every verb may be repeated.
pub(crate) trait Connections: Debug + Send + Sync {
    /// Makes a network namespace that outlives the daemon, with its loopback up.
    fn make_namespace<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>>;
    fn connect(&self, wiring: Wiring) -> BoxFuture<'_, Result<Wired>>;
    /// Takes addresses, ports and the namespace back.
    fn disconnect<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>>;
    /// After a restart of the daemon: these containers run, whatever belongs to others is taken away.
    fn reconcile<'a>(&'a self, live: &'a [String]) -> BoxFuture<'a, Result<()>>;
    /// A network's id; refuses one that does not exist.
    fn identify<'a>(&'a self, network: &'a str) -> BoxFuture<'a, Result<String>>;
}

/// Images, by any name.
pub(crate) trait ImageSource: Debug + Send + Sync {
    fn resolve(&self, wanted: &str) -> Result<Arc<Image>>;
    /// Makes an image of a container's difference.
    fn commit(&self, commit: Commit, layer: Box<dyn Read + Send>) -> BoxFuture<'_, Result<Digest>>;
}

impl ImageSource for Images {
    fn resolve(&self, wanted: &str) -> Result<Arc<Image>> {
        Self::resolve(self, wanted)
    }

    fn commit(&self, commit: Commit, layer: Box<dyn Read + Send>) -> BoxFuture<'_, Result<Digest>> {
        Self::commit(self, commit, layer).boxed()
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) images: Arc<dyn ImageSource>,
    pub(crate) filesystems: Arc<dyn Filesystems>,
    pub(crate) volumes: Arc<dyn VolumeSource>,
    pub(crate) connections: Arc<dyn Connections>,
}

#[cfg(test)]
pub(crate) mod fakes;
