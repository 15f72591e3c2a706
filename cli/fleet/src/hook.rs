//! What is run once a machine has joined the fleet: `join`, by name.
//!
//! ```yaml
//! env: [REGISTER_TOKEN]
//! machines:
//!   web-{1..2}:
//!     join:
//!       register:
//!         on: here                 # or: machine
//!         run: ./register.sh       # a line for a shell; nothing is put into it
//!         env: [REGISTER_TOKEN]    # of the file's own list
//!         timeout: 5m
//! ```

use crate::place::Placed;

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What it is called.
    pub name: Placed<String>,
    /// A line for a shell.
    pub run: Placed<String>,
    /// Where it runs.
    pub on: On,
    /// The variables that it gets, by name.
    pub env: Vec<Placed<String>>,
    /// How long it may take.
    pub timeout: Option<Placed<String>>,
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// On the computer that applies the fleet.
    Here,
    /// On the machine.
    Machine,
}

/// The keys of a hook.
pub(crate) const HOOK: [&str; 4] = ["on", "run", "env", "timeout"];

/// Whether a hook may be called that: it stands in journals and in messages.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=63).contains(&name.len()) && name.chars().all(fits)
}
