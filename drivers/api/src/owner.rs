//! Whose a resource is: the tag that stands inside every creating call, and the key of one attempt at one action.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{MachineId, MachineName};

/// The identity of a store, made once with it: sixteen hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(pub String);

/// Whose account a connection speaks for: what would make "not found" mean something else. For Azure endpoint, tenant
/// and subscription, for AWS partition, account and region; written as a person reads it, and compared to the letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(pub String);

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a resource says of itself, so that a lost store can find its machines again and never touches another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerTag {
    /// The store.
    pub store: StoreId,
    /// The machine.
    pub machine: MachineId,
    /// Its name when the tag was written.
    pub name: MachineName,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// When it may be collected, in seconds since 1970; `None` means never by itself.
    pub expires: Option<u64>,
}

impl OwnerTag {
    /// For how long it was wanted when it was made; `None` where nobody said.
    #[must_use]
    pub fn life(&self) -> Option<Duration> {
        self.expires.map(|end| Duration::from_secs(end.saturating_sub(self.made)))
    }
}

/// The idempotency key of one attempt at one action: SHA-256 of machine id, action name and attempt, in hex. What
/// machines share has the store's id in the machine's place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionKey(String);

impl ActionKey {
    /// The key for `action` (a step's name) of `machine` at this `attempt`.
    #[must_use]
    pub fn derive(machine: &MachineId, action: &str, attempt: u32) -> Self {
        Self::of(machine.as_str(), action, attempt)
    }

    /// The key for `action` (a step's name) that the machines of `store` share: the same for each of them.
    #[must_use]
    pub fn shared(store: &StoreId, action: &str) -> Self {
        Self::of(&store.0, action, 0)
    }

    fn of(whose: &str, action: &str, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        // Lengths in front, so that no two different triples feed the same bytes.
        for part in [whose, action] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(attempt.to_be_bytes());
        Self(hex::encode(hash.finalize()))
    }

    /// Sixty-four hex digits; clouds that take fewer take a prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
