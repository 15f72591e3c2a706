//! Networks: what a container is connected to, and under which names and addresses.
//!
//! Two kinds of truth. A *network* is a record that survives a reboot. A *sandbox* is what one running container holds:
//! addresses, links, ports; it is recorded before the kernel is asked for any of it, and everything in the kernel is
//! derived from it, so that whatever a killed daemon left half done is found and taken back.
//!
//! Bridges are made when the first container needs them. The firewall is always the function of all sandboxes.

mod addresses;
mod attach;
mod connect;
mod create;
mod find;
mod follow;
mod names;
mod prepare;
mod publish;
mod purge;
mod raise;
mod reconcile;
mod record;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::config::Config;
use crate::engine::error::{Error, Result};
use crate::engine::events::{EventKind, Events};
use crate::net::firewall::{Firewall, Guarded, Published};
use crate::net::{Generation, Kernel, Linux, Programmed, Protocol, Proxy, dns};
use crate::store::record as disk;

pub(crate) use attach::Attach;
pub(crate) use connect::{Member, Members};
pub(crate) use purge::purge;
pub(crate) use record::Network;
use record::{Endpoint, Sandbox};

/// The networks of this engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Networks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    events: Events,
    kernel: Arc<dyn Kernel>,
    members: OnceLock<Arc<dyn Members>>,
    state: Mutex<State>,
    applied: tokio::sync::Mutex<Applied>,
    /// The host forwarded nothing before us; the same for IPv6.
    stop_transit: AtomicBool,
    stop_transit_ipv6: AtomicBool,
    /// How many names were answered: who is named first takes turns.
    answers: AtomicUsize,
    /// By container.
    servers: Mutex<BTreeMap<String, dns::Server>>,
    /// By container, and by place on the host.
    proxies: Mutex<BTreeMap<String, BTreeMap<PlaceV6, Proxy>>>,
}

/// Whoever changes the firewall whenever we do is not raced for longer.
const CROSSINGS: u32 = 8;

/// What the kernel's firewall has caught up with.
#[derive(Debug, Default)]
struct Applied {
    /// The last change of ours.
    change: u64,
    /// What the firewall was after it; `None` where others changed it at the same time, and it must be looked at again.
    generation: Option<Generation>,
    /// How often in a row that was so.
    crossed: u32,
}

impl Applied {
    /// What is caught up with once a change of ours was made.
    fn after(&self, change: u64, Programmed { generation, alone }: Programmed) -> Self {
        // Somebody whose own program was called for us is somebody, too; but not forever.
        let settled = alone || self.crossed >= CROSSINGS;
        let crossed = if settled { 0 } else { self.crossed + 1 };
        Self { change, generation: settled.then_some(generation), crossed }
    }
}

/// A port on an IPv6 address of the host.
type PlaceV6 = (Protocol, SocketAddrV6);

impl Shared {
    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, dns::Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proxies(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<PlaceV6, Proxy>>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is, or is about to be. Never locked across a wait.
#[derive(Debug, Default)]
struct State {
    /// By id.
    networks: BTreeMap<String, Network>,
    /// By container.
    sandboxes: BTreeMap<String, Sandbox>,
    /// Counts changes that the firewall must follow.
    changes: u64,
}

impl Networks {
    /// Opens the networks under the data root, and makes the predefined ones if they are missing.
    pub(crate) async fn open(config: Arc<Config>, events: Events) -> Result<Self> {
        let kernel =
            Linux::open(&config.exec_root).map_err(|e| Error::internal("opening the networks", e))?;
        Self::open_with(config, events, Arc::new(kernel)).await
    }

    async fn open_with(config: Arc<Config>, events: Events, kernel: Arc<dyn Kernel>) -> Result<Self> {
        let state = load(&config).map_err(|e| Error::internal("opening the networks", e))?;
        let stop_transit = transit_mark(&config.exec_root).exists();
        let stop_transit_ipv6 = transit_mark_ipv6(&config.exec_root).exists();
        let this = Self {
            shared: Arc::new(Shared {
                config,
                events,
                kernel,
                members: OnceLock::new(),
                state: Mutex::new(state),
                applied: tokio::sync::Mutex::default(),
                stop_transit: AtomicBool::new(stop_transit),
                stop_transit_ipv6: AtomicBool::new(stop_transit_ipv6),
                answers: AtomicUsize::new(0),
                servers: Mutex::default(),
                proxies: Mutex::default(),
            }),
        };
        this.prepare().await?;
        if this.shared.config.bridge != "none" {
            this.follow_the_firewall();
        }
        Ok(this)
    }

    /// Makes the kernel's firewall follow every change up to now. Changes that come together are made together.
    async fn apply(&self) -> Result<()> {
        let wanted = self.state().changes;
        let mut applied = self.shared.applied.lock().await;
        if applied.change >= wanted {
            return Ok(());
        }
        self.program(&mut applied).await
    }

    async fn program(&self, applied: &mut Applied) -> Result<()> {
        let (change, firewall) = {
            let state = self.state();
            let firewall = Firewall {
                stop_transit: self.shared.stop_transit.load(Ordering::Relaxed),
                stop_transit_ipv6: self.shared.stop_transit_ipv6.load(Ordering::Relaxed),
                peer: self.shared.config.loopback_peer,
                ..state.firewall()
            };
            (state.changes, firewall)
        };
        let failed = |e| Error::internal("failed to program the firewall", e);
        let programmed = self.shared.kernel.firewall(firewall).await.map_err(failed)?;
        *applied = applied.after(change, programmed);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, action: &str, network: &Network, container: Option<&str>) {
        let attributes = [("name", network.name.as_str()), ("type", network.driver_name())];
        let container = container.map(|container| ("container", container));
        let attributes = attributes.into_iter().chain(container);
        self.shared.events.publish(EventKind::Network, action, network.id.as_str(), attributes);
    }
}

impl State {
    /// What the host's firewall should be for these containers.
    fn firewall(&self) -> Firewall {
        let used = |id: &str| self.endpoints_on(id).next().is_some();
        let guarded = |network: &Network| {
            let bridged = network.bridged().filter(|_| used(&network.id))?;
            Some(Guarded {
                bridge: bridged.bridge.clone(),
                subnet: bridged.pool.subnet,
                subnet_ipv6: bridged.pool_ipv6.as_ref().map(|pool| pool.subnet),
                internal: network.internal,
                talk: network.is_on("com.docker.network.bridge.enable_icc"),
                masquerade: network.is_on("com.docker.network.bridge.enable_ip_masquerade"),
            })
        };
        let all = || self.sandboxes.values().flat_map(|sandbox| &sandbox.ports);
        let ports = all().filter_map(|port| {
            let SocketAddr::V4(host) = port.host else { return None };
            Some(Published { protocol: port.protocol, host, container: port.container })
        });
        let ports_ipv6 = all().filter_map(|port| {
            // The others, and what comes from ::1, are passed on by the daemon.
            let (SocketAddr::V6(host), Some(container)) = (port.host, port.container_ipv6) else {
                return None;
            };
            Some(Published { protocol: port.protocol, host, container })
        });
        Firewall {
            bridges: self.networks.values().filter_map(guarded).collect(),
            ports: ports.collect(),
            ports_ipv6: ports_ipv6.collect(),
            ..Firewall::default()
        }
    }

    /// Who is on a network.
    fn endpoints_on<'a>(&'a self, network: &'a str) -> impl Iterator<Item = (&'a Sandbox, &'a Endpoint)> {
        self.sandboxes.values().flat_map(move |sandbox| {
            let here = sandbox.endpoints.iter().filter(move |endpoint| endpoint.network == network);
            here.map(move |endpoint| (sandbox, endpoint))
        })
    }
}

fn network_folder(config: &Config) -> PathBuf {
    config.data_root.join("networks")
}

fn sandbox_folder(config: &Config) -> PathBuf {
    config.exec_root.join("net")
}

/// There when the host was no router before us; gone with a reboot, as forwarding is.
fn transit_mark(exec_root: &Path) -> PathBuf {
    exec_root.join("net").join("no-transit")
}

/// The same for IPv6; it names the links that stop heeding routers when it goes.
fn transit_mark_ipv6(exec_root: &Path) -> PathBuf {
    exec_root.join("net").join("no-transit-ipv6")
}

fn load(config: &Config) -> Result<State, crate::store::Error> {
    let mut state = State::default();
    for network in load_all::<Network>(&network_folder(config))? {
        state.networks.insert(network.id.clone(), network);
    }
    for sandbox in load_all::<Sandbox>(&sandbox_folder(config))? {
        state.sandboxes.insert(sandbox.container.clone(), sandbox);
    }
    Ok(state)
}

fn load_all<R: disk::Record>(folder: &Path) -> Result<Vec<R>, crate::store::Error> {
    use crate::store::Error as StoreError;
    std::fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?;
    let mut records = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(StoreError::io("list", folder))? {
        let path = entry.map_err(StoreError::io("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            records.extend(disk::read(&path)?);
        }
    }
    Ok(records)
}

/// 64 hexadecimal digits.
fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::internal("making an id", std::io::Error::other(e.to_string())))?;
    Ok(hex::encode(bytes))
}
