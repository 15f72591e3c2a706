//! What runs in a container: independent of the host it runs on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{nullable, words};

/// Go's `struct{}`: the value of sets.
type Empty = BTreeMap<String, serde_json::Value>;

/// A container's configuration, and, inside an image, its defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// The host name inside.
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    /// The domain name inside.
    #[serde(deserialize_with = "nullable")]
    pub domainname: String,
    /// `user[:group]`, by name or number.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// Whether the creating client said that it would attach to stdin.
    #[serde(deserialize_with = "nullable")]
    pub attach_stdin: bool,
    /// The same for stdout.
    #[serde(deserialize_with = "nullable")]
    pub attach_stdout: bool,
    /// The same for stderr.
    #[serde(deserialize_with = "nullable")]
    pub attach_stderr: bool,
    /// Ports such as `80/tcp` that the program listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// Whether stdio is a terminal.
    #[serde(deserialize_with = "nullable")]
    pub tty: bool,
    /// Whether stdin is open.
    #[serde(deserialize_with = "nullable")]
    pub open_stdin: bool,
    /// Whether stdin closes when the first client that attached leaves.
    #[serde(deserialize_with = "nullable")]
    pub stdin_once: bool,
    /// `NAME=value`; a bare name unsets.
    pub env: Option<Vec<String>>,
    /// Arguments, or the whole command without an entrypoint.
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    /// How health is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// For Windows only.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub args_escaped: bool,
    /// The image as the client named it.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// Places for anonymous volumes.
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Where the process starts.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    /// The command's first words.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    /// Whether there is no network at all.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub network_disabled: bool,
    /// A wanted hardware address; newer clients put it into the endpoint.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub mac_address: String,
    /// A build's triggers.
    pub on_build: Option<Vec<String>>,
    /// Labels; `{}` when there are none.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub stop_signal: String,
    /// Seconds between that and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of a build's commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// A health check; durations in nanoseconds, zero means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", line]`; empty inherits the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Between checks.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub interval: i64,
    /// Of one check.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub timeout: i64,
    /// How long failures do not count at first.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub start_period: i64,
    /// Between checks meanwhile.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub start_interval: i64,
    /// Failures in a row that mean unhealthy.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
