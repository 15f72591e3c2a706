//! Containers as networks see them: for `docker network connect` and `disconnect`.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wharfd_api_types::network::EndpointSettings;

use super::record::ContainerRecord;
use super::world::World;
use crate::engine::error::Result;
use crate::engine::networks::{Member, Members};

/// What networks ask.
#[derive(Debug)]
pub(super) struct Roll(pub(super) Arc<World>);

impl Members for Roll {
    fn find(&self, container: &str) -> Result<Member> {
        let snapshot = self.0.index.find(container)?.snapshot();
        let record = &snapshot.record;
        Ok(Member {
            id: record.id.clone(),
            name: record.name.clone(),
            hostname: record.config.hostname.clone(),
            running: record.state.status.has_process(),
            mode: record.host.network_mode.clone(),
            networks: record.endpoints.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    fn record<'a>(
        &'a self,
        container: &'a str,
        network: &'a str,
        endpoint: Option<EndpointSettings>,
    ) -> BoxFuture<'a, Result<()>> {
        let network = network.to_owned();
        async move {
            let container = self.0.index.find(container)?;
            container.note(move |record| write(record, &network, endpoint)).await
        }
        .boxed()
    }
}

fn write(record: &mut ContainerRecord, network: &str, endpoint: Option<EndpointSettings>) {
    record.endpoints.retain(|(name, _)| name != network);
    record.state.connected.remove(network);
    let Some(endpoint) = endpoint else { return };
    if record.state.status.has_process() {
        record.state.connected.insert(network.to_owned(), endpoint.clone());
    }
    // What the next start asks for: wishes, not what was given this time.
    let wish = EndpointSettings {
        ipam_config: endpoint.ipam_config,
        links: endpoint.links,
        aliases: endpoint.aliases,
        driver_opts: endpoint.driver_opts,
        gw_priority: endpoint.gw_priority,
        network_id: endpoint.network_id,
        ..EndpointSettings::default()
    };
    record.endpoints.push((network.to_owned(), wish));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::containers::record::{State, Status};

    #[test]
    fn a_connection_is_a_wish_for_the_next_start_and_a_fact_while_it_runs() {
        let text = r#"{"id":"a","name":"a","created":"2026-01-01T00:00:00Z","config":{},"host":{},"endpoints":[],
            "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","mounts":[],"state":{}}"#;
        let mut record: ContainerRecord = serde_json::from_str(text).unwrap();
        let endpoint = EndpointSettings { ip_address: "10.0.0.9".into(), ..EndpointSettings::default() };
        write(&mut record, "net", Some(endpoint.clone()));
        assert!(record.state.connected.is_empty() && record.endpoints[0].1.ip_address.is_empty());
        record.state = State { status: Status::Running, ..State::default() };
        write(&mut record, "net", Some(endpoint));
        assert_eq!(
            (record.state.connected["net"].ip_address.as_str(), record.endpoints.len()),
            ("10.0.0.9", 1)
        );
        write(&mut record, "net", None);
        assert!(record.state.connected.is_empty() && record.endpoints.is_empty());
    }
}
