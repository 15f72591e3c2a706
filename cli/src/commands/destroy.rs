//! `wharf destroy`: removes all of a fleet's machines.

use std::time::Duration;

use super::Cx;
use super::fleet::{Carry, Files, Manner, Seen, carry_out, fleet_name, load};
use super::plan::PATIENCE;
use crate::error::Result;
use crate::ui::Board;

/// Removes all machines of a fleet
///
/// Which they are stands in the journals: one that the file does not declare any more goes, too. Interrupting is safe;
/// another `destroy` goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf destroy --yes
  wharf destroy --fleet shop                 where the file is gone")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    /// The fleet's name, instead of the file that says it
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    fleet: Option<String>,
    #[command(flatten)]
    manner: Manner,
    /// On hosts that existed before: take the agent and its data away, too
    #[arg(long)]
    purge: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let name = match &args.fleet {
        Some(name) => fleet_name(name)?,
        None => load(&args.files, &clouds, cx)?.name,
    };
    let wharf = cx.wharf_at(&clouds, None);
    let board = Board::new(&cx.ui);
    let call = cx.call("destroy", Duration::from_secs(600), &board);
    let lock = wharf.lock_fleet(&name, &call).await?;
    board.end(&name);
    let looking = cx.call("destroy", PATIENCE, &board);
    let mut seen = Seen::look(&wharf, &name, &[], &args.manner.targets, &looking).await?;
    // That the file declares them no more is not why.
    seen.changes.iter_mut().for_each(|change| change.because.clear());
    let trouble = seen.troubles(cx);
    args.manner.halt(&trouble, cx)?;
    seen.show(cx)?;
    if seen.is_pending() {
        args.manner.confirm("This removes the machines, their containers and their data. Go on?", cx)?;
    }
    let how = Carry {
        wharf: &wharf,
        call: &call,
        board: &board,
        cx,
        loaded: None,
        manner: &args.manner,
        purge: args.purge,
        allow_hooks: false,
        report: None,
    };
    lock.while_held(carry_out(&seen, &how)).await?.and(trouble)
}
