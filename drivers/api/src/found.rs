//! What an account holds that says whose it is: the answer of [`crate::Driver::find_owned`].

use std::time::SystemTime;

use crate::{OwnerTag, Result};

/// Everything that carries the tag of a store, whichever, and what another program seems to have left beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<R> {
    /// What time it is in the place: ages and ends are judged by its own clock, not by this computer's.
    pub now: SystemTime,
    /// What carries a tag of ours.
    pub owned: Vec<Owned<R>>,
    /// What docker-machine seems to have left. Nothing but names says so: people look at it, nobody removes it.
    pub strange: Vec<Strange>,
}

/// One thing with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<R> {
    /// The thing.
    pub resource: R,
    /// What it is, in words.
    pub kind: &'static str,
    /// The name of the step of a plan that makes it.
    pub step: String,
    /// Its name, for people.
    pub name: String,
    /// Whether the machines of its store share it.
    pub shared: bool,
    /// What needs others goes before them: of one store, lower stages are removed before higher ones.
    pub stage: u8,
    /// Whose it says it is.
    pub tag: OwnerTag,
    /// The tags that the connection's configuration asks for and that it does not carry so.
    pub lacks: Vec<String>,
    /// When it was made: by the place's clock where the place tells, else as its tag says.
    pub since: SystemTime,
}

/// One thing that another program seems to have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strange {
    /// What it is, in words.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What makes it look so.
    pub because: String,
}

impl<R> Found<R> {
    /// Nothing, in a place whose time is `now`.
    #[must_use]
    pub const fn nothing(now: SystemTime) -> Self {
        Self { now, owned: Vec::new(), strange: Vec::new() }
    }

    /// The same of other resources.
    ///
    /// # Errors
    /// The first that `change` refuses.
    pub fn try_map<S>(self, mut change: impl FnMut(R) -> Result<S>) -> Result<Found<S>> {
        let mut one = |owned: Owned<R>| {
            let Owned { resource, kind, step, name, shared, stage, tag, lacks, since } = owned;
            Ok(Owned { resource: change(resource)?, kind, step, name, shared, stage, tag, lacks, since })
        };
        let owned = self.owned.into_iter().map(&mut one).collect::<Result<_>>()?;
        Ok(Found { now: self.now, owned, strange: self.strange })
    }
}
