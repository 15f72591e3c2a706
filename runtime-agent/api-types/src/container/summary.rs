//! `GET /containers/json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MountPoint, nullable};
use crate::network::EndpointSettings;

/// One row of `docker ps`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSummary {
    /// The whole id.
    pub id: String,
    /// Each with a slash before it.
    pub names: Vec<String>,
    /// As the client named it, or an id when that name is now another image's.
    pub image: String,
    /// `sha256:…`.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// Program and arguments in one line.
    pub command: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Published and exposed ports.
    pub ports: Vec<PortSummary>,
    /// When asked for, and not zero.
    #[serde(skip_serializing_if = "nothing")]
    pub size_rw: Option<i64>,
    /// When asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<i64>,
    /// `{}` when there are none.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// One word.
    pub state: String,
    /// A sentence: `Up 2 minutes`.
    pub status: String,
    /// The little that lists show of it.
    pub host_config: SummaryHost,
    /// Endpoints.
    pub network_settings: SummaryNetworks,
    /// What is mounted.
    pub mounts: Vec<MountPoint>,
    /// From API 1.52 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<SummaryHealth>,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortSummary {
    /// On the host.
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// Inside.
    pub private_port: u16,
    /// On the host.
    #[serde(skip_serializing_if = "is_zero_port")]
    pub public_port: u16,
    /// tcp, udp, sctp.
    #[serde(rename = "Type")]
    pub kind: String,
}

/// The host's part in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryHost {
    /// As it was asked for.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub network_mode: String,
    /// Free notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The network's part in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryNetworks {
    /// By network.
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// Health in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryHealth {
    /// none, starting, healthy, unhealthy.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero_port(value: &u16) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero_mode(value: &u32) -> bool {
    *value == 0
}

fn nothing(size: &Option<i64>) -> bool {
    size.unwrap_or(0) == 0
}
