//! The small answers: wait, top, update, prune.

use serde::{Deserialize, Serialize};

use super::{RestartPolicy, nullable};

/// `POST /containers/{id}/wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WaitResponse {
    /// The exit code.
    pub status_code: i64,
    /// Why waiting failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WaitError>,
}

/// Why waiting failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WaitError {
    /// For people.
    pub message: String,
}

/// `GET /containers/{id}/top`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TopResponse {
    /// One row a process, one field a title.
    pub processes: Vec<Vec<String>>,
    /// The columns.
    pub titles: Vec<String>,
}

/// One of `GET /containers/{id}/changes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilesystemChange {
    /// From the root.
    pub path: String,
    /// 0 modified, 1 added, 2 removed.
    pub kind: u8,
}

/// `POST /containers/{id}/update`: only what is given changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateRequest {
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub memory: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub memory_swap: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub memory_reservation: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub cpu_shares: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub cpu_period: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub cpu_quota: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub nano_cpus: i64,
    /// Zero leaves it.
    #[serde(deserialize_with = "nullable")]
    pub blkio_weight: u16,
    /// Empty leaves it.
    #[serde(deserialize_with = "nullable")]
    pub cpuset_cpus: String,
    /// Empty leaves it.
    #[serde(deserialize_with = "nullable")]
    pub cpuset_mems: String,
    /// `null` leaves it.
    pub pids_limit: Option<i64>,
    /// An empty name leaves it.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy: RestartPolicy,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateResponse {
    /// `null` when there are none, as with dockerd.
    pub warnings: Option<Vec<String>>,
}

/// `POST /containers/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PruneResponse {
    /// Ids; `null` when there were none, as with dockerd.
    pub containers_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}
