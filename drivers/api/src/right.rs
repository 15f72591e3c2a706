//! What an account must be allowed for a driver to do what it can: a line of a minimal policy or role.

/// One action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// As the cloud's policies and roles name it.
    pub action: &'static str,
    /// What it is asked for.
    pub what_for: &'static str,
    /// Whether every machine needs it; the others go with an option, or are asked for by the cloud itself.
    pub always: bool,
}

impl Right {
    /// One that every machine needs.
    #[must_use]
    pub const fn always(action: &'static str, what_for: &'static str) -> Self {
        Self { action, what_for, always: true }
    }

    /// One that goes with what `what_for` names.
    #[must_use]
    pub const fn sometimes(action: &'static str, what_for: &'static str) -> Self {
        Self { action, what_for, always: false }
    }
}
