//! What the verbs of fleets share: the file that is meant, what its machines come to as requests, and how a comparison
//! is shown.
//!
//! A group of machines is read as the command line of `create` that it stands for, by the same grammar: options are
//! called what the flags are, and mean the same. What is wrong with one is shown where it stands in the file.

mod carry;
mod load;
mod show;

use wharf_core::{Change, MachineName};

use crate::error::{Error, Result};

pub(super) use carry::{Carry, carry_out, named, replaced};
pub(super) use load::{Loaded, load};
pub(super) use show::{changes, count, object, troubles};

/// Which file is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// The fleet file; several are laid over each other in this order
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "fleet.yaml")]
    pub(super) files: Vec<String>,
}

/// Which of its machines are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// These machines alone: a name or a pattern such as web-{1..3}; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
}

impl Targets {
    /// Leaves the changes that are meant.
    ///
    /// # Errors
    /// When a target is no pattern, or is no machine of the fleet.
    pub(super) fn choose(&self, changes: Vec<Change>) -> Result<Vec<Change>> {
        if self.targets.is_empty() {
            return Ok(changes);
        }
        let mut names: Vec<String> = Vec::new();
        for target in &self.targets {
            let expanded = wharf_fleet::expand(target);
            names.extend(expanded.map_err(|because| Error::usage(format!("--target {target} {because}")))?);
        }
        let known = |name: &String| changes.iter().any(|change| change.name.as_str() == name);
        if let Some(stray) = names.iter().find(|name| !known(name)) {
            let near = wharf_fleet::nearest(stray, changes.iter().map(|change| change.name.as_str()));
            let hint = near.map_or_else(
                || "`wharf plan` lists the fleet's machines".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::usage(format!("the fleet has no machine `{stray}`")).hint(hint));
        }
        Ok(changes
            .into_iter()
            .filter(|change| names.iter().any(|name| name == change.name.as_str()))
            .collect())
    }
}

/// The fleet's name as its lock and its machines' journals have it.
pub(super) fn fleet_name(name: &str) -> Result<MachineName> {
    name.parse().map_err(|e: wharf_driver::NameError| Error::usage(format!("as a fleet's name, {e}")))
}
