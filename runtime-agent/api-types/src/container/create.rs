//! `POST /containers/create`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContainerConfig, HostConfig, nullable};
use crate::network::EndpointSettings;

/// The body: the configuration, and beside its fields the host's part and the network's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateRequest {
    /// What runs.
    #[serde(flatten)]
    pub config: ContainerConfig,
    /// How this host runs it.
    #[serde(deserialize_with = "nullable")]
    pub host_config: HostConfig,
    /// What it is connected to.
    #[serde(deserialize_with = "nullable")]
    pub networking_config: NetworkingConfig,
}

/// Endpoints by network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkingConfig {
    /// By the network's name or id; an endpoint may be `null`.
    #[serde(deserialize_with = "nullable")]
    pub endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateResponse {
    /// The whole id.
    pub id: String,
    /// What could not be honoured.
    #[serde(default, deserialize_with = "nullable")]
    pub warnings: Vec<String>,
}
