//! Volumes on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::nullable;

/// A volume, as listed and inspected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    /// RFC 3339, whole seconds.
    pub created_at: String,
    /// `local`.
    pub driver: String,
    /// As the client sent them, `null` included.
    pub labels: Option<BTreeMap<String, String>>,
    /// The folder on the host.
    pub mountpoint: String,
    /// What people call it; 64 hexadecimal digits when it is anonymous.
    pub name: String,
    /// Of the driver: type, o, device.
    pub options: Option<BTreeMap<String, String>>,
    /// `local`.
    pub scope: String,
    /// In `/system/df` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_data: Option<VolumeUsage>,
}

/// How much there is, and who uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeUsage {
    /// Bytes; -1 when nobody knows.
    pub size: i64,
    /// Containers that use it; -1 when nobody knows.
    pub ref_count: i64,
}

/// `GET /volumes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumesListed {
    /// Never `null`: clients iterate over it.
    #[serde(deserialize_with = "nullable")]
    pub volumes: Vec<Volume>,
    /// `null` without any.
    pub warnings: Option<Vec<String>>,
}

/// `POST /volumes/create`; old clients send no body field at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeCreateRequest {
    /// Empty for an anonymous one.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Empty means local.
    #[serde(deserialize_with = "nullable")]
    pub driver: String,
    /// type, o, device.
    pub driver_opts: Option<BTreeMap<String, String>>,
    /// Free notes.
    pub labels: Option<BTreeMap<String, String>>,
}

/// `POST /volumes/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumesPruned {
    /// Names.
    #[serde(deserialize_with = "nullable")]
    pub volumes_deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_looks_as_dockerd_shows_it() {
        let volume = Volume {
            created_at: "2026-01-02T03:04:05Z".into(),
            driver: "local".into(),
            mountpoint: "/var/lib/wharf/volumes/v/_data".into(),
            name: "v".into(),
            scope: "local".into(),
            ..Volume::default()
        };
        let golden = r#"{"CreatedAt":"2026-01-02T03:04:05Z","Driver":"local","Labels":null,"Mountpoint":"/var/lib/wharf/volumes/v/_data","Name":"v","Options":null,"Scope":"local"}"#;
        assert_eq!(serde_json::to_string(&volume).unwrap(), golden);
    }

    #[test]
    fn an_empty_object_asks_for_an_anonymous_volume() {
        assert_eq!(
            serde_json::from_str::<VolumeCreateRequest>("{}").unwrap(),
            VolumeCreateRequest::default()
        );
    }
}
