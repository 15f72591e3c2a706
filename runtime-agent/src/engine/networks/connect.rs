//! Connecting containers to further networks, and disconnecting them, while they run or before.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddrV6};

use futures_util::future::BoxFuture;
use wharfd_api_types::network::EndpointSettings;

use super::attach::{Who, settled};
use super::record::{Endpoint, Network, Sandbox};
use super::{Networks, State};
use crate::engine::error::{Error, Result};

/// A container, as networks need to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// The full id.
    pub(crate) id: String,
    /// Without a slash.
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) running: bool,
    /// As in `HostConfig.NetworkMode`.
    pub(crate) mode: String,
    /// Names of the networks that it is, or will be, connected to.
    pub(crate) networks: Vec<String>,
}

/// The containers, as networks need them: set once by whoever keeps them.
pub(crate) trait Members: Debug + Send + Sync {
    /// By name, id or the beginning of an id.
    fn find(&self, container: &str) -> Result<Member>;

    /// Writes an endpoint into the container's own record, by the network's name; `None` takes it out.
    fn record<'a>(
        &'a self,
        container: &'a str,
        network: &'a str,
        endpoint: Option<EndpointSettings>,
    ) -> BoxFuture<'a, Result<()>>;
}

impl Networks {
    /// Says once how to find containers.
    pub(crate) fn set_members(&self, members: std::sync::Arc<dyn Members>) {
        // A second caller would be a mistake in the engine's wiring; the first answer stays.
        let _ = self.shared.members.set(members);
    }

    /// Connects a container to a further network: at once when it runs, else with its next start.
    pub(crate) async fn connect(
        &self,
        network: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let network = self.find(network)?;
        let members = self.members()?;
        let member = members.find(container)?;
        refuse_by_mode(&network, &member)?;
        let name = network.name.as_str();
        if member.networks.iter().any(|known| known == name) {
            return Err(Error::forbidden(format!(
                "endpoint with name {} already exists in network {name}",
                member.name
            )));
        }
        if !member.running {
            let settings = EndpointSettings { network_id: network.id.clone(), ..settings };
            return members.record(&member.id, name, Some(settings)).await;
        }
        let endpoint = match self.plug_further(&network, &member, &settings).await {
            Ok(endpoint) => endpoint,
            Err(error) => {
                self.drop_endpoint(&network, &member.id).await?;
                return Err(error);
            }
        };
        self.tell("connect", &network, Some(&member.id));
        members.record(&member.id, name, Some(settled(&network, &endpoint, &settings))).await
    }

    /// Disconnects a container. With `force`, also one that nobody knows any more.
    pub(crate) async fn disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let network = self.find(network)?;
        let members = self.members()?;
        let member = match members.find(container) {
            Ok(member) => member,
            Err(error) if !force => return Err(error),
            Err(_) => Member { id: self.held_by(container)?, ..Member::default() },
        };
        if matches!(network.driver_name(), "host") {
            return Err(Error::forbidden("container cannot be disconnected from host network"));
        }
        let connected = self.drop_endpoint(&network, &member.id).await?;
        if connected {
            self.tell("disconnect", &network, Some(&member.id));
        } else if !member.networks.contains(&network.name) {
            return Err(Error::forbidden(format!(
                "container {} is not connected to network {}",
                member.id, network.name
            )));
        }
        members.record(&member.id, &network.name, None).await
    }

    async fn plug_further(
        &self,
        network: &Network,
        member: &Member,
        settings: &EndpointSettings,
    ) -> Result<Endpoint> {
        let endpoint = {
            let mut state = self.state();
            let mine = state.sandboxes.get(&member.id).map(|s| s.endpoints.clone()).unwrap_or_default();
            let who = Who { id: &member.id, name: &member.name, hostname: &member.hostname };
            let mut endpoint = state.endpoint(network, settings, &who, &mine)?;
            endpoint.gateway = !network.internal && !mine.iter().any(|endpoint| endpoint.gateway);
            endpoint.gateway_ipv6 = !network.internal
                && endpoint.address_ipv6.is_some()
                && !mine.iter().any(|endpoint| endpoint.gateway_ipv6);
            let sandbox = state.sandboxes.entry(member.id.clone()).or_insert_with(|| Sandbox {
                container: member.id.clone(),
                name: member.name.clone(),
                namespace: self.namespace(&member.id),
                endpoints: Vec::new(),
                ports: Vec::new(),
                dns: Vec::new(),
            });
            sandbox.endpoints.push(endpoint.clone());
            state.changes += 1;
            endpoint
        };
        let sandbox = self.record(&member.id)?;
        self.plug(&sandbox, &endpoint).await?;
        self.apply().await?;
        if network.has_names() {
            self.serve_names(&sandbox).await?;
        }
        Ok(endpoint)
    }

    /// Takes one endpoint back. Says whether there was one.
    async fn drop_endpoint(&self, network: &Network, container: &str) -> Result<bool> {
        let dropped = self.state().take_endpoint(&network.id, container);
        let Some((endpoint, ways_out)) = dropped else { return Ok(false) };
        let failed = |e| Error::internal("disconnecting a container", e);
        self.shared.kernel.remove_link(&endpoint.link).await.map_err(failed)?;
        for gateway in ways_out {
            let namespace = self.namespace(container);
            self.shared.kernel.route(&namespace, gateway).await.map_err(failed)?;
        }
        let sandbox = self.record(container)?;
        self.serve_ipv6(&sandbox);
        self.apply().await?;
        Ok(true)
    }

    fn members(&self) -> Result<&std::sync::Arc<dyn Members>> {
        let members = self.shared.members.get();
        members.ok_or_else(|| Error::unavailable("containers are not ready yet"))
    }

    /// The container of that name or id that holds something, whatever else is known of it.
    fn held_by(&self, container: &str) -> Result<String> {
        let state = self.state();
        let held =
            state.sandboxes.values().find(|s| s.name == container || s.container.starts_with(container));
        held.map(|sandbox| sandbox.container.clone())
            .ok_or_else(|| Error::not_found(format!("No such container: {container}")))
    }
}

impl State {
    /// Takes an endpoint out. When it was the way out and there is another one, that one's network is the way out now,
    /// and published ports lead to its address. Returns the new ways out beside it.
    fn take_endpoint(&mut self, network: &str, container: &str) -> Option<(Endpoint, Vec<IpAddr>)> {
        let sandbox = self.sandboxes.get_mut(container)?;
        let at = sandbox.endpoints.iter().position(|endpoint| endpoint.network == network)?;
        let endpoint = sandbox.endpoints.remove(at);
        let leads_out = |endpoint: &Endpoint| {
            let network = self.networks.get(&endpoint.network).filter(|network| !network.internal);
            network.and_then(Network::bridged)
        };
        let mut ways_out = Vec::new();
        if endpoint.gateway {
            match sandbox.endpoints.iter_mut().find_map(|next| leads_out(next).map(|by| (next, by))) {
                Some((next, by)) => {
                    next.gateway = true;
                    ways_out.push(by.pool.gateway.into());
                    for port in &mut sandbox.ports {
                        port.container.set_ip(next.address);
                    }
                }
                None => sandbox.ports.clear(),
            }
        }
        if endpoint.gateway_ipv6 {
            let open = |next: &Endpoint| leads_out(next).and_then(|by| Some(by.pool_ipv6.as_ref()?.gateway));
            let next =
                sandbox.endpoints.iter_mut().find_map(|next| open(next).map(|gateway| (next, gateway)));
            let address = next.and_then(|(next, gateway)| {
                next.gateway_ipv6 = true;
                ways_out.push(gateway.into());
                next.address_ipv6
            });
            for port in &mut sandbox.ports {
                let inside = port.container.port();
                let leads = port.container_ipv6.and(address);
                port.container_ipv6 = leads.map(|address| SocketAddrV6::new(address, inside, 0, 0));
            }
        }
        self.changes += 1;
        Some((endpoint, ways_out))
    }
}

fn refuse_by_mode(network: &Network, member: &Member) -> Result<()> {
    if network.bridged().is_none() {
        return Err(Error::forbidden(format!("container cannot be connected to {} network", network.name)));
    }
    match member.mode.as_str() {
        "none" => Err(Error::forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        )),
        mode if mode == "host" || mode.starts_with("container:") => Err(Error::forbidden(
            "container sharing network namespace with another container or host cannot be connected to any other \
             network",
        )),
        _ => Ok(()),
    }
}
