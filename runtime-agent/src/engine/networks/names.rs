//! Names on user-defined networks: who is who, as one container sees it.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::record::{Endpoint, Network, Sandbox};
use super::{Networks, Shared, State};
use crate::engine::error::{Error, Result};
use crate::net::dns::{Names, Server};

impl Networks {
    /// Answers a container's questions for names, from now on until [`Networks::stop_names`].
    pub(super) async fn serve_names(&self, sandbox: &Sandbox) -> Result<()> {
        let container = sandbox.container.clone();
        if self.shared.servers().contains_key(&container) {
            return Ok(());
        }
        let view = View::of(self, &container);
        let server = Server::start(&sandbox.namespace, Arc::new(view)).await;
        let server = server.map_err(|e| Error::internal("failed to serve names", e))?;
        self.shared.servers().insert(container, server);
        Ok(())
    }

    pub(super) fn stop_names(&self, container: &str) {
        self.shared.servers().remove(container);
    }
}

/// What one container sees. It outlives nobody: the server that holds it belongs to the networks.
#[derive(Debug)]
pub(super) struct View {
    networks: Weak<Shared>,
    container: String,
}

impl View {
    pub(super) fn of(networks: &Networks, container: &str) -> Self {
        Self { networks: Arc::downgrade(&networks.shared), container: container.to_owned() }
    }
}

impl Names for View {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let networks = Networks { shared: self.networks.upgrade()? };
        let state = networks.state();
        let mut found: Vec<&Endpoint> = neighbours(&state, &self.container)
            .filter(|(network, endpoint)| {
                let bare =
                    name.strip_suffix(&network.name.to_ascii_lowercase()).and_then(|n| n.strip_suffix('.'));
                let linked = linked(&state, &self.container, &network.id, name);
                endpoint.names.iter().any(|known| {
                    known.eq_ignore_ascii_case(name)
                        || bare.is_some_and(|n| known.eq_ignore_ascii_case(n))
                        || linked.is_some_and(|n| known.eq_ignore_ascii_case(n))
                })
            })
            .map(|(_, endpoint)| endpoint)
            .collect();
        // Everybody who shares a name gets its turn to be the first, which is the one that most clients take.
        let turn = networks.shared.answers.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(found.len()).unwrap_or_default();
        found.rotate_left(first);
        (!found.is_empty()).then(|| found.into_iter().flat_map(Endpoint::addresses).collect())
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        let networks = Networks { shared: self.networks.upgrade()? };
        let state = networks.state();
        let (network, endpoint) =
            neighbours(&state, &self.container).find(|(_, e)| e.addresses().any(|known| known == address))?;
        Some(format!("{}.{}", endpoint.names.first()?, network.name))
    }

    fn upstream(&self) -> Vec<IpAddr> {
        let Some(shared) = self.networks.upgrade() else { return Vec::new() };
        let networks = Networks { shared };
        let sandbox = {
            let state = networks.state();
            let Some(sandbox) = state.sandboxes.get(&self.container) else { return Vec::new() };
            // A container that has no way out must not have one through names either.
            let leads_out = |id: &String| state.networks.get(id).is_some_and(|network| !network.internal);
            if !sandbox.endpoints.iter().any(|endpoint| leads_out(&endpoint.network)) {
                return Vec::new();
            }
            sandbox.clone()
        };
        networks.upstream(&sandbox)
    }
}

/// Whom the container itself calls so on this network.
fn linked<'a>(state: &'a State, container: &str, network: &str, alias: &str) -> Option<&'a str> {
    let sandbox = state.sandboxes.get(container)?;
    let links =
        sandbox.endpoints.iter().filter(|endpoint| endpoint.network == network).flat_map(|e| &e.links);
    links
        .filter_map(|link| link.split_once(':'))
        .find(|(_, known)| known.eq_ignore_ascii_case(alias))
        .map(|(name, _)| name)
}

/// Everybody on the container's networks that have names, itself included.
fn neighbours<'a>(state: &'a State, container: &str) -> impl Iterator<Item = (&'a Network, &'a Endpoint)> {
    let mine = state.sandboxes.get(container).map(|sandbox| sandbox.endpoints.as_slice()).unwrap_or_default();
    let networks = mine.iter().filter_map(|endpoint| state.networks.get(&endpoint.network));
    networks
        .filter(|network| network.has_names())
        .flat_map(|network| state.endpoints_on(&network.id).map(move |(_, endpoint)| (network, endpoint)))
}
