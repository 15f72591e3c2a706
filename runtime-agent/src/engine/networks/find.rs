//! Finding networks, listing them, and letting go of those that nobody uses.

use wharfd_api_types::Filters;
use wharfd_api_types::network::NetworksPruned;

use super::record::Network;
use super::{Networks, network_folder};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::events::EventKind;
use crate::store::record as disk;

impl Networks {
    /// By name, id, or the beginning of an id; `default` is the default bridge.
    pub(crate) fn find(&self, wanted: &str) -> Result<Network> {
        let wanted = if wanted == "default" { "bridge" } else { wanted };
        if let Some(network) = self.named(wanted) {
            return Ok(network);
        }
        let state = self.state();
        if let Some(network) = state.networks.get(wanted) {
            return Ok(network.clone());
        }
        let mut starting = state.networks.values().filter(|n| !wanted.is_empty() && n.id.starts_with(wanted));
        match (starting.next(), starting.next()) {
            (Some(network), None) => Ok(network.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!("network {wanted} is ambiguous"))),
            (None, _) => Err(Error::not_found(format!("network {wanted} not found"))),
        }
    }

    /// The networks that match, by name.
    pub(crate) fn list(&self, filters: &Filters) -> Result<Vec<Network>> {
        filters
            .only(&["dangling", "driver", "id", "label", "name", "scope", "type"])
            .map_err(Error::invalid)?;
        let dangling = dangling(filters)?;
        if let Some(other) =
            filters.get("type").iter().find(|kind| !matches!(kind.as_str(), "custom" | "builtin"))
        {
            return Err(Error::invalid(format!("invalid filter: 'type'='{other}'")));
        }
        let kind = |network: &Network| if network.is_predefined() { "builtin" } else { "custom" };
        let state = self.state();
        let unused =
            |network: &Network| !network.is_predefined() && state.endpoints_on(&network.id).next().is_none();
        let mut found: Vec<Network> = state
            .networks
            .values()
            .filter(|network| {
                filters.all("driver", |wanted| network.driver_name() == wanted)
                    && filters.all("id", |wanted| network.id.contains(wanted))
                    && filters.all("name", |wanted| network.name.contains(wanted))
                    && filters.all("scope", |wanted| wanted == "local")
                    && filters.all("type", |wanted| kind(network) == wanted)
                    && filters.get("label").iter().all(|wanted| labelled(network, wanted))
                    && dangling.is_none_or(|dangling| unused(network) == dangling)
            })
            .cloned()
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes a network that nobody is connected to.
    pub(crate) async fn remove(&self, wanted: &str) -> Result<()> {
        let network = self.find(wanted)?;
        if network.is_predefined() {
            let name = &network.name;
            return Err(Error::forbidden(format!("{name} is a pre-defined network and cannot be removed")));
        }
        self.refuse_if_used(&network)?;
        if let Some(bridged) = network.bridged().filter(|bridged| !bridged.is_adopted) {
            let removed = self.shared.kernel.remove_link(&bridged.bridge).await;
            removed
                .map_err(|e| Error::internal(&format!("error while removing network {}", network.name), e))?;
        }
        self.forget(&network)?;
        self.tell("destroy", &network, None);
        Ok(())
    }

    /// Removes every network that somebody made and nobody is connected to.
    pub(crate) async fn prune(
        &self,
        filters: &Filters,
        before: Option<time::OffsetDateTime>,
    ) -> Result<NetworksPruned> {
        filters.only(&["label", "label!", "until"]).map_err(Error::invalid)?;
        let old_enough = |network: &Network| {
            let created =
                time::OffsetDateTime::parse(&network.created, &time::format_description::well_known::Rfc3339);
            before.is_none_or(|before| created.is_ok_and(|created| created <= before))
        };
        let mut removed = Vec::new();
        for network in self.list(&Filters::default())? {
            let wanted = !network.is_predefined()
                && filters.get("label").iter().all(|wanted| labelled(&network, wanted))
                && !filters.get("label!").iter().any(|unwanted| labelled(&network, unwanted))
                && old_enough(&network);
            if !wanted {
                continue;
            }
            match self.remove(&network.id).await {
                Ok(()) => removed.push(network.name),
                Err(used) if used.kind() == Kind::Forbidden => {}
                Err(error) => tracing::warn!(%error, network = network.name, "cannot prune a network"),
            }
        }
        self.shared.events.publish(EventKind::Network, "prune", "", [("reclaimed", "0")]);
        Ok(NetworksPruned { networks_deleted: (!removed.is_empty()).then_some(removed) })
    }

    pub(super) fn named(&self, name: &str) -> Option<Network> {
        self.state().networks.values().find(|network| network.name == name).cloned()
    }

    /// Records a network.
    pub(super) fn keep(&self, network: Network) -> Result<()> {
        let path = network_folder(&self.shared.config).join(format!("{}.json", network.id));
        disk::write(&path, &network).map_err(|e| Error::internal("recording a network", e))?;
        self.state().networks.insert(network.id.clone(), network);
        Ok(())
    }

    pub(super) fn forget(&self, network: &Network) -> Result<()> {
        let path = network_folder(&self.shared.config).join(format!("{}.json", network.id));
        disk::remove(&path).map_err(|e| Error::internal("forgetting a network", e))?;
        self.state().networks.remove(&network.id);
        Ok(())
    }

    fn refuse_if_used(&self, network: &Network) -> Result<()> {
        let state = self.state();
        let users: Vec<String> = state
            .endpoints_on(&network.id)
            .map(|(sandbox, endpoint)| {
                let id = endpoint.id.get(..12).unwrap_or(&endpoint.id);
                format!("name:\"{}\" id:\"{id}\"", sandbox.name)
            })
            .collect();
        if users.is_empty() {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "error while removing network: network {} has active endpoints ({})",
            network.name,
            users.join(", ")
        )))
    }
}

fn dangling(filters: &Filters) -> Result<Option<bool>> {
    match filters.get("dangling") {
        [] => Ok(None),
        [one] if matches!(one.as_str(), "true" | "1") => Ok(Some(true)),
        [one] if matches!(one.as_str(), "false" | "0") => Ok(Some(false)),
        other => Err(Error::invalid(format!("invalid filter 'dangling=[{}]'", other.join(" ")))),
    }
}

fn labelled(network: &Network, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => network.labels.get(key).is_some_and(|found| found == value),
        None => network.labels.contains_key(wanted),
    }
}
