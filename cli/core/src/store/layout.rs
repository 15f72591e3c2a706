//! Where things are in the folder.
//!
//! ```text
//! store.json                      the store's id and the layout's version
//! authority/{ca.pem,…}            the certificate authority and the person's own certificate
//!           issued.json           what was issued to others
//! machines/<name>/journal.jsonl   the truth
//!                 machine.json    a checkpoint for people and scripts, rebuilt when it is missing
//!                 lock            who holds the machine
//!                 keys/           SSH keys
//!                 driver/         what the driver keeps
//! shared/<driver>-<name>/lock     who makes or removes what machines share; it stays when that is gone
//! fleets/<name>/lock             who applies or destroys a fleet
//! removed/                        machines on their way out
//! ```

use std::path::{Path, PathBuf};

use wharf_driver::MachineName;

use crate::store::Subject;

/// The paths under a root.
#[derive(Debug, Clone)]
pub(super) struct Layout(PathBuf);

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn identity(&self) -> PathBuf {
        self.0.join("store.json")
    }

    pub(super) fn machines(&self) -> PathBuf {
        self.0.join("machines")
    }

    pub(super) fn removed(&self) -> PathBuf {
        self.0.join("removed")
    }

    pub(super) fn folder(&self, subject: &Subject) -> PathBuf {
        match subject {
            Subject::Machine(name) => self.machines().join(name.as_str()),
            Subject::Authority => self.0.join("authority"),
            Subject::Shared(name) => self.0.join("shared").join(name),
            Subject::Fleet(name) => self.0.join("fleets").join(name),
        }
    }

    pub(super) fn journal(&self, name: &MachineName) -> PathBuf {
        self.machines().join(name.as_str()).join("journal.jsonl")
    }

    pub(super) fn lock(&self, subject: &Subject) -> PathBuf {
        self.folder(subject).join("lock")
    }
}
