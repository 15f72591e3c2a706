//! Locks that are held, looked at and freed from outside.

use wharf_driver::MachineName;

use crate::store::Subject;
use crate::{Result, Wharf};

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What is locked, in words.
    pub what: String,
    /// Who holds it, in words.
    pub by: String,
}

impl Wharf {
    /// The locks of the machine and of the fleet of this name that are held.
    ///
    /// # Errors
    /// When the store itself cannot be read.
    pub async fn held(&self, name: &MachineName) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        for subject in subjects(name) {
            if let Some(by) = self.store.holder(&subject).await? {
                held.push(Held { what: subject.describe(), by });
            }
        }
        Ok(held)
    }

    /// Frees the locks of the machine and of the fleet of this name. Whoever held one is refused its next write.
    ///
    /// # Errors
    /// Locked, where a lock ends with its holder and with nothing else.
    pub async fn unlock(&self, name: &MachineName) -> Result<()> {
        for subject in subjects(name) {
            self.store.unlock(&subject).await?;
        }
        Ok(())
    }
}

fn subjects(name: &MachineName) -> [Subject; 2] {
    [Subject::Machine(name.clone()), Subject::Fleet(name.to_string())]
}
