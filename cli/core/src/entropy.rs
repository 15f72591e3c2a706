//! Randomness as a value.

use std::fmt::Debug;

use crate::{Error, Kind, Result};

/// Where random bytes come from.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes)
            .map_err(|e| Error::new(Kind::Failed, format!("the system gives no random bytes: {e}")))
    }
}
