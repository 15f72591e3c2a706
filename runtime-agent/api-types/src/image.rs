//! Images on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::{ContainerConfig, HealthConfig};

/// The value of a set that Go writes as a map: always `{}`.
pub type Empty = BTreeMap<String, serde_json::Value>;

/// One row of `GET /images/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageSummary {
    /// How many containers use it; -1 when not counted.
    pub containers: i64,
    /// Seconds since 1970.
    pub created: i64,
    /// `sha256:…` of the configuration.
    pub id: String,
    /// Null without labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Empty: nothing is built in layers of images.
    pub parent_id: String,
    /// `busybox@sha256:…`.
    pub repo_digests: Vec<String>,
    /// `busybox:latest`.
    pub repo_tags: Vec<String>,
    /// Bytes shared with other images; -1 when not computed.
    pub shared_size: i64,
    /// Bytes of all layers.
    pub size: i64,
    /// The same, below 1.44.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<i64>,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageInspect {
    /// `sha256:…` of the configuration.
    pub id: String,
    /// `busybox:latest`.
    pub repo_tags: Vec<String>,
    /// `busybox@sha256:…`.
    pub repo_digests: Vec<String>,
    /// Below 1.52.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What its author said about it.
    pub comment: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Below 1.45: the container that a classic build committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Below 1.45: that container's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<Box<ContainerConfig>>,
    /// Below 1.52.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// Who made it.
    pub author: String,
    /// The defaults of its containers.
    pub config: InspectedConfig,
    /// In Go's words.
    pub architecture: String,
    /// Such as `v8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// In Go's words.
    pub os: String,
    /// For Windows only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Bytes of all layers.
    pub size: i64,
    /// The same, below 1.44.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<i64>,
    /// Where the layers are.
    pub graph_driver: DriverData,
    /// Which layers there are.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    /// What only this engine knows about it.
    pub metadata: ImageMetadata,
}

/// The configuration in the shape of the requested version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum InspectedConfig {
    /// Below 1.50: a container's, zero values included.
    Container(Box<ContainerConfig>),
    /// An image's, without what is empty.
    Image(Box<ImageConfig>),
}

/// The defaults of an image's containers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `user[:group]`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// `NAME=value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The command's first words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, or the whole command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Places for anonymous volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Where the process starts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels that containers inherit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// A build's triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// How health is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// What asks the process to end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// What runs commands given as one string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// Where a filesystem's parts are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DriverData {
    /// Folders by their role.
    pub data: BTreeMap<String, String>,
    /// Always `overlay2`.
    pub name: String,
}

/// Which layers an image has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Digests of their tars, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// What only this engine knows about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageMetadata {
    /// RFC 3339; year one when it never got a tag here.
    pub last_tag_time: String,
}

/// One step of `GET /images/{name}/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoryItem {
    /// Empty mostly.
    pub comment: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The command that made it.
    pub created_by: String,
    /// The image's id on the newest step, else `<missing>`.
    pub id: String,
    /// Bytes of its layer.
    pub size: i64,
    /// Names, on the newest step; null on the others.
    pub tags: Option<Vec<String>>,
}

/// One thing that `DELETE /images/{name}` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageDeleteItem {
    /// A reference is gone.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(String),
}

/// `POST /images/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImagesPruned {
    /// Null when there was nothing to prune.
    pub images_deleted: Option<Vec<ImageDeleteItem>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// One line of a pull, load, import or push.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressLine {
    /// Text that is printed as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How far it is; an empty object where lines replace each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// The bar, drawn for clients that can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The layer or tag that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// An answer for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// How far something is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    /// Done.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// In all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
}

/// `POST /auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthAnswer {
    /// Always `Login Succeeded`.
    pub status: String,
    /// A token to use instead of the password; empty here.
    pub identity_token: String,
}

/// `GET /distribution/{name}/json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DistributionInspect {
    /// What the reference names in its registry.
    pub descriptor: WireDescriptor,
    /// What it runs on.
    pub platforms: Vec<WirePlatform>,
}

/// A pointer to content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireDescriptor {
    /// The format.
    pub media_type: String,
    /// The name.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WirePlatform {
    /// In Go's words.
    pub architecture: String,
    /// In Go's words.
    pub os: String,
    /// Such as `v8`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_dockerds() {
        let line = ProgressLine {
            status: Some("Downloading".into()),
            progress_detail: Some(ProgressDetail { current: 1, total: 2 }),
            progress: Some("[=>  ]".into()),
            id: Some("abc".into()),
            ..ProgressLine::default()
        };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[=>  ]","id":"abc"}"#
        );
        let waiting = ProgressLine {
            status: Some("Waiting".into()),
            progress_detail: Some(ProgressDetail::default()),
            id: Some("abc".into()),
            ..ProgressLine::default()
        };
        assert_eq!(
            serde_json::to_string(&waiting).unwrap(),
            r#"{"status":"Waiting","progressDetail":{},"id":"abc"}"#
        );
    }

    #[test]
    fn deletions_have_one_field_each() {
        let items = [ImageDeleteItem::Untagged("a:1".into()), ImageDeleteItem::Deleted("sha256:x".into())];
        assert_eq!(serde_json::to_string(&items).unwrap(), r#"[{"Untagged":"a:1"},{"Deleted":"sha256:x"}]"#);
        assert_eq!(
            serde_json::to_string(&ImagesPruned::default()).unwrap(),
            r#"{"ImagesDeleted":null,"SpaceReclaimed":0}"#
        );
    }
}
