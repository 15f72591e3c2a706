//! The networks that are always there: `bridge`, `host` and `none`.

use std::collections::BTreeMap;

use super::record::{Bridged, Driver, Network, Pool};
use super::wire::now;
use super::{Networks, addresses, random_id};
use crate::engine::error::{Error, Result};
use crate::net::Subnet;

impl Networks {
    pub(super) async fn prepare(&self) -> Result<()> {
        for (name, driver) in [("host", Driver::Host), ("none", Driver::Null)] {
            if self.named(name).is_none() {
                self.keep(predefined(name, driver, BTreeMap::new())?)?;
            }
        }
        match (self.shared.config.bridge.as_str(), self.named("bridge")) {
            ("none", Some(old)) if !self.is_used(&old.id) => self.forget(&old),
            ("none", _) => Ok(()),
            (_, old) => self.prepare_bridge(old).await,
        }
    }

    /// The default bridge as the flags want it, or as it was, unless somebody else has taken its subnet since.
    async fn prepare_bridge(&self, old: Option<Network>) -> Result<()> {
        if let Some(old) = &old
            && (self.is_used(&old.id) || self.still_fits(old).await?)
        {
            return Ok(());
        }
        let config = &self.shared.config;
        let (subnet, gateway) = match config.bip {
            Some(bip) => (Subnet::around(bip.address, bip.prefix), bip.address),
            None => {
                let subnet = self.free_subnet().await?;
                (subnet, subnet.first())
            }
        };
        if let Some(old) = &old {
            self.shared
                .kernel
                .remove_link(old.bridged().map_or("", |b| b.bridge.as_str()))
                .await
                .map_err(|e| Error::internal("removing the old default bridge", e))?;
        }
        let bridged = Bridged {
            bridge: config.bridge.clone(),
            pool: Pool { subnet, gateway, range: None, auxiliary: BTreeMap::new() },
            pool_ipv6: None,
            is_default: true,
            is_adopted: false,
        };
        let mut network = predefined("bridge", Driver::Bridge(bridged), default_options(&config.bridge))?;
        if let Some(old) = old {
            network.id = old.id;
            network.created = old.created;
        }
        self.keep(network)
    }

    async fn still_fits(&self, network: &Network) -> Result<bool> {
        let config = &self.shared.config;
        let Some(bridged) = network.bridged() else { return Ok(false) };
        if bridged.bridge != config.bridge {
            return Ok(false);
        }
        if let Some(bip) = config.bip {
            return Ok(bridged.pool.gateway == bip.address && bridged.pool.subnet.prefix() == bip.prefix);
        }
        let routed = self.routed_elsewhere().await?;
        Ok(!routed.iter().any(|subnet| subnet.overlaps(bridged.pool.subnet)))
    }

    /// A subnet that neither the host nor one of our networks uses.
    pub(super) async fn free_subnet(&self) -> Result<Subnet> {
        let mut used = self.routed_elsewhere().await?;
        used.extend(self.state().networks.values().filter_map(|n| n.bridged().map(|b| b.pool.subnet)));
        addresses::free_subnet(&used)
            .ok_or_else(|| Error::invalid("all predefined address pools have been fully subnetted"))
    }

    pub(super) async fn routed_elsewhere(&self) -> Result<Vec<Subnet>> {
        let found = self.shared.kernel.subnets(&self.bridges()).await;
        found.map_err(|e| Error::internal("reading the host's routes", e))
    }

    pub(super) async fn routed_elsewhere_ipv6(&self) -> Result<Vec<Subnet<std::net::Ipv6Addr>>> {
        let found = self.shared.kernel.subnets_ipv6(&self.bridges()).await;
        found.map_err(|e| Error::internal("reading the host's routes", e))
    }

    fn bridges(&self) -> Vec<String> {
        self.state().networks.values().filter_map(|n| n.bridged().map(|b| b.bridge.clone())).collect()
    }

    fn is_used(&self, network: &str) -> bool {
        self.state().endpoints_on(network).next().is_some()
    }
}

fn predefined(name: &str, driver: Driver, options: BTreeMap<String, String>) -> Result<Network> {
    Ok(Network {
        id: random_id()?,
        name: name.to_owned(),
        created: now(),
        driver,
        internal: false,
        attachable: false,
        options,
        labels: BTreeMap::new(),
        ipam_options: None,
    })
}

/// As dockerd shows them.
fn default_options(bridge: &str) -> BTreeMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true"),
        ("com.docker.network.bridge.enable_icc", "true"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
        ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ("com.docker.network.bridge.name", bridge),
        ("com.docker.network.driver.mtu", "1500"),
    ]
    .into_iter()
    .map(|(option, value)| (option.to_owned(), value.to_owned()))
    .collect()
}
