//! Everything about one container, as clients read it.

use std::collections::BTreeMap;

use wharfd_api_types::container::{
    ContainerInspect, ContainerNetworks, ContainerState, GraphDriver, HostConfig,
};

use super::health::Health;
use super::moment::or_never;
use super::place::files::PLACES;
use super::record::ContainerRecord;
use super::spec::Security;
use super::task::Snapshot;
use super::{Container, Containers};
use crate::engine::error::Result;

impl Containers {
    /// `GET /containers/{id}/json`.
    pub(crate) async fn inspect(&self, container: &Container, size: bool) -> Result<ContainerInspect> {
        let snapshot = container.snapshot();
        let record = &snapshot.record;
        let folder = self.world.folder_of(&record.id);
        let file = |at: usize| folder.join(PLACES[at].0).display().to_string();
        let mut command = record.command().into_iter();
        let written = match size {
            true => Some(self.world.ground.filesystems.size(&record.id).await?),
            false => None,
        };
        let written = written.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let image = self.world.ground.images.resolve(&record.image.to_string());
        let image_size = image.map_or(0, |image| i64::try_from(image.size).unwrap_or(i64::MAX));
        Ok(ContainerInspect {
            id: record.id.clone(),
            created: record.created.to_string(),
            path: command.next().unwrap_or_default(),
            args: command.collect(),
            state: state(&snapshot),
            image: record.image.to_string(),
            hostname_path: file(0),
            hosts_path: file(1),
            resolv_conf_path: file(2),
            log_path: match record.host.log_config.kind.as_str() {
                "json-file" => {
                    record.log_path(&folder).map(|path| path.display().to_string()).unwrap_or_default()
                }
                // Other drivers' files are nobody's business.
                _ => String::new(),
            },
            name: format!("/{}", record.name),
            restart_count: record.state.restarts,
            driver: "overlay2".to_owned(),
            platform: "linux".to_owned(),
            app_armor_profile: self.profile(&record.host),
            exec_ids: self.execs.running_in(&record.id),
            host_config: self.host_config(record),
            graph_driver: GraphDriver {
                name: "overlay2".to_owned(),
                data: Some(self.world.ground.filesystems.folders(&record.id)),
            },
            size_rw: written,
            size_root_fs: written.map(|bytes| bytes.saturating_add(image_size)),
            mounts: record.mounts.iter().map(super::mounts::Mount::describe).collect(),
            config: record.config.clone(),
            network_settings: networks(&snapshot),
            ..ContainerInspect::default()
        })
    }
}

impl Containers {
    /// What confines the container when it runs.
    fn profile(&self, host: &HostConfig) -> String {
        let security = Security::parse(host).ok();
        let profile = security
            .as_ref()
            .and_then(|security| security.apparmor(self.world.facts.apparmor).ok().flatten());
        profile.unwrap_or_default().to_owned()
    }

    /// The host's part, with what the engine makes of what was left open.
    fn host_config(&self, record: &ContainerRecord) -> HostConfig {
        let mut host = record.host.clone();
        host.links = super::links::shown(&self.world, record).or(host.links);
        // Nothing is hidden from a privileged one, which dockerd shows as nothing said.
        if let Ok(security) = Security::parse(&host).map(Security::system_paths)
            && !host.privileged
        {
            (host.masked_paths, host.readonly_paths) = (Some(security.0), Some(security.1));
        }
        host
    }
}

pub(crate) fn state(snapshot: &Snapshot) -> ContainerState {
    use super::record::Status;
    let state = &snapshot.record.state;
    ContainerState {
        status: state.status.as_str().to_owned(),
        running: state.status.is_running(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: u32::try_from(state.pid).unwrap_or(0),
        exit_code: state.exit_code.into(),
        error: state.error.clone(),
        started_at: or_never(state.started),
        finished_at: or_never(state.finished),
        health: state.health.as_ref().map(Health::describe),
    }
}

fn networks(snapshot: &Snapshot) -> ContainerNetworks {
    let record = &snapshot.record;
    let mut networks: BTreeMap<_, _> = record.endpoints.iter().cloned().collect();
    networks.extend(record.state.connected.clone());
    let running = record.state.status.has_process();
    let mut settings = ContainerNetworks {
        sandbox_id: if running { record.id.clone() } else { String::new() },
        sandbox_key: if running { format!("/proc/{}/ns/net", record.state.pid) } else { String::new() },
        ports: ports(snapshot),
        ..ContainerNetworks::default()
    };
    if let Some(bridge) = networks.get("bridge") {
        settings.endpoint_id.clone_from(&bridge.endpoint_id);
        settings.gateway.clone_from(&bridge.gateway);
        settings.ip_address.clone_from(&bridge.ip_address);
        settings.ip_prefix_len = bridge.ip_prefix_len;
        settings.mac_address.clone_from(&bridge.mac_address);
        settings.ipv6_gateway.clone_from(&bridge.ipv6_gateway);
        settings.global_ipv6_address.clone_from(&bridge.global_ipv6_address);
        settings.global_ipv6_prefix_len = bridge.global_ipv6_prefix_len;
    }
    settings.networks = networks;
    settings
}

/// Published ports while it runs, and exposed ones with `null`.
pub(super) fn ports(snapshot: &Snapshot) -> wharfd_api_types::container::PortBindings {
    let record = &snapshot.record;
    if !record.state.status.has_process() {
        return BTreeMap::new();
    }
    let exposed = record.config.exposed_ports.iter().flatten().map(|(port, _)| (port.clone(), None));
    exposed.chain(record.state.ports.clone()).collect()
}
