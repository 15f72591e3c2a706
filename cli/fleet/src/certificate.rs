//! Client certificates that colleagues and jobs are to have: `certificates`, by whose they are.
//!
//! ```yaml
//! certificates:
//!   ann: { role: operator, valid: 30d, folder: certs/ann }
//!   nightly: { role: reader, valid: 7d, folder: certs/nightly, machine: web-1 }
//! ```

use crate::place::Placed;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub who: Placed<String>,
    /// What it may do.
    pub role: Placed<String>,
    /// How long one is good, such as `30d`.
    pub valid: Option<Placed<String>>,
    /// Where its files are, beside the fleet file.
    pub folder: Placed<String>,
    /// The one machine that it opens.
    pub machine: Option<Placed<String>>,
}

/// The keys of a certificate.
pub(crate) const CERTIFICATE: [&str; 4] = ["role", "valid", "folder", "machine"];
