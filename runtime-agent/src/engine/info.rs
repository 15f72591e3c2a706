//! `/info`, put together from what every part of the engine says of itself.

use wharfd_api_types::{CommitInfo, IndexInfo, PluginsInfo, RegistryConfig, RuntimeInfo, SystemInfo};

use super::{Engine, host};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const RUNTIME: &str = "wharf";

impl Engine {
    pub(crate) async fn info(&self) -> SystemInfo {
        let host = host::describe();
        let limits = host::limits();
        let commit = || CommitInfo { id: VERSION.to_owned(), expected: VERSION.to_owned() };
        let (running, paused, stopped) = self.containers.counts();
        SystemInfo {
            containers: running + paused + stopped,
            containers_running: running,
            containers_paused: paused,
            containers_stopped: stopped,
            id: self.id.clone(),
            driver: "overlay2".to_owned(),
            driver_status: vec![
                ["Backing Filesystem".to_owned(), "extfs".to_owned()],
                ["Native Overlay Diff".to_owned(), "true".to_owned()],
            ],
            plugins: self.plugins(),
            memory_limit: limits.memory,
            swap_limit: limits.swap,
            cpu_cfs_period: limits.cpu,
            cpu_cfs_quota: limits.cpu,
            cpu_shares: limits.cpu,
            cpu_set: limits.cpuset,
            pids_limit: limits.pids,
            oom_kill_disable: limits.oom_kill_disable,
            ipv4_forwarding: host.forwards_ipv4,
            debug: self.config.log_level == tracing::Level::DEBUG,
            n_fd: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            n_goroutines: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            system_time: now(),
            logging_driver: "json-file".to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: limits.cgroup_version.to_string(),
            n_events_listener: self.events.listeners(),
            kernel_version: host.kernel,
            operating_system: host.operating_system,
            os_version: host.operating_system_version,
            os_type: "linux".to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            images: self.images.all().len(),
            n_cpu: host.processors,
            mem_total: host.memory_bytes,
            index_server_address: "https://index.docker.io/v1/".to_owned(),
            registry_config: self.registry_config(),
            name: host.name,
            labels: self.config.labels.clone(),
            docker_root_dir: self.config.data_root.display().to_string(),
            server_version: VERSION.to_owned(),
            runtimes: [(RUNTIME.to_owned(), RuntimeInfo { path: "wharfd".to_owned() })].into(),
            default_runtime: RUNTIME.to_owned(),
            live_restore_enabled: true,
            init_binary: "wharfd".to_owned(),
            containerd_commit: commit(),
            runc_commit: commit(),
            init_commit: commit(),
            security_options: security_options(),
            warnings: warnings(host.forwards_ipv4, &limits),
            ..SystemInfo::default()
        }
    }

    fn plugins(&self) -> PluginsInfo {
        let networks =
            if self.config.bridge == "none" { &["host", "null"][..] } else { &["bridge", "host", "null"] };
        PluginsInfo {
            volume: vec!["local".to_owned()],
            network: networks.iter().map(|name| (*name).to_owned()).collect(),
            authorization: None,
            log: ["json-file", "local", "none"].map(str::to_owned).into(),
        }
    }

    fn registry_config(&self) -> RegistryConfig {
        let config = &self.config;
        let index = |name: &str, secure, official, mirrors: &[String]| {
            (
                name.to_owned(),
                IndexInfo { name: name.to_owned(), mirrors: mirrors.to_vec(), secure, official },
            )
        };
        let (networks, hosts): (Vec<_>, Vec<_>) =
            config.insecure_registries.iter().partition(|r| r.contains('/'));
        let mut insecure: Vec<String> = networks.into_iter().cloned().collect();
        insecure.push("127.0.0.0/8".to_owned());
        // As addresses of folders, as dockerd shows them.
        let mirrors =
            config.registry_mirrors.iter().map(|mirror| format!("{}/", mirror.trim_end_matches('/')));
        let mirrors: Vec<String> = mirrors.collect();
        let hub = index("docker.io", true, true, &mirrors);
        RegistryConfig {
            insecure_registry_cidrs: insecure,
            index_configs: std::iter::once(hub)
                .chain(hosts.iter().map(|host| index(host, false, false, &[])))
                .collect(),
            mirrors,
        }
    }
}

/// In dockerd's words, which the client prints below everything else.
fn security_options() -> Vec<String> {
    let apparmor = crate::runtime::apparmor::is_on().then_some("name=apparmor");
    apparmor.into_iter().chain(["name=seccomp,profile=builtin"]).map(str::to_owned).collect()
}

fn warnings(forwards_ipv4: bool, limits: &host::Limits) -> Vec<String> {
    let lacks = [
        (limits.memory, "No memory limit support"),
        (limits.swap, "No swap limit support"),
        (limits.cpu, "No cpu cfs quota support"),
        (limits.cpu, "No cpu shares support"),
        (limits.cpuset, "No cpuset support"),
        (limits.pids, "No pids limit support"),
        (forwards_ipv4, "IPv4 forwarding is disabled"),
    ];
    lacks.iter().filter(|(has, _)| !has).map(|(_, what)| format!("WARNING: {what}")).collect()
}

fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
