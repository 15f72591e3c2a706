//! What an action leaves, as the journal holds it.

use serde::{Deserialize, Serialize};

/// One thing in EC2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// A security group.
    Group {
        /// `sg-…`.
        id: String,
        /// Its name.
        name: String,
        /// Whether the machines of the store share it; otherwise it is this machine's.
        shared: bool,
    },
    /// An instance, with its volumes and interfaces, which go with it.
    Instance {
        /// `i-…`.
        id: String,
        /// Its name.
        name: String,
        /// When it was made, in seconds since 1970: what is this new, answers may not know yet.
        launched: u64,
        /// Who signs in; `None` is who signs in to every machine of ours.
        user: Option<String>,
        /// The SSH port.
        ssh_port: u16,
        /// The engine's port.
        engine_port: u16,
    },
    /// An elastic address.
    Address {
        /// `eipalloc-…`.
        id: String,
        /// Its name.
        name: String,
    },
}

impl Resource {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Group { name, .. } | Self::Instance { name, .. } | Self::Address { name, .. } => name,
        }
    }

    /// The instance's id among what was made.
    pub(crate) fn instance(made: &[Self]) -> Option<&str> {
        made.iter().find_map(|one| match one {
            Self::Instance { id, .. } => Some(id.as_str()),
            _ => None,
        })
    }
}
