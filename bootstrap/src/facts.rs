//! What the probe found out about a host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One host, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -s`.
    pub system: String,
    /// `uname -m`.
    pub architecture: String,
    /// `uname -r`.
    pub kernel: String,
    /// The distribution's `ID` and `VERSION_ID`, and its name for people.
    pub os_id: String,
    /// See `os_id`.
    pub os_version: String,
    /// See `os_id`.
    pub os_name: String,
    /// What the host calls itself.
    pub host_name: String,
    /// Who signed in.
    pub user: String,
    /// How that user becomes root.
    pub access: Access,
    /// Why not, when it cannot.
    #[serde(default)]
    pub refusal: String,
    /// Who starts services.
    pub init: Init,
    /// Which control groups there are.
    pub cgroup: Cgroup,
    /// Whether the kernel has overlayfs, or can load it.
    pub overlay: bool,
    /// Whether the kernel has nf_tables, or can load it.
    pub nf_tables: bool,
    /// Whether SELinux is enforcing.
    pub selinux: bool,
    /// Whether the host can unpack gzip.
    pub gzip: bool,
    /// Whether cloud-init is still at work.
    pub cloud_init_running: bool,
    /// Seconds since 1970, by the host's clock.
    pub clock: i64,
    /// Folders that the agent may go to, the preferred first.
    pub folders: Vec<Folder>,
    /// The folder of what the engine keeps, or where it would be.
    pub data: Folder,
    /// The engine's port is in use.
    pub port_taken: bool,
    /// By whom, where that can be told.
    #[serde(default)]
    pub port_owner: String,
    /// Container engines that are there: their executables.
    pub engines: Vec<String>,
    /// What is there of ours.
    pub agent: AgentFacts,
}

/// How a user becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It is root.
    Root,
    /// By sudo, without being asked for a password.
    Sudo,
    /// By doas, without being asked for a password.
    Doas,
    /// Not at all.
    None,
}

/// Who starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// systemd.
    Systemd,
    /// OpenRC.
    Openrc,
    /// A folder of programs that are run at boot, as in the local driver's guest.
    Folder,
    /// Nobody we know: the agent's own watchdog, until the next reboot.
    None,
}

/// Which control groups are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cgroup {
    /// Version 1.
    V1,
    /// Both.
    Hybrid,
    /// Version 2.
    V2,
    /// None.
    None,
}

/// A folder something could be put in. It need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Where.
    pub path: String,
    /// Kilobytes that are free there.
    pub free: u64,
    /// It can't be written to.
    pub read_only: bool,
    /// Nothing in it can be executed.
    pub no_exec: bool,
}

/// What is there of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// The executable, when there is one.
    pub path: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whether it runs.
    pub running: bool,
    /// The service definition, as it is there.
    pub service: String,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// The authority's certificate.
    pub authority: String,
    /// The server's certificate.
    pub server: String,
    /// The list of clients' certificates that were taken back. It grows, so it is not kept among the facts.
    #[serde(default, skip_serializing)]
    pub revoked: String,
    /// The registries whose authority we brought, and the SHA-256 of its file. Not kept among the facts: they change.
    #[serde(default, skip_serializing)]
    pub registries: BTreeMap<String, String>,
    /// Whether the server's key is there.
    pub key: bool,
}

impl Facts {
    /// How far the host's clock is ahead of ours, in seconds.
    pub fn clock_skew(&self, now: time::OffsetDateTime) -> i64 {
        self.clock - now.unix_timestamp()
    }
}
