//! Connecting containers, and taking back what they were given.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use wharfd_api_types::container::PortBindings;
use wharfd_api_types::network::EndpointSettings;

use super::record::{Bridged, Endpoint, Network, Pool, Sandbox};
use super::{Networks, State, addresses, publish, random_id, sandbox_folder};
use crate::engine::error::{Error, Kind, Result};
use crate::net::{Address, Mac, Plug, dns, resolvers};
use crate::store::record as disk;

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
    /// Makes the container's namespace, which outlives the daemon, with its loopback up. One that is there already,
    /// left over from a start that failed, is replaced.
    pub(crate) async fn make_namespace(&self, container: &str) -> Result<PathBuf> {
        let path = self.namespace(container);
        let failed = |e| Error::internal("making a network namespace", e);
        if path.exists() {
            self.shared.kernel.remove_namespace(&path).await.map_err(failed)?;
        }
        self.shared.kernel.make_namespace(&path).await.map_err(failed)?;
        Ok(path)
    }

    /// Where the container's namespace is.
    pub(crate) fn namespace(&self, container: &str) -> PathBuf {
        self.shared.config.exec_root.join("netns").join(container)
    }

    /// Connects a container: all or nothing.
    pub(crate) async fn attach(&self, wanted: Attach) -> Result<Attached> {
        // What an attempt that a killed daemon never finished may have left.
        self.release(&wanted.container).await?;
        let connected = self.connect_all(&wanted).await;
        if connected.is_err()
            && let Err(error) = self.release(&wanted.container).await
        {
            tracing::warn!(%error, container = wanted.container, "cannot take back what a failed start was given");
        }
        connected
    }

    /// Takes back addresses, ports, links and the namespace. Nothing to take is success.
    pub(crate) async fn detach(&self, container: &str) -> Result<()> {
        self.release(container).await?;
        let removed = self.shared.kernel.remove_namespace(&self.namespace(container)).await;
        removed.map_err(|e| Error::internal("removing a network namespace", e))
    }

    /// A network's id; refuses one that does not exist.
    pub(crate) fn identify(&self, network: &str) -> Result<String> {
        self.find(network).map(|network| network.id)
    }

    async fn connect_all(&self, wanted: &Attach) -> Result<Attached> {
        let networks: Vec<(Network, &EndpointSettings)> = wanted
            .endpoints
            .iter()
            .map(|(name, settings)| Ok((self.find(name)?, settings)))
            .collect::<Result<_>>()?;
        let sandbox = self.reserve(wanted, &networks)?;
        let way_out = sandbox.endpoints.iter().find(|endpoint| endpoint.gateway);
        let by = way_out.and_then(|endpoint| networks.iter().find(|(n, _)| n.id == endpoint.network));
        let everywhere = publish::Everywhere::of_the_host(by.and_then(|(network, _)| network.host_binding()));
        let wishes = publish::wishes(&wanted.ports, &wanted.publish_all, &everywhere)?;
        let reserved = match way_out {
            Some(endpoint) if !wishes.is_empty() => self.publish(wanted, &wishes, endpoint)?,
            _ => Vec::new(),
        };
        let sandbox = self.record(&wanted.container)?;
        for endpoint in &sandbox.endpoints {
            self.plug(&sandbox, endpoint).await?;
        }
        self.apply().await?;
        let dns = self.name_servers(&sandbox).await?;
        let mut attached =
            Attached { endpoints: BTreeMap::new(), ports: publish::bindings(&sandbox.ports), reserved, dns };
        for ((network, settings), endpoint) in networks.iter().zip(&sandbox.endpoints) {
            self.tell("connect", network, Some(&wanted.container));
            let shown = settled(network, endpoint, settings);
            attached.endpoints.insert(network.name.clone(), shown);
        }
        Ok(attached)
    }

    /// Gives every endpoint its address, in one step that nobody else can come between.
    fn reserve(&self, wanted: &Attach, networks: &[(Network, &EndpointSettings)]) -> Result<Sandbox> {
        let mut state = self.state();
        let mut sandbox = Sandbox {
            container: wanted.container.clone(),
            name: wanted.name.clone(),
            namespace: wanted.namespace.clone(),
            endpoints: Vec::new(),
            ports: Vec::new(),
            dns: wanted.dns.clone(),
        };
        for (network, settings) in networks {
            let who = Who { id: &wanted.container, name: &wanted.name, hostname: &wanted.hostname };
            let endpoint = state.endpoint(network, settings, &who, &sandbox.endpoints)?;
            sandbox.endpoints.push(endpoint);
        }
        choose_way_out(&mut sandbox, networks);
        state.sandboxes.insert(sandbox.container.clone(), sandbox.clone());
        state.changes += 1;
        Ok(sandbox)
    }

    fn publish(
        &self,
        wanted: &Attach,
        wishes: &[publish::Wish],
        endpoint: &Endpoint,
    ) -> Result<Vec<OwnedFd>> {
        let others: Vec<_> = self.state().sandboxes.values().flat_map(|s| s.ports.clone()).collect();
        let address_ipv6 = self.state().address_ipv6(&wanted.container);
        let inside = publish::Inside { address: endpoint.address, address_ipv6 };
        let taken = publish::take(wishes, inside, &others).map_err(|error| {
            Error::new(
                Kind::Internal,
                format!(
                    "driver failed programming external connectivity on endpoint {} ({}): {error}",
                    wanted.name, endpoint.id
                ),
            )
        })?;
        if let Some(sandbox) = self.state().sandboxes.get_mut(&wanted.container) {
            sandbox.ports = taken.ports;
        }
        self.shared.proxies().insert(wanted.container.clone(), taken.proxies);
        Ok(taken.sockets)
    }

    /// Writes down what the container holds, before the kernel is asked for any of it.
    pub(super) fn record(&self, container: &str) -> Result<Sandbox> {
        let sandbox = self.state().sandboxes.get(container).cloned();
        let sandbox = sandbox
            .ok_or_else(|| Error::conflict(format!("container {container} was disconnected meanwhile")))?;
        let path = sandbox_folder(&self.shared.config).join(format!("{container}.json"));
        disk::write(&path, &sandbox).map_err(|e| Error::internal("recording a network endpoint", e))?;
        Ok(sandbox)
    }

    /// The bridge if it isn't there yet, and a link from it into the container.
    pub(super) async fn plug(&self, sandbox: &Sandbox, endpoint: &Endpoint) -> Result<()> {
        let network = self.find(&endpoint.network)?;
        let Some(bridged) = network.bridged() else { return Ok(()) };
        self.raise(&network).await?;
        let plug = Plug {
            bridge: bridged.bridge.clone(),
            host: endpoint.link.clone(),
            inside: endpoint.inside.clone(),
            namespace: sandbox.namespace.clone(),
            mac: endpoint.mac.parse().map_err(|e| Error::internal("reading a network endpoint", e))?,
            mtu: network.mtu(),
            address: endpoint.address,
            prefix: bridged.pool.subnet.prefix(),
            gateway: endpoint.gateway.then_some(bridged.pool.gateway),
            address_ipv6: endpoint
                .address_ipv6
                .zip(bridged.pool_ipv6.as_ref())
                .map(|(address, pool)| (address, pool.subnet.prefix())),
            gateway_ipv6: bridged
                .pool_ipv6
                .as_ref()
                .filter(|_| endpoint.gateway_ipv6)
                .map(|pool| pool.gateway),
        };
        let plugged = self.shared.kernel.plug(&plug).await;
        plugged.map_err(|e| Error::internal(&format!("failed to connect to network {}", network.name), e))
    }

    /// What belongs into the container's resolv.conf.
    async fn name_servers(&self, sandbox: &Sandbox) -> Result<Vec<IpAddr>> {
        if self.has_names(sandbox) {
            self.serve_names(sandbox).await?;
            return Ok(vec![dns::ADDRESS.into()]);
        }
        Ok(self.upstream(sandbox))
    }

    /// Where names that are nobody's here are looked up.
    pub(super) fn upstream(&self, sandbox: &Sandbox) -> Vec<IpAddr> {
        [&sandbox.dns, &self.shared.config.dns]
            .into_iter()
            .find(|servers| !servers.is_empty())
            .cloned()
            .unwrap_or_else(resolvers::of_the_host)
    }

    pub(super) fn has_names(&self, sandbox: &Sandbox) -> bool {
        let state = self.state();
        sandbox.endpoints.iter().any(|e| state.networks.get(&e.network).is_some_and(Network::has_names))
    }

    /// Takes back everything but the namespace: first in the kernel, then on record.
    pub(super) async fn release(&self, container: &str) -> Result<()> {
        let Some(sandbox) = self.state().sandboxes.get(container).cloned() else { return Ok(()) };
        self.stop_names(container);
        self.shared.proxies().remove(container);
        for endpoint in &sandbox.endpoints {
            let removed = self.shared.kernel.remove_link(&endpoint.link).await;
            removed.map_err(|e| Error::internal("disconnecting a container", e))?;
        }
        {
            let mut state = self.state();
            state.sandboxes.remove(container);
            state.changes += 1;
        }
        self.apply().await?;
        let path = sandbox_folder(&self.shared.config).join(format!("{container}.json"));
        disk::remove(&path).map_err(|e| Error::internal("forgetting a network endpoint", e))?;
        for endpoint in &sandbox.endpoints {
            if let Ok(network) = self.find(&endpoint.network) {
                self.tell("disconnect", &network, Some(container));
            }
        }
        Ok(())
    }
}

/// The container that an endpoint is for.
pub(super) struct Who<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) hostname: &'a str,
}

impl State {
    /// An endpoint with an address that is nobody's yet; `mine` are the container's other ones.
    pub(super) fn endpoint(
        &self,
        network: &Network,
        settings: &EndpointSettings,
        who: &Who<'_>,
        mine: &[Endpoint],
    ) -> Result<Endpoint> {
        let Some(bridged) = network.bridged() else {
            return Err(Error::invalid(format!(
                "container cannot be connected to network {} besides others",
                network.name
            )));
        };
        let taken = self.endpoints_on(&network.id).map(|(_, endpoint)| endpoint.address).collect();
        let wish = settings.ipam_config.as_ref().map_or("", |ipam| ipam.ipv4_address.as_str());
        let address = address(bridged, Some(&bridged.pool), &taken, wish)?;
        let address = address.ok_or_else(|| Error::invalid("a network has IPv4 addresses"))?;
        let taken =
            self.endpoints_on(&network.id).filter_map(|(_, endpoint)| endpoint.address_ipv6).collect();
        let wish = settings.ipam_config.as_ref().map_or("", |ipam| ipam.ipv6_address.as_str());
        let address_ipv6 = self::address(bridged, bridged.pool_ipv6.as_ref(), &taken, wish)?;
        let mac = match settings.mac_address.as_str() {
            "" => Mac::of(address),
            wish => wish.parse().map_err(|e: crate::net::Error| Error::invalid(e.to_string()))?,
        };
        let id = random_id()?;
        let inside = (0..)
            .map(|n| format!("eth{n}"))
            .find(|name| !mine.iter().any(|endpoint| endpoint.inside == *name))
            .unwrap_or_default();
        Ok(Endpoint {
            address,
            address_ipv6,
            mac: mac.to_string(),
            network: network.id.clone(),
            link: format!("veth{}", id.get(..8).unwrap_or(&id)),
            inside,
            names: if network.has_names() { names(settings, who) } else { Vec::new() },
            links: settings.links.clone().unwrap_or_default(),
            gateway: false,
            gateway_ipv6: false,
            id,
        })
    }

    /// Where a container is reached by IPv6: on the network that is its way out.
    pub(super) fn address_ipv6(&self, container: &str) -> Option<std::net::Ipv6Addr> {
        let endpoints = &self.sandboxes.get(container)?.endpoints;
        endpoints.iter().find(|endpoint| endpoint.gateway_ipv6)?.address_ipv6
    }
}

/// An address that is nobody's, or the one that a client wishes; none where the network has none of this family.
fn address<A: Address>(
    network: &Bridged,
    pool: Option<&Pool<A>>,
    taken: &BTreeSet<A>,
    wish: &str,
) -> Result<Option<A>> {
    if wish.is_empty() {
        let Some(pool) = pool else { return Ok(None) };
        let none = || {
            let why = format!("no available {} addresses on this network's address pools", A::FAMILY);
            Error::internal("failed to connect a container", why)
        };
        return addresses::free_address(pool, taken).map(Some).ok_or_else(none);
    }
    if network.is_default {
        return Err(Error::invalid("user specified IP address is supported on user defined networks only"));
    }
    let invalid = |_| Error::invalid(format!("invalid {} address: {wish}", A::FAMILY));
    let address: A = wish.parse().map_err(|_| ()).map_err(invalid)?;
    let Some(pool) = pool.filter(|pool| pool.subnet.contains(address)) else {
        return Err(Error::invalid(format!(
            "invalid endpoint settings:\nno configured subnet contains IP address {address}"
        )));
    };
    if addresses::is_free(pool, taken, address) {
        Ok(Some(address))
    } else {
        Err(Error::forbidden("Address already in use"))
    }
}

/// What others may call a container: its name, its aliases, the beginning of its id, its host name; each once.
fn names(settings: &EndpointSettings, who: &Who<'_>) -> Vec<String> {
    let short = who.id.get(..12).unwrap_or(who.id);
    let aliases = settings.aliases.iter().flatten().map(String::as_str);
    let mut names: Vec<String> = Vec::new();
    for name in std::iter::once(who.name).chain(aliases).chain([short, who.hostname]) {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The way to everywhere else, for each family: the highest priority, the first of equals; internal networks lead nowhere.
fn choose_way_out(sandbox: &mut Sandbox, networks: &[(Network, &EndpointSettings)]) {
    let best = |leads: &dyn Fn(&Bridged) -> bool| {
        let open =
            networks.iter().enumerate().filter(|(_, (network, _))| network.bridged().is_some_and(leads));
        let open = open.filter(|(_, (network, _))| !network.internal);
        let best = open.max_by_key(|(at, (_, settings))| (settings.gw_priority, std::cmp::Reverse(*at)));
        best.map(|(at, _)| at)
    };
    let (on_ipv4, on_ipv6) = (best(&|_| true), best(&|bridged| bridged.pool_ipv6.is_some()));
    for (at, endpoint) in sandbox.endpoints.iter_mut().enumerate() {
        endpoint.gateway = on_ipv4 == Some(at);
        endpoint.gateway_ipv6 = on_ipv6 == Some(at);
    }
}

/// What a client asked for, and beside it what it got.
pub(super) fn settled(
    network: &Network,
    endpoint: &Endpoint,
    settings: &EndpointSettings,
) -> EndpointSettings {
    let Some(bridged) = network.bridged() else { return settings.clone() };
    let on_ipv6 = bridged.pool_ipv6.as_ref();
    EndpointSettings {
        mac_address: endpoint.mac.clone(),
        network_id: network.id.clone(),
        endpoint_id: endpoint.id.clone(),
        gateway: if network.internal { String::new() } else { bridged.pool.gateway.to_string() },
        ip_address: endpoint.address.to_string(),
        ip_prefix_len: i64::from(bridged.pool.subnet.prefix()),
        ipv6_gateway: on_ipv6
            .filter(|_| !network.internal)
            .map(|pool| pool.gateway.to_string())
            .unwrap_or_default(),
        global_ipv6_address: endpoint.address_ipv6.map(|address| address.to_string()).unwrap_or_default(),
        global_ipv6_prefix_len: on_ipv6.map_or(0, |pool| i64::from(pool.subnet.prefix())),
        dns_names: network.has_names().then(|| endpoint.names.clone()),
        ..settings.clone()
    }
}
