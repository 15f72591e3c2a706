//! What a machine should be, before a driver says how.

use serde::{Deserialize, Serialize};

use crate::{MachineId, MachineName, OwnerTag, Secret};

/// The wish: everything a driver may know about the machine it is to make, beyond its own `Config`. No secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// What the person calls it.
    pub name: MachineName,
    /// What it is, whatever it is called.
    pub id: MachineId,
    /// Whose it is.
    pub owner: OwnerTag,
    /// The attempt; another zone or size is a new one, made only after the old one is settled.
    pub attempt: u32,
    /// The port that the engine will listen on inside the machine.
    pub engine_port: u16,
}

/// What a machine is born with. Travels in [`crate::Context`] and never into a journal.
#[derive(Debug)]
pub struct Seed {
    /// The host name it takes.
    pub host_name: String,
    /// Who may sign in.
    pub user: String,
    /// The public key that may sign in, one line in OpenSSH's format.
    pub authorized_key: String,
    /// The SSH host key, in OpenSSH's private format: the first connection verifies it.
    pub host_key: Secret<String>,
    /// Its public half, one line in OpenSSH's format.
    pub host_key_public: String,
}
