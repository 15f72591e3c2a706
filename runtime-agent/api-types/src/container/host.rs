//! How a host runs a container: limits, mounts, namespaces, rights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nullable;
use crate::network::PortBinding;

/// Published ports: `80/tcp` to places on the host; a port may be `null`.
pub type PortBindings = BTreeMap<String, Option<Vec<PortBinding>>>;

/// The host's part of a container's configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `source:destination[:options]`.
    pub binds: Option<Vec<String>>,
    /// A file of the client's; kept because it is asked back.
    #[serde(rename = "ContainerIDFile", deserialize_with = "nullable")]
    pub container_id_file: String,
    /// Where the output goes.
    #[serde(deserialize_with = "nullable")]
    pub log_config: LogConfig,
    /// `default`, `bridge`, `host`, `none`, `container:ID` or a network's name.
    #[serde(deserialize_with = "nullable")]
    pub network_mode: String,
    /// Published ports.
    #[serde(deserialize_with = "nullable")]
    pub port_bindings: PortBindings,
    /// What happens when the process ends.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy: RestartPolicy,
    /// Whether the container goes when its process ends.
    #[serde(deserialize_with = "nullable")]
    pub auto_remove: bool,
    /// The driver of volumes made on the way.
    #[serde(deserialize_with = "nullable")]
    pub volume_driver: String,
    /// Containers whose mounts are taken over.
    pub volumes_from: Option<Vec<String>>,
    /// Height and width of the terminal at start.
    #[serde(deserialize_with = "nullable")]
    pub console_size: [u16; 2],
    /// Free notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Capabilities beside the default ones.
    #[serde(deserialize_with = "super::words")]
    pub cap_add: Option<Vec<String>>,
    /// Default capabilities that are taken away.
    #[serde(deserialize_with = "super::words")]
    pub cap_drop: Option<Vec<String>>,
    /// `private` or `host`.
    #[serde(deserialize_with = "nullable")]
    pub cgroupns_mode: String,
    /// Name servers.
    #[serde(deserialize_with = "nullable")]
    pub dns: Vec<String>,
    /// Options of resolv.conf.
    #[serde(deserialize_with = "nullable")]
    pub dns_options: Vec<String>,
    /// Search domains.
    #[serde(deserialize_with = "nullable")]
    pub dns_search: Vec<String>,
    /// `name:address` lines of /etc/hosts.
    pub extra_hosts: Option<Vec<String>>,
    /// Supplementary groups.
    pub group_add: Option<Vec<String>>,
    /// `private`, `none`, `shareable`, `host` or `container:ID`.
    #[serde(deserialize_with = "nullable")]
    pub ipc_mode: String,
    /// `container:ID`; unused by clients.
    #[serde(deserialize_with = "nullable")]
    pub cgroup: String,
    /// Links to other containers, `name:alias`.
    pub links: Option<Vec<String>>,
    /// -1000 to 1000.
    #[serde(deserialize_with = "nullable")]
    pub oom_score_adj: i64,
    /// Empty, `host` or `container:ID`.
    #[serde(deserialize_with = "nullable")]
    pub pid_mode: String,
    /// Everything that the host may do.
    #[serde(deserialize_with = "nullable")]
    pub privileged: bool,
    /// Whether every exposed port is published on a free one.
    #[serde(deserialize_with = "nullable")]
    pub publish_all_ports: bool,
    /// Whether the root file system is read-only.
    #[serde(deserialize_with = "nullable")]
    pub readonly_rootfs: bool,
    /// `seccomp=…`, `no-new-privileges`, `label=…`, `apparmor=…`, `systempaths=unconfined`.
    pub security_opt: Option<Vec<String>>,
    /// Options of the storage driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_opt: Option<BTreeMap<String, String>>,
    /// Mount point to options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<BTreeMap<String, String>>,
    /// Empty or `host`.
    #[serde(rename = "UTSMode", deserialize_with = "nullable")]
    pub uts_mode: String,
    /// Empty or `host`.
    #[serde(deserialize_with = "nullable")]
    pub userns_mode: String,
    /// Bytes of /dev/shm; zero means 64 MiB.
    #[serde(deserialize_with = "nullable")]
    pub shm_size: i64,
    /// Kernel parameters of the container's namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysctls: Option<BTreeMap<String, String>>,
    /// The OCI runtime's name.
    #[serde(deserialize_with = "nullable")]
    pub runtime: String,
    /// For Windows only.
    #[serde(deserialize_with = "nullable")]
    pub isolation: String,
    /// Relative weight.
    #[serde(deserialize_with = "nullable")]
    pub cpu_shares: i64,
    /// Bytes; zero is no limit.
    #[serde(deserialize_with = "nullable")]
    pub memory: i64,
    /// Billionths of a processor.
    #[serde(deserialize_with = "nullable")]
    pub nano_cpus: i64,
    /// The cgroup above the container's.
    #[serde(deserialize_with = "nullable")]
    pub cgroup_parent: String,
    /// 10 to 1000.
    #[serde(deserialize_with = "nullable")]
    pub blkio_weight: u16,
    /// The same for one device.
    #[serde(deserialize_with = "nullable")]
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes a second.
    #[serde(deserialize_with = "nullable")]
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Bytes a second.
    #[serde(deserialize_with = "nullable")]
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Operations a second.
    #[serde(rename = "BlkioDeviceReadIOps", deserialize_with = "nullable")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Operations a second.
    #[serde(rename = "BlkioDeviceWriteIOps", deserialize_with = "nullable")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Microseconds.
    #[serde(deserialize_with = "nullable")]
    pub cpu_period: i64,
    /// Microseconds in a period.
    #[serde(deserialize_with = "nullable")]
    pub cpu_quota: i64,
    /// Microseconds.
    #[serde(rename = "CpuRealtimePeriod", deserialize_with = "nullable")]
    pub cpu_realtime_period: i64,
    /// Microseconds in a period.
    #[serde(rename = "CpuRealtimeRuntime", deserialize_with = "nullable")]
    pub cpu_realtime_runtime: i64,
    /// Such as `0-2,4`.
    #[serde(deserialize_with = "nullable")]
    pub cpuset_cpus: String,
    /// Memory nodes.
    #[serde(deserialize_with = "nullable")]
    pub cpuset_mems: String,
    /// Host devices.
    #[serde(deserialize_with = "nullable")]
    pub devices: Vec<DeviceMapping>,
    /// Such as `c 1:3 rwm`.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Devices by a driver's name, such as GPUs.
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// An old limit that nobody enforces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_memory: Option<i64>,
    /// The same for its sockets.
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "Option::is_none")]
    pub kernel_memory_tcp: Option<i64>,
    /// A soft limit in bytes.
    #[serde(deserialize_with = "nullable")]
    pub memory_reservation: i64,
    /// Memory and swap together; -1 is no limit.
    #[serde(deserialize_with = "nullable")]
    pub memory_swap: i64,
    /// 0 to 100; `null` is the host's.
    pub memory_swappiness: Option<i64>,
    /// Whether the kernel may not kill it when memory runs out.
    pub oom_kill_disable: Option<bool>,
    /// Whether an init reaps processes inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// `null`, 0 and -1 are no limit.
    pub pids_limit: Option<i64>,
    /// Resource limits of the process.
    #[serde(deserialize_with = "nullable")]
    pub ulimits: Vec<Ulimit>,
    /// For Windows only.
    #[serde(deserialize_with = "nullable")]
    pub cpu_count: i64,
    /// For Windows only.
    #[serde(deserialize_with = "nullable")]
    pub cpu_percent: i64,
    /// For Windows only.
    #[serde(rename = "IOMaximumIOps", deserialize_with = "nullable")]
    pub io_maximum_iops: u64,
    /// For Windows only.
    #[serde(rename = "IOMaximumBandwidth", deserialize_with = "nullable")]
    pub io_maximum_bandwidth: u64,
    /// Mounts in the long form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<MountRequest>>,
    /// Hidden paths; `null` means the default ones.
    pub masked_paths: Option<Vec<String>>,
    /// Read-only paths; `null` means the default ones.
    pub readonly_paths: Option<Vec<String>>,
}

/// Where output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `json-file`, `none`; empty is the default.
    #[serde(rename = "Type", deserialize_with = "nullable")]
    pub kind: String,
    /// Such as `max-size`.
    #[serde(rename = "Config", deserialize_with = "nullable")]
    pub config: BTreeMap<String, String>,
}

/// What happens when the process ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`; empty is `no`.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// For `on-failure`; zero is no limit.
    #[serde(deserialize_with = "nullable")]
    pub maximum_retry_count: i64,
}

/// A host device inside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMapping {
    /// On the host.
    #[serde(deserialize_with = "nullable")]
    pub path_on_host: String,
    /// Inside.
    #[serde(deserialize_with = "nullable")]
    pub path_in_container: String,
    /// Of `rwm`.
    #[serde(deserialize_with = "nullable")]
    pub cgroup_permissions: String,
}

/// Devices asked for by what they can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceRequest {
    /// Who provides them.
    #[serde(deserialize_with = "nullable")]
    pub driver: String,
    /// How many; -1 is all.
    #[serde(deserialize_with = "nullable")]
    pub count: i64,
    /// Which.
    #[serde(rename = "DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
    /// An or-list of and-lists.
    pub capabilities: Option<Vec<Vec<String>>>,
    /// For the driver.
    pub options: Option<BTreeMap<String, String>>,
}

/// One resource limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    /// Such as `nofile`.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// -1 is no limit.
    #[serde(deserialize_with = "nullable")]
    pub hard: i64,
    /// -1 is no limit.
    #[serde(deserialize_with = "nullable")]
    pub soft: i64,
}

/// A device's weight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightDevice {
    /// Its node.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// 10 to 1000.
    #[serde(deserialize_with = "nullable")]
    pub weight: u16,
}

/// A device's limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ThrottleDevice {
    /// Its node.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// A second.
    #[serde(deserialize_with = "nullable")]
    pub rate: u64,
}

/// A mount in the long form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountRequest {
    /// `bind`, `volume`, `tmpfs`, `image`, `npipe`, `cluster`.
    #[serde(rename = "Type", deserialize_with = "nullable")]
    pub kind: String,
    /// A path, a volume's name, or nothing.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub source: String,
    /// Inside.
    #[serde(deserialize_with = "nullable")]
    pub target: String,
    /// Whether it is read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub read_only: bool,
    /// For other platforms.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub consistency: String,
    /// For binds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// For volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// For tmpfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
    /// For images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
}

/// Of an image that is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageOptions {
    /// A folder inside it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subpath: String,
}

/// Of a bind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    /// `rprivate`, `shared`, …
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub propagation: String,
    /// Whether mounts below the source stay away.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub non_recursive: bool,
    /// Whether a missing source is made.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub create_mountpoint: bool,
    /// Whether only the top is read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub read_only_non_recursive: bool,
    /// Whether everything below must be read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub read_only_force_recursive: bool,
}

/// Of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    /// Whether the image's files stay out of a new volume.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub no_copy: bool,
    /// Of a volume made on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// A folder inside it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subpath: String,
    /// Who makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<VolumeDriverConfig>,
}

/// Who makes a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeDriverConfig {
    /// `local` or empty.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub name: String,
    /// For the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

/// Of a tmpfs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    /// Zero is the kernel's choice.
    #[serde(skip_serializing_if = "super::summary::is_zero", deserialize_with = "nullable")]
    pub size_bytes: i64,
    /// Permission bits; zero is 01777.
    #[serde(skip_serializing_if = "super::summary::is_zero_mode", deserialize_with = "nullable")]
    pub mode: u32,
    /// Flags and `key value` pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<Vec<String>>>,
}
