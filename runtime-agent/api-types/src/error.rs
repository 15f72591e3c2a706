//! The body of every refusal.

use serde::{Deserialize, Serialize};

/// `{"message": "…"}`, with every status from 400 up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// What the client shows.
    pub message: String,
}
