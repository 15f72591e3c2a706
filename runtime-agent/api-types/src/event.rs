//! One line of `GET /events`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that happened, with the old fields that some clients still read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// The action, for containers and images only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The actor's id, for containers and images only, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The image, for containers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// container, image, network, volume or daemon.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened to it.
    #[serde(rename = "Action")]
    pub action: String,
    /// To what.
    #[serde(rename = "Actor")]
    pub actor: EventActor,
    /// `local`, always.
    #[serde(default)]
    pub scope: String,
    /// Seconds since 1970.
    pub time: i64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What it happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventActor {
    /// Id, or a volume's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name, image, labels and details.
    #[serde(rename = "Attributes", default)]
    pub attributes: BTreeMap<String, String>,
}
