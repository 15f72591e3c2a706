//! What is kept about a container on disk: how it was asked for, and the last state it was in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wharfd_api_types::container::{ContainerConfig, HostConfig, PortBindings};
use wharfd_api_types::network::EndpointSettings;

use super::health::Health;
use super::links::Link;
use super::moment::Moment;
use super::mounts::Mount;
use crate::engine::error::{Error, Result};
use crate::store::{Digest, record};

/// One container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) id: String,
    /// Without the slash.
    pub(crate) name: String,
    pub(crate) created: Moment,
    pub(crate) image: Digest,
    /// Merged with the image's defaults.
    pub(crate) config: ContainerConfig,
    pub(crate) host: HostConfig,
    /// The wanted ends of networks by name, the first one being the default route.
    pub(crate) endpoints: Vec<(String, EndpointSettings)>,
    pub(crate) mounts: Vec<Mount>,
    /// To others on the default bridge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    pub(crate) state: State,
}

/// What it was doing last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) pid: i32,
    pub(crate) exit_code: i32,
    /// Why the last start failed.
    pub(crate) error: String,
    pub(crate) oom_killed: bool,
    pub(crate) started: Option<Moment>,
    pub(crate) finished: Option<Moment>,
    /// By the restart policy, since the last start by hand.
    pub(crate) restarts: u64,
    /// Whether somebody stopped it: `unless-stopped` leaves it alone then.
    pub(crate) stopped_by_hand: bool,
    /// The host's boot in which it was started.
    pub(crate) boot: String,
    /// What the health checks found, if there are any.
    pub(crate) health: Option<Health>,
    /// Its ends of networks while it runs.
    pub(crate) connected: BTreeMap<String, EndpointSettings>,
    /// Its published ports while it runs.
    pub(crate) ports: PortBindings,
}

/// Docker's words for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether its process runs, or will again.
    pub(crate) const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Whether there is a process now.
    pub(crate) const fn has_process(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl record::Record for ContainerRecord {
    const VERSION: u32 = 1;
}

impl ContainerRecord {
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let found: Option<Self> =
            record::read(&path(folder)).map_err(|e| Error::internal("reading a container's record", e))?;
        Ok(found.map(|mut record| {
            if folder.join(DOOMED).exists() {
                record.state.status = Status::Removing;
            }
            record
        }))
    }

    /// On disk when this returns.
    pub(crate) async fn write(&self, folder: &Path) -> Result<()> {
        let (record, path) = (self.clone(), path(folder));
        tokio::task::spawn_blocking(move || record::write(&path, &record))
            .await
            .map_err(|e| Error::internal("writing a container's record", e))?
            .map_err(|e| Error::internal("writing a container's record", e))
    }

    /// The program and its arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        super::merge::words(&self.config).cloned().collect()
    }

    /// Where its log is, if it has one that can be read. Both drivers write the same lines.
    pub(crate) fn log_path(&self, folder: &Path) -> Option<PathBuf> {
        match self.host.log_config.kind.as_str() {
            "none" => None,
            "local" => Some(folder.join(format!("{}-local.log", self.id))),
            _ => Some(folder.join(format!("{}-json.log", self.id))),
        }
    }

    /// Bytes of one log file and how many files; the local driver has a bound when nobody says one.
    pub(crate) fn log_bounds(&self) -> (Option<u64>, u32) {
        let options = &self.host.log_config.config;
        let size = options.get("max-size").and_then(|size| super::check::size(size));
        let count = options.get("max-file").and_then(|count| count.parse().ok());
        match self.host.log_config.kind.as_str() {
            "local" => (size.or(Some(20 << 20)), count.unwrap_or(5).max(1)),
            _ => (size, count.unwrap_or(1).max(1)),
        }
    }
}

/// In a container's folder: it is being removed, whatever its record says.
const DOOMED: &str = "removing";

/// Notes that a container is being removed. The disk is not waited for: the folders that are renamed next cannot be there
/// without this note after a power loss, and with neither nothing has happened.
pub(crate) fn doom(folder: &Path) -> Result<()> {
    let noted = std::fs::File::create(folder.join(DOOMED));
    noted.map(drop).map_err(|e| Error::internal("noting that a container is being removed", e))
}

/// Takes that back. Where it fails the next start tries the removal again, which is what its owner wanted.
pub(crate) fn reprieve(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(DOOMED));
}

fn path(folder: &Path) -> PathBuf {
    folder.join("container.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by the first version; it must open for ever.
    const FIRST: &str = r#"{"version":1,"id":"ab","name":"web","created":"2026-01-02T03:04:05.000000006Z",
        "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "config":{"Cmd":["sh"],"Image":"busybox"},"host":{"NetworkMode":"bridge"},"endpoints":[["bridge",{}]],
        "mounts":[{"kind":"tmpfs","source":"","destination":"/t","read_only":false}],
        "state":{"status":"running","pid":7,"boot":"b"}}"#;

    #[tokio::test]
    async fn the_first_versions_record_opens_and_survives_a_rewrite() {
        let folder = tempfile::tempdir().unwrap();
        std::io::Write::write_all(&mut std::fs::File::create(path(folder.path())).unwrap(), FIRST.as_bytes())
            .unwrap();
        let record = ContainerRecord::read(folder.path()).unwrap().unwrap();
        assert_eq!(
            (record.state.status, record.state.pid, record.command()),
            (Status::Running, 7, vec!["sh".to_owned()])
        );
        record.write(folder.path()).await.unwrap();
        let again = ContainerRecord::read(folder.path()).unwrap().unwrap();
        assert_eq!((again.created, again.mounts), (record.created, record.mounts));
    }
}
