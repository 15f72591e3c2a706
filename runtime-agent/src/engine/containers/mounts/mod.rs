//! What is mounted into a container besides its root filesystem: binds, volumes and tmpfs.
//!
//! `wish` reads the client's many spellings into one list and refuses what contradicts itself; `settle` makes sources
//! and volumes and turns each wish into a [`Mount`], which the record keeps and every start uses.

mod settle;
mod wish;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wharfd_api_types::container::MountPoint;

use crate::store::Digest;

pub(crate) use settle::{Settled, settle};
pub(crate) use wish::{Source, Wish, wishes};

/// One mount, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub(crate) kind: Kind,
    /// Where it comes from on the host; empty for tmpfs.
    pub(crate) source: PathBuf,
    /// Where it is inside; absolute and clean.
    pub(crate) destination: PathBuf,
    /// A volume's name.
    #[serde(default)]
    pub(crate) volume: Option<String>,
    /// Whether the volume has no name of the client's, and goes with the container when asked to.
    #[serde(default)]
    pub(crate) anonymous: bool,
    pub(crate) read_only: bool,
    /// The options as the client wrote them.
    #[serde(default)]
    pub(crate) mode: String,
    /// `rprivate` and its siblings; empty is the default.
    #[serde(default)]
    pub(crate) propagation: String,
    /// Whether what is mounted below a read-only bind's source may be written to.
    #[serde(default)]
    pub(crate) read_only_at_top: bool,
    /// Whether mounts below a bind's source stay away.
    #[serde(default)]
    pub(crate) not_recursive: bool,
    /// The part of the volume that is mounted; empty for all of it.
    #[serde(default)]
    pub(crate) subpath: String,
    /// A tmpfs's options.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// What an image mount shows.
    #[serde(default)]
    pub(crate) image: Option<Mounted>,
}

/// An image under a container's own writable layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    pub(crate) image: Digest,
    /// As the client called it.
    pub(crate) name: String,
    /// The snapshot that holds what the container writes there; empty until the container has a record.
    pub(crate) snapshot: String,
}

/// A part of a volume without what means nothing; it never climbs.
pub(super) fn names(subpath: &str) -> PathBuf {
    Path::new(subpath).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect()
}

/// What a mount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Bind,
    Volume,
    Tmpfs,
    Image,
}

impl Mount {
    /// The whole volume's folder, of whose content `source` may be a part.
    pub(crate) fn volume_root(&self) -> PathBuf {
        let parts = names(&self.subpath).components().count();
        self.source.ancestors().nth(parts).unwrap_or(&self.source).to_owned()
    }

    /// How inspect and lists show it.
    pub(crate) fn describe(&self) -> MountPoint {
        let (kind, driver) = match self.kind {
            Kind::Bind => ("bind", ""),
            Kind::Volume => ("volume", "local"),
            Kind::Tmpfs => ("tmpfs", ""),
            Kind::Image => ("image", ""),
        };
        let propagation = match (self.kind, self.propagation.as_str()) {
            (Kind::Bind, "") => "rprivate",
            (_, other) => other,
        };
        MountPoint {
            kind: kind.to_owned(),
            name: self.volume.clone().unwrap_or_default(),
            source: match &self.image {
                Some(mounted) => mounted.name.clone(),
                None => self.source.display().to_string(),
            },
            destination: self.destination.display().to_string(),
            driver: driver.to_owned(),
            mode: self.mode.clone(),
            rw: !self.read_only,
            propagation: propagation.to_owned(),
        }
    }
}

/// An absolute path without `.`, `..` and doubled slashes, resolved by letters alone.
pub(crate) fn clean(path: &str) -> Option<PathBuf> {
    use std::path::Component;
    let path = Path::new(path);
    let mut clean = PathBuf::from("/");
    for part in path.is_absolute().then(|| path.components())? {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    Some(clean)
}
