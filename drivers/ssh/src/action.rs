//! What the driver does that leaves something behind: nothing but a note of the host.

use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Takes over the host that stands in the configuration.
    Adopt {
        /// Its address or name.
        address: String,
        /// The port where its engine will be.
        engine_port: u16,
    },
}
