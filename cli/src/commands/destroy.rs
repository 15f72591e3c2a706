//! `wharf destroy`: removes all of a fleet's machines.

use std::time::Duration;

use super::Cx;
use super::fleet::{Carry, Files, Targets, carry_out, changes, count, fleet_name, load, object, troubles};
use super::plan::PATIENCE;
use crate::error::{Error, Kind, Result, of_several};
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
    targets: Targets,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Begin with further machines after one has failed
    #[arg(long)]
    keep_going: bool,
    /// How many machines are worked on at once
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    parallel: usize,
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
    let _lock = wharf.lock_fleet(&name, &call).await?;
    board.end(&name);
    let looking = cx.call("destroy", PATIENCE, &board);
    let found = wharf.compare(name.as_str(), &[], &looking).await?;
    let trouble: Vec<_> = found.trouble.into_iter().map(|(name, error)| (name, Error::from(error))).collect();
    let mut planned = args.targets.choose(found.changes)?;
    // That the file declares them no more is not why.
    planned.iter_mut().for_each(|change| change.because.clear());
    let kinds = troubles(&trouble, cx);
    if let Some(kind) = of_several(planned.len() + trouble.len(), &kinds).filter(|_| !args.keep_going) {
        cx.ui.note("nothing was done; --keep-going removes the others");
        return Err(Error::told(kind));
    }
    if !cx.ui.is_json() {
        changes(&planned, cx)?;
        cx.ui.note(&format!("fleet {name}: {}", count(&planned, trouble.len())));
    }
    if !planned.is_empty() && !args.yes {
        confirm(planned.len(), cx)?;
    }
    let how = Carry {
        wharf: &wharf,
        call: &call,
        board: &board,
        cx,
        loaded: None,
        parallel: args.parallel,
        keep_going: args.keep_going,
        purge: args.purge,
    };
    let done = carry_out(&planned, &how).await;
    if cx.ui.is_json() {
        cx.ui.json(&object(&name, &planned, &trouble))?;
    }
    match (done, kinds.first()) {
        (Ok(_), None) => Ok(()),
        (Ok(_), Some(_)) => Err(Error::told(Kind::Partial)),
        (Err(error), _) => Err(error),
    }
}

fn confirm(count: usize, cx: &Cx) -> Result<()> {
    if !cx.ui.can_ask() {
        return Err(Error::usage("nobody is there to confirm this").hint("--yes removes without asking"));
    }
    let machines = if count == 1 { "the machine" } else { "the machines" };
    if cx.ui.confirm(&format!("This removes {machines}, the containers and their data. Go on?"))? {
        Ok(())
    } else {
        Err(Error::failed("nothing was removed").hint("answer `y`, or give --yes"))
    }
}
