//! What the driver leaves behind: a disk and a virtual machine, both in the machine's folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One thing that is there, and that `destroy` takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Resource {
    /// The disk.
    Disk {
        /// The machine's folder of this driver; goes with the disk.
        folder: PathBuf,
        /// Deterministic name.
        name: String,
    },
    /// The virtual machine, running or not.
    Vm {
        /// The machine's folder of this driver.
        folder: PathBuf,
        /// Deterministic name.
        name: String,
        /// Where its SSH server was reached on 127.0.0.1 when it was made; asked for again at every start.
        ssh_port: u16,
        /// Likewise its engine.
        engine_port: u16,
        /// Who signs in over SSH.
        user: String,
    },
}

impl Resource {
    /// The machine's folder of this driver.
    #[must_use]
    pub const fn folder(&self) -> &PathBuf {
        match self {
            Self::Disk { folder, .. } | Self::Vm { folder, .. } => folder,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Disk { name, .. } | Self::Vm { name, .. } => name,
        }
    }
}
