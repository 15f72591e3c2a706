//! What the verbs of fleets share: the file that is meant, what its machines come to as requests, and how a comparison
//! is shown.
//!
//! A group of machines is read as the command line of `create` that it stands for, by the same grammar: options are
//! called what the flags are, and mean the same. What is wrong with one is shown where it stands in the file.

mod carry;
mod certificates;
mod hooks;
mod load;
mod report;
mod seen;

use wharf_core::{Change, MachineName};

use super::Cx;
use crate::error::{Error, Result};

pub(super) use carry::{Carry, carry_out, report_unbegun};
pub(super) use hooks::check as check_hooks;
pub(super) use load::{Loaded, load};
pub(super) use report::Report;
pub(super) use seen::Seen;

/// Which file is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// The fleet file; several are laid over each other in this order
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "fleet.yaml")]
    pub(super) files: Vec<String>,
}

/// How a verb that changes machines goes about it.
#[derive(Debug, clap::Args)]
pub(crate) struct Manner {
    #[command(flatten)]
    pub(super) targets: Targets,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Begin with further machines after one has failed
    #[arg(long)]
    pub(super) keep_going: bool,
    /// How many machines are worked on at once
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(super) parallel: usize,
}

impl Manner {
    /// Ends before anything is done where something is wrong with some machines, unless the others are to go on.
    ///
    /// # Errors
    /// What is wrong, which was shown already.
    pub(super) fn halt(&self, trouble: &Result<()>, cx: &Cx) -> Result<()> {
        let (Err(error), false) = (trouble, self.keep_going) else { return Ok(()) };
        cx.ui.note("nothing was done; --keep-going goes on with the others");
        Err(Error::told(error.kind))
    }

    /// Asks, unless that was agreed to beforehand.
    ///
    /// # Errors
    /// When nobody can be asked, or the answer is no.
    pub(super) fn confirm(&self, question: &str, cx: &Cx) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !cx.ui.can_ask() {
            return Err(Error::usage("nobody is there to confirm this").hint("--yes goes on without asking"));
        }
        if cx.ui.confirm(question)? {
            return Ok(());
        }
        Err(Error::failed("nothing was done").hint("answer `y`, or give --yes"))
    }
}

/// Which of its machines are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// These machines alone: a name or a pattern such as web-{1..3}; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
}

impl Targets {
    /// Whether the whole fleet is meant.
    const fn are_all(&self) -> bool {
        self.targets.is_empty()
    }

    /// Leaves the changes that are meant.
    ///
    /// # Errors
    /// When a target is no pattern, or is no machine of the fleet.
    fn choose(&self, changes: Vec<Change>) -> Result<Vec<Change>> {
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
