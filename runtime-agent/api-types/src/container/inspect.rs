//! `GET /containers/{id}/json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContainerConfig, HostConfig, NEVER, PortBindings, nullable};
use crate::network::EndpointSettings;

/// Everything about one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerInspect {
    /// The whole id.
    pub id: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it is doing.
    pub state: ContainerState,
    /// The image's id.
    pub image: String,
    /// On the host.
    pub resolv_conf_path: String,
    /// On the host.
    pub hostname_path: String,
    /// On the host.
    pub hosts_path: String,
    /// On the host.
    pub log_path: String,
    /// With a slash before it.
    pub name: String,
    /// By the restart policy.
    pub restart_count: u64,
    /// The storage driver.
    pub driver: String,
    /// `linux`.
    pub platform: String,
    /// SELinux.
    pub mount_label: String,
    /// SELinux.
    pub process_label: String,
    /// AppArmor.
    pub app_armor_profile: String,
    /// Running execs; `null` when there are none.
    #[serde(rename = "ExecIDs")]
    pub exec_ids: Option<Vec<String>>,
    /// The host's part.
    pub host_config: HostConfig,
    /// Where its files are.
    pub graph_driver: GraphDriver,
    /// Bytes it wrote, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<i64>,
    /// Bytes with its image, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<i64>,
    /// What is mounted where.
    pub mounts: Vec<MountPoint>,
    /// What runs.
    pub config: ContainerConfig,
    /// What it is connected to.
    pub network_settings: ContainerNetworks,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerState {
    /// created, running, paused, restarting, removing, exited, dead.
    pub status: String,
    /// Also true while paused or restarting.
    pub running: bool,
    /// Frozen.
    pub paused: bool,
    /// Waiting for its next start.
    pub restarting: bool,
    /// Whether the kernel killed it for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Its removal failed.
    pub dead: bool,
    /// Zero when it does not run.
    pub pid: u32,
    /// Of the last run.
    pub exit_code: i64,
    /// Why it did not start.
    pub error: String,
    /// RFC 3339, or year 1 for never.
    pub started_at: String,
    /// RFC 3339, or year 1 for never.
    pub finished_at: String,
    /// With a health check only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl Default for ContainerState {
    fn default() -> Self {
        Self {
            status: "created".to_owned(),
            running: false,
            paused: false,
            restarting: false,
            oom_killed: false,
            dead: false,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            started_at: NEVER.to_owned(),
            finished_at: NEVER.to_owned(),
            health: None,
        }
    }
}

/// What the health checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// starting, healthy, unhealthy.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: u64,
    /// The last five.
    pub log: Vec<HealthResult>,
}

/// One health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthResult {
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// 0 healthy, 1 unhealthy.
    pub exit_code: i64,
    /// Its first bytes.
    pub output: String,
}

/// The storage driver's details.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GraphDriver {
    /// Such as LowerDir.
    pub data: Option<BTreeMap<String, String>>,
    /// `overlay2`.
    pub name: String,
}

/// Something mounted inside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// bind, volume, tmpfs.
    #[serde(rename = "Type")]
    pub kind: String,
    /// A volume's.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub name: String,
    /// On the host.
    pub source: String,
    /// Inside.
    pub destination: String,
    /// A volume's.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub driver: String,
    /// The options as they were asked for.
    pub mode: String,
    /// Whether it is writable.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// Such as `rprivate`.
    pub propagation: String,
}

/// What a container is connected to, with the bridge's facts beside it for old clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerNetworks {
    /// Empty; old.
    pub bridge: String,
    /// The namespace's id.
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    /// The namespace's path.
    pub sandbox_key: String,
    /// Published ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: PortBindings,
    /// Old.
    #[serde(rename = "HairpinMode")]
    pub hairpin_mode: bool,
    /// Old.
    #[serde(rename = "LinkLocalIPv6Address")]
    pub link_local_ipv6_address: String,
    /// Old.
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    pub link_local_ipv6_prefix_len: i64,
    /// Old.
    #[serde(rename = "SecondaryIPAddresses")]
    pub secondary_ip_addresses: Option<Vec<String>>,
    /// Old.
    #[serde(rename = "SecondaryIPv6Addresses")]
    pub secondary_ipv6_addresses: Option<Vec<String>>,
    /// On the default bridge.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// On the default bridge.
    pub gateway: String,
    /// On the default bridge.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// On the default bridge.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: i64,
    /// On the default bridge.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// On the default bridge.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: i64,
    /// On the default bridge.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// On the default bridge.
    pub mac_address: String,
    /// By network.
    pub networks: BTreeMap<String, EndpointSettings>,
}
