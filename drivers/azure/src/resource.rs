//! What the driver's actions leave.

use serde::{Deserialize, Serialize};

use crate::action::{Action, What};
use crate::kind::Kind;

/// One thing that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Whether we made it; what we only joined is never removed.
    pub ours: bool,
    /// Whether the machines of the store share it.
    pub shared: bool,
    /// What a machine is made of beside itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Parts>,
}

/// What reaching and removing a machine needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The id of its system disk.
    pub disk: String,
    /// The id of its interface.
    pub interface: String,
    /// The id of its public address.
    pub address: Option<String>,
    /// Who signs in; `None` is who signs in to every machine.
    pub user: Option<String>,
    /// The engine's port.
    pub engine_port: u16,
}

impl Resource {
    /// What `action` leaves.
    pub(crate) fn of(action: &Action, ours: bool) -> Self {
        let machine = match &action.what {
            What::Machine(machine) => Some(Parts {
                disk: machine.disk_id.clone(),
                interface: machine.interface.clone(),
                address: machine.address.clone(),
                user: machine.user.clone(),
                engine_port: machine.engine_port,
            }),
            _ => None,
        };
        Self { kind: action.kind(), id: action.id.clone(), ours, shared: action.shared, machine }
    }
}
