//! What goes wrong, when a test wants it to.

use std::sync::{Mutex, PoisonError};

use crate::credential::Standing;

/// Something that goes wrong with calls of one action.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The action, such as `RunInstances`.
    pub api: String,
    /// What happens.
    pub effect: Effect,
    /// How often; it is over then.
    pub times: usize,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The call is refused.
    Refuse {
        /// The status.
        status: u16,
        /// The code.
        code: String,
    },
    /// It is carried out, and the connection is cut before the answer.
    CutAfter,
    /// The connection is cut at once, and it is carried out some time later.
    CutThenDone,
    /// It is carried out, and afterwards this has become of the caller's key.
    KeyBecomes(Standing),
    /// The instance ends before it runs, for this reason.
    EndsEarly(String),
}

/// All that is to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What goes wrong with this call.
    pub(crate) fn take(&self, api: &str) -> Option<Effect> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = faults.iter_mut().find(|fault| fault.api == api && fault.times > 0)?;
        fault.times -= 1;
        Some(fault.effect.clone())
    }
}
