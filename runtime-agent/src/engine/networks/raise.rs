//! Making what a network needs of the host: its bridge, and a router.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::atomic::Ordering;

use super::record::Network;
use super::{Networks, transit_mark, transit_mark_ipv6};
use crate::engine::error::{Error, Result};
use crate::net::link::Bridge;

impl Networks {
    /// Makes a network's bridge, and the host a router if containers are to get out.
    pub(super) async fn raise(&self, network: &Network) -> Result<()> {
        let Some(bridged) = network.bridged() else { return Ok(()) };
        let on_ipv6 = bridged.pool_ipv6.as_ref();
        let bridge = Bridge {
            name: bridged.bridge.clone(),
            address: bridged.pool.gateway,
            prefix: bridged.pool.subnet.prefix(),
            address_ipv6: on_ipv6.map(|pool| (pool.gateway, pool.subnet.prefix())),
            mtu: network.mtu(),
        };
        let failed = |e| Error::internal(&format!("failed to make network {}", network.name), e);
        self.shared.kernel.put_bridge(&bridge, !network.internal).await.map_err(failed)?;
        if network.internal {
            return Ok(());
        }
        let root = &self.shared.config.exec_root;
        if self.shared.kernel.start_forwarding().map_err(failed)? {
            let mark = transit_mark(root);
            File::create(&mark).map_err(unmarked(&mark))?;
            self.shared.stop_transit.store(true, Ordering::Relaxed);
            self.state().changes += 1;
        }
        if on_ipv6.is_some()
            && let Some(told) = self.shared.kernel.start_forwarding_ipv6().map_err(failed)?
        {
            let mark = transit_mark_ipv6(root);
            let written = File::create(&mark).and_then(|mut file| file.write_all(told.join("\n").as_bytes()));
            written.map_err(unmarked(&mark))?;
            self.shared.stop_transit_ipv6.store(true, Ordering::Relaxed);
            self.state().changes += 1;
        }
        Ok(())
    }
}

fn unmarked(mark: &std::path::Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let doing = format!("writing {}", mark.display());
    move |e| Error::internal(&doing, e)
}
