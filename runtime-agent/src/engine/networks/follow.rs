//! Setting our rules anew when somebody else has changed the firewall: a reload of firewalld, or a ruleset that was
//! flushed and loaded again, takes ours along, and containers would be cut off without a word.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Networks, Shared};
use crate::engine::error::{Error, Result};
use crate::net::nftables::Watch;

/// A reload comes in pieces.
const SETTLING: Duration = Duration::from_millis(200);
/// Nobody tells of changes in the tables of `iptables-legacy`: where they are in use, they are looked at.
const LOOKING: Duration = Duration::from_secs(15);

impl Networks {
    /// Begins to listen, for as long as the networks are in use. Where nobody may listen, the log says so.
    pub(super) fn follow_the_firewall(&self) {
        match Watch::open() {
            Ok(watch) => drop(tokio::spawn(follow(Arc::downgrade(&self.shared), watch))),
            Err(error) => tracing::warn!(%error, "rules that others flush are not set anew by themselves"),
        }
    }

    /// Programs the firewall again, if it is not as we left it and there is anything to protect.
    async fn restore(&self) -> Result<()> {
        let mut applied = self.shared.applied.lock().await;
        if self.state().sandboxes.is_empty() {
            return Ok(());
        }
        let failed = |e| Error::internal("setting the firewall's rules anew", e);
        let now = self.shared.kernel.firewall_generation().await.map_err(failed)?;
        match applied.generation {
            Some(ours) if ours == now => return Ok(()),
            Some(_) => tracing::info!("somebody else has changed the firewall: setting our rules anew"),
            None => tracing::debug!("the firewall was changed while we changed it: setting our rules anew"),
        }
        self.program(&mut applied).await
    }
}

async fn follow(networks: Weak<Shared>, mut watch: Watch) {
    loop {
        if tokio::time::timeout(LOOKING, watch.changed()).await.is_ok() {
            tokio::time::sleep(SETTLING).await;
        }
        let Some(shared) = networks.upgrade() else { return };
        if let Err(error) = (Networks { shared }).restore().await {
            tracing::error!(%error, "published ports may be out of order until the next container starts");
        }
    }
}
