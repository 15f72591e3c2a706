//! `GET /version` and `GET /info`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemVersion {
    /// What the client prints above the components.
    pub platform: Platform,
    /// The engine first, then what it is made of.
    pub components: Vec<ComponentVersion>,
    /// The engine's version.
    pub version: String,
    /// The newest API version it speaks.
    pub api_version: String,
    /// The oldest API version it speaks.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    /// The commit it was built from; empty when unknown.
    pub git_commit: String,
    /// Clients print it; ours names the compiler.
    pub go_version: String,
    /// `linux`.
    pub os: String,
    /// As Go names it: `amd64`, `arm64`.
    pub arch: String,
    /// `uname -r`.
    pub kernel_version: String,
    /// Left out when false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub experimental: bool,
    /// RFC 3339; empty when unknown.
    pub build_time: String,
}

/// A name under which a product goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Platform {
    /// The name.
    pub name: String,
}

/// One part of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ComponentVersion {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Free text, key by key.
    pub details: BTreeMap<String, String>,
}

/// `GET /info`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SystemInfo {
    /// The engine's identity, made once with its data folder.
    #[serde(rename = "ID")]
    pub id: String,
    /// All containers.
    pub containers: usize,
    /// Those that run.
    pub containers_running: usize,
    /// Those that are paused.
    pub containers_paused: usize,
    /// The others.
    pub containers_stopped: usize,
    /// All images.
    pub images: usize,
    /// The storage driver.
    pub driver: String,
    /// Facts about it, in pairs.
    pub driver_status: Vec<[String; 2]>,
    /// What can be plugged in, by kind.
    pub plugins: PluginsInfo,
    /// Whether memory can be limited.
    pub memory_limit: bool,
    /// Whether swap can be limited.
    pub swap_limit: bool,
    /// Whether CFS periods can be set.
    pub cpu_cfs_period: bool,
    /// Whether CFS quotas can be set.
    pub cpu_cfs_quota: bool,
    /// Whether CPU shares can be set.
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    /// Whether CPUs can be chosen.
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    /// Whether processes can be limited.
    pub pids_limit: bool,
    /// Whether the OOM killer can be switched off.
    pub oom_kill_disable: bool,
    /// Whether packets are forwarded.
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    /// Whether the daemon logs debug messages.
    pub debug: bool,
    /// Open file handles.
    #[serde(rename = "NFd")]
    pub n_fd: usize,
    /// Tasks; the name is a client's habit.
    pub n_goroutines: usize,
    /// RFC 3339.
    pub system_time: String,
    /// The default log driver.
    pub logging_driver: String,
    /// Who makes control groups.
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Open event streams.
    pub n_events_listener: usize,
    /// `uname -r`.
    pub kernel_version: String,
    /// As `/etc/os-release` names it.
    pub operating_system: String,
    /// As `/etc/os-release` numbers it.
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// As the kernel names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Processors.
    #[serde(rename = "NCPU")]
    pub n_cpu: usize,
    /// Bytes.
    pub mem_total: u64,
    /// The default registry.
    pub index_server_address: String,
    /// How registries are reached.
    pub registry_config: RegistryConfig,
    /// Always null.
    pub generic_resources: Option<()>,
    /// From the daemon's environment.
    pub http_proxy: String,
    /// From the daemon's environment.
    pub https_proxy: String,
    /// From the daemon's environment.
    pub no_proxy: String,
    /// The host name.
    pub name: String,
    /// `--label`.
    pub labels: Vec<String>,
    /// Always false.
    pub experimental_build: bool,
    /// Where everything that stays is kept.
    pub docker_root_dir: String,
    /// The engine's version.
    pub server_version: String,
    /// OCI runtimes by name.
    pub runtimes: BTreeMap<String, RuntimeInfo>,
    /// The one that is used unless another is asked for.
    pub default_runtime: String,
    /// Always inactive.
    pub swarm: SwarmInfo,
    /// Whether containers outlive the daemon.
    pub live_restore_enabled: bool,
    /// Empty on Linux.
    pub isolation: String,
    /// What `--init` runs.
    pub init_binary: String,
    /// Ours is one program, so these three are the same.
    pub containerd_commit: CommitInfo,
    /// See above.
    pub runc_commit: CommitInfo,
    /// See above.
    pub init_commit: CommitInfo,
    /// `name=seccomp,profile=builtin` and such.
    pub security_options: Vec<String>,
    /// What the host can't do.
    pub warnings: Vec<String>,
}

/// Names of plugins by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginsInfo {
    /// Volume drivers.
    pub volume: Vec<String>,
    /// Network drivers.
    pub network: Vec<String>,
    /// Always null.
    pub authorization: Option<()>,
    /// Log drivers.
    pub log: Vec<String>,
}

/// How registries are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RegistryConfig {
    /// Networks whose registries need no verified TLS.
    #[serde(rename = "InsecureRegistryCIDRs")]
    pub insecure_registry_cidrs: Vec<String>,
    /// Each registry by its name.
    pub index_configs: BTreeMap<String, IndexInfo>,
    /// Tried before Docker Hub.
    pub mirrors: Vec<String>,
}

/// One registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Its mirrors.
    pub mirrors: Vec<String>,
    /// Whether TLS is verified.
    pub secure: bool,
    /// Whether it is Docker Hub.
    pub official: bool,
}

/// One OCI runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// Its executable.
    pub path: String,
}

/// Swarm, as an engine says it that is in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmInfo {
    /// Empty.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Empty.
    pub node_addr: String,
    /// `inactive`.
    pub local_node_state: String,
    /// False.
    pub control_available: bool,
    /// Empty.
    pub error: String,
    /// Null.
    pub remote_managers: Option<()>,
}

impl Default for SwarmInfo {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            node_addr: String::new(),
            local_node_state: "inactive".to_owned(),
            control_available: false,
            error: String::new(),
            remote_managers: None,
        }
    }
}

/// The commit that a part was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommitInfo {
    /// The commit, or the version.
    #[serde(rename = "ID")]
    pub id: String,
    /// What was expected, for clients older than 1.48.
    #[serde(rename = "Expected", skip_serializing_if = "String::is_empty")]
    pub expected: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_has_the_names_that_case_rules_would_miss() {
        let json = serde_json::to_value(SystemInfo::default()).unwrap();
        for name in
            ["ID", "NFd", "NCPU", "OSType", "OSVersion", "CPUShares", "CPUSet", "IPv4Forwarding", "MemTotal"]
        {
            assert!(json.get(name).is_some(), "{name} is missing");
        }
        assert!(json["RegistryConfig"]["InsecureRegistryCIDRs"].is_array());
        assert_eq!(json["Swarm"]["LocalNodeState"], "inactive");
        assert!(json["GenericResources"].is_null());
    }
}
