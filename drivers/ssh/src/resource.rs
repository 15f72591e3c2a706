//! What the driver's actions leave.

use serde::{Deserialize, Serialize};

/// One thing that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A host that is there whatever wharf does.
    Host {
        /// Its address or name.
        address: String,
        /// The port where its engine is.
        engine_port: u16,
    },
}
