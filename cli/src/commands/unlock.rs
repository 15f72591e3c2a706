//! `wharf unlock`: frees the lock of a machine or a fleet whose holder is gone.

use super::{Cx, machine_name};
use crate::error::{Error, Result};

/// Frees the lock of a machine or fleet in a shared store, whose holder is gone
///
/// A lock runs out by itself soon after its holder was last heard of. A holder that still runs is refused its next write,
/// and stops.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine or fleet
    #[arg(value_name = "NAME")]
    name: String,
    /// Ask nothing
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let name = machine_name(&args.name)?;
    let wharf = cx.wharf();
    let held = wharf.held(&name).await?;
    if held.is_empty() {
        cx.ui.note(&format!("Nobody holds {name}."));
        return Ok(());
    }
    for lock in &held {
        cx.ui.note(&format!("{} is held by {}.", lock.what, lock.by));
    }
    if !args.yes {
        confirm(&args.name, cx)?;
    }
    wharf.unlock(&name).await?;
    cx.ui.note(&format!("{name} is free."));
    Ok(())
}

fn confirm(name: &str, cx: &Cx) -> Result<()> {
    if !cx.ui.can_ask() {
        return Err(Error::usage(format!("nobody is there to confirm that {name} may be unlocked"))
            .hint("--yes unlocks without asking"));
    }
    if cx.ui.confirm("A command that still runs is stopped by this. Go on?")? {
        Ok(())
    } else {
        Err(Error::failed("nothing was unlocked").hint("answer `y`, or give --yes"))
    }
}
