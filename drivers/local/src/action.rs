//! The two things that the driver does, each of which leaves something behind. Fully resolved: performing one reads
//! no configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Accelerator;
use crate::share::Share;

/// One step of making a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Action {
    /// Makes the machine's disk.
    Disk(Disk),
    /// Makes the machine itself and boots it.
    Vm(Box<Vm>),
}

/// A disk to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The machine's folder of this driver.
    pub folder: PathBuf,
    /// Deterministic name of the resource.
    pub name: String,
    /// Its size, in GiB.
    pub size_gib: u32,
    /// The cloud image that it begins as; `None` is an empty disk.
    pub base: Option<PathBuf>,
}

/// A virtual machine to make and boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// The machine's folder of this driver.
    pub folder: PathBuf,
    /// Deterministic name of the resource.
    pub name: String,
    /// The QEMU to run.
    pub qemu: PathBuf,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// Processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// What it boots.
    pub boot: Boot,
    /// The port that the engine listens on inside.
    pub engine_port: u16,
    /// Whether it reaches no network.
    pub offline: bool,
    /// Folders of this computer that it sees, outer ones first; `None` for a machine of a release without such, whose
    /// guest is told nothing of them.
    #[serde(default)]
    pub shares: Option<Vec<Share>>,
    /// What offers them by virtiofs, too; `None` is by 9p alone.
    #[serde(default)]
    pub virtiofsd: Option<PathBuf>,
}

/// What a machine boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Boot {
    /// Our own guest: the folder of its image, and what it was made of.
    Guest {
        /// Holds `kernel`, `initramfs` and `image.json`.
        image: PathBuf,
        /// The hash of the image's inputs.
        inputs: String,
    },
    /// The machine's disk, which began as a cloud image; cloud-init reads a seed.
    Disk,
}
