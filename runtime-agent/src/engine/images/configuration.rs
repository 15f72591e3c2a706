//! What an image says about the containers made from it: Docker's and OCI's image configuration.
//!
//! Read leniently, since twelve years of builders wrote it: `null` is the same as absent everywhere. Only read; the
//! bytes that give an image its id are kept as they came.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::registry::manifest::Platform;
use crate::store::Digest;

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    #[serde(default, deserialize_with = "null")]
    pub(crate) architecture: String,
    #[serde(default, deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
    #[serde(default, deserialize_with = "null")]
    pub(crate) os: String,
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) os_version: String,
    #[serde(default, deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    #[serde(default, deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) docker_version: String,
    /// The container that the last step of a build ran in, and how it was configured: what the build cache knows it by.
    #[serde(default, deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) container: String,
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub(crate) container_config: Option<Box<Config>>,
    #[serde(default, deserialize_with = "null")]
    pub(crate) config: Config,
    pub(crate) rootfs: RootFs,
    #[serde(default, deserialize_with = "null", skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<History>,
}

impl Configuration {
    /// What the image runs on.
    pub(crate) fn platform(&self) -> Platform {
        let (architecture, variant) = (self.architecture.clone(), self.variant.clone());
        Platform { os: self.os.clone(), architecture, variant }
    }
}

/// The defaults of a container: what `docker create` merges its own wishes over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    /// Keys such as `80/tcp`.
    #[serde(deserialize_with = "null_keys", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "null", skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(deserialize_with = "null_keys", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub(crate) shell: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_build: Option<Vec<String>>,
    #[serde(deserialize_with = "null", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) args_escaped: bool,
}

/// The value of a set that Go writes as a map to empty structs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Empty {}

/// How to see whether a container is well; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Healthcheck {
    #[serde(deserialize_with = "null", skip_serializing_if = "Vec::is_empty")]
    pub(crate) test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) retries: i64,
}

/// The unpacked layers by the digest of their tars, lowest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, deserialize_with = "null")]
    pub(crate) diff_ids: Vec<Digest>,
}

/// How one layer came about; `empty_layer` for steps that changed no file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) created_by: String,
    #[serde(deserialize_with = "null", skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    #[serde(deserialize_with = "null", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) empty_layer: bool,
}

fn null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Of interest for the cache only: whatever else stands there is no reason to refuse an image.
fn or_none<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Sets whose values some builders write as `null`.
fn null_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Empty>, D::Error> {
    let set: Option<BTreeMap<String, serde::de::IgnoredAny>> = Option::deserialize(deserializer)?;
    Ok(set.unwrap_or_default().into_keys().map(|key| (key, Empty {})).collect())
}

/// A command as a list, or, from very old images, as one string.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    Ok(Option::deserialize(deserializer)?.map(|words| match words {
        Words::List(list) => list,
        Words::One(one) => vec![one],
    }))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_old_and_sloppy_builders_wrote() {
        let configuration: Configuration = serde_json::from_str(
            r#"{"architecture":"amd64","os":"linux","author":null,"history":null,
                "config":{"Hostname":"x","Env":null,"Cmd":["sh"],"Entrypoint":"/run.sh","ExposedPorts":{"80/tcp":null},
                          "Volumes":{"/data":{}},"Labels":null,"Healthcheck":{"Test":["CMD","x"],"Interval":5}},
                "rootfs":{"type":"layers","diff_ids":null}}"#,
        )
        .unwrap();
        assert_eq!(configuration.config.entrypoint, Some(vec!["/run.sh".to_owned()]));
        assert_eq!(configuration.config.cmd, Some(vec!["sh".to_owned()]));
        assert!(configuration.config.exposed_ports.contains_key("80/tcp"));
        assert_eq!(configuration.config.healthcheck.unwrap().interval, 5);
        let bare: Configuration =
            serde_json::from_str(r#"{"rootfs":{"type":"layers"},"config":null}"#).unwrap();
        assert_eq!(bare.config, Config::default());
    }
}
