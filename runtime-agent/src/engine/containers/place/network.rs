//! A container's network by its mode.

use crate::engine::containers::new_id;
use crate::engine::containers::record::ContainerRecord;
use crate::engine::containers::seams::{Wired, Wiring};
use crate::engine::containers::spec::Namespace;
use crate::engine::containers::world::World;
use crate::engine::error::Result;

/// Makes it, and says which namespace to join.
pub(in crate::engine::containers) async fn connect(
    world: &World,
    record: &ContainerRecord,
) -> Result<(Namespace, Wired)> {
    let mode = record.host.network_mode.as_str();
    if let Some(other) = mode.strip_prefix("container:") {
        let pid = world.index.running_pid(other)?;
        return Ok((Namespace::Path(format!("/proc/{pid}/ns/net").into()), Wired::default()));
    }
    if mode == "host" {
        return Ok((Namespace::Host, unconnected(world, record).await?));
    }
    let namespace = world.ground.connections.make_namespace(&record.id).await?;
    if mode == "none" || record.config.network_disabled {
        return Ok((Namespace::Path(namespace), unconnected(world, record).await?));
    }
    let exposed = record.config.exposed_ports.iter().flatten().map(|(port, _)| port);
    let publish_all = exposed
        .filter(|port| record.host.publish_all_ports && !record.host.port_bindings.contains_key(*port))
        .cloned()
        .collect();
    let wiring = Wiring {
        container: record.id.clone(),
        name: record.name.clone(),
        hostname: record.config.hostname.clone(),
        endpoints: record.endpoints.clone(),
        ports: record.host.port_bindings.clone(),
        publish_all,
        namespace: namespace.clone(),
        dns: record.host.dns.clone(),
    };
    let wired = world.ground.connections.connect(wiring).await?;
    Ok((Namespace::Path(namespace), wired))
}

/// No address, but the network's id and an end of its own, which clients look for in every running container.
async fn unconnected(world: &World, record: &ContainerRecord) -> Result<Wired> {
    let mut wired = Wired { endpoints: record.endpoints.iter().cloned().collect(), ..Wired::default() };
    for (network, end) in &mut wired.endpoints {
        end.network_id = world.ground.connections.identify(network).await.unwrap_or_default();
        end.endpoint_id = new_id()?;
    }
    Ok(wired)
}
