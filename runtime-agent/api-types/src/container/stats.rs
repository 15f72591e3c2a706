//! `GET /containers/{id}/stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NEVER;

/// One sample, with the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// With a slash before it.
    pub name: String,
    /// The whole id.
    pub id: String,
    /// `linux`, from API 1.52 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// RFC 3339.
    pub read: String,
    /// When the sample before was taken, or year 1.
    pub preread: String,
    /// Processes and threads.
    pub pids_stats: PidsStats,
    /// Block devices.
    pub blkio_stats: BlkioStats,
    /// For Windows only.
    pub num_procs: u32,
    /// For Windows only.
    pub storage_stats: BTreeMap<String, u64>,
    /// Processor time.
    pub cpu_stats: CpuStats,
    /// The same, one sample before.
    pub precpu_stats: CpuStats,
    /// Memory.
    pub memory_stats: MemoryStats,
    /// By interface; absent without a network of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeMap<String, NetworkStats>>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            name: String::new(),
            id: String::new(),
            os_type: None,
            read: NEVER.to_owned(),
            preread: NEVER.to_owned(),
            pids_stats: PidsStats::default(),
            blkio_stats: BlkioStats::default(),
            num_procs: 0,
            storage_stats: BTreeMap::new(),
            cpu_stats: CpuStats::default(),
            precpu_stats: CpuStats::default(),
            memory_stats: MemoryStats::default(),
            networks: None,
        }
    }
}

/// Processes and threads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// At most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Block devices: `null` where the kernel does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    /// Bytes.
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    /// Operations.
    pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub io_queue_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub io_merged_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub io_time_recursive: Option<Vec<BlkioEntry>>,
    /// Not on cgroup v2.
    pub sectors_recursive: Option<Vec<BlkioEntry>>,
}

/// One device and operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    /// Of the device.
    pub major: u64,
    /// Of the device.
    pub minor: u64,
    /// read, write, …
    pub op: String,
    /// How much.
    pub value: u64,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// The container's.
    pub cpu_usage: CpuUsage,
    /// The host's, all processors together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_cpu_usage: Option<u64>,
    /// Processors of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_cpus: Option<u32>,
    /// By the quota.
    pub throttling_data: ThrottlingData,
}

/// The container's processor time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    /// All of it.
    pub total_usage: u64,
    /// By processor, on cgroup v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percpu_usage: Option<Vec<u64>>,
    /// In the kernel.
    pub usage_in_kernelmode: u64,
    /// In programs.
    pub usage_in_usermode: u64,
}

/// What the quota did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    /// Periods in which it ran.
    pub periods: u64,
    /// Of those, the ones in which it was stopped.
    pub throttled_periods: u64,
    /// For how long.
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// Now, page cache included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<u64>,
    /// The most there was, on cgroup v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usage: Option<u64>,
    /// What `memory.stat` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<BTreeMap<String, u64>>,
    /// How often the limit was reached, on cgroup v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failcnt: Option<u64>,
    /// The limit, or the host's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStats {
    /// Received.
    pub rx_bytes: u64,
    /// Received.
    pub rx_packets: u64,
    /// Received.
    pub rx_errors: u64,
    /// Received.
    pub rx_dropped: u64,
    /// Sent.
    pub tx_bytes: u64,
    /// Sent.
    pub tx_packets: u64,
    /// Sent.
    pub tx_errors: u64,
    /// Sent.
    pub tx_dropped: u64,
}
