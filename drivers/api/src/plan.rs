//! Steps with their dependencies.

use serde::{Deserialize, Serialize};

/// What will be done, in an order that `after` allows; independent steps run at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<A> {
    /// The steps; an index into this is what `Step::after` holds.
    pub steps: Vec<Step<A>>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<A> {
    /// What kind of change it is.
    pub verb: Verb,
    /// The resource's deterministic name, by which it is found again; unique in a plan.
    pub name: String,
    /// The change itself, fully resolved.
    pub action: A,
    /// Indices of the steps whose resources it needs; all smaller than its own.
    pub after: Vec<usize>,
    /// One line for `--dry-run`.
    pub summary: String,
    /// Whether what it leaves belongs to the store instead of to this machine: the first machine that needs it makes
    /// it, the last one that does takes it away. Every plan that names it has the same action for it, and its name is
    /// like no other in this store, whatever account it stands in: letters, digits, `.`, `_` and `-`.
    ///
    /// Its tag names the machine that it was made for first, and never expires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// What a step does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Makes something new.
    Create,
    /// Takes over something that exists, without changing it.
    Adopt,
    /// Changes something of ours in place.
    Update,
    /// Removes something of ours and makes it anew.
    Replace,
    /// Removes something of ours.
    Remove,
}
