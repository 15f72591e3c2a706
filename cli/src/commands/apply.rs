//! `wharf apply`: makes a fleet's machines what its file says, as many at once as the clouds take.

use std::time::Duration;

use serde_json::Value;
use wharf_core::{Change, Deed};

use super::Cx;
use super::fleet::{
    Carry, Files, Targets, carry_out, changes, count, load, named, object, replaced, troubles,
};
use super::plan::PATIENCE;
use crate::error::{Error, Kind, Result, of_several};
use crate::ui::Board;

/// Makes a fleet's machines what its file says
///
/// Interrupting is safe at any time: the next `apply` goes on where this one stopped. A machine that can become what is
/// wanted only by being made again is left as it is without --replace.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf apply                                shows the plan, asks, and carries it out
  wharf apply --yes -f fleet.yaml            in a job, where nobody is there to ask
  wharf apply --target 'web-{1..3}' --keep-going")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    targets: Targets,
    /// Carry out this plan, and nothing if anything has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Make machines again that cannot become what is wanted, with everything on them gone
    #[arg(long)]
    replace: bool,
    /// Begin with further machines after one has failed
    #[arg(long)]
    keep_going: bool,
    /// How many machines are worked on at once
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    parallel: usize,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let loaded = load(&args.files, &clouds, cx)?;
    let wharf = cx.wharf_at(&clouds, None);
    let board = Board::new(&cx.ui);
    let call = cx.call("apply", Duration::from_secs(900), &board);
    let _lock = wharf.lock_fleet(&loaded.name, &call).await?;
    board.end(&loaded.name);
    let looking = cx.call("apply", PATIENCE, &board);
    let found = wharf.compare(loaded.name.as_str(), &loaded.requests, &looking).await?;
    let trouble: Vec<_> = found.trouble.into_iter().map(|(name, error)| (name, Error::from(error))).collect();
    let planned = args.targets.choose(found.changes)?;
    if let Some(file) = &args.plan {
        hold_to(file, &object(&loaded.name, &planned, &trouble), cx)?;
    }
    let kinds = troubles(&trouble, cx);
    if let Some(kind) = of_several(planned.len() + trouble.len(), &kinds).filter(|_| !args.keep_going) {
        cx.ui.note("nothing was done; --keep-going does what can be done to the others");
        return Err(Error::told(kind));
    }
    if !args.replace {
        refuse_replacing(&planned)?;
    }
    if !cx.ui.is_json() {
        changes(&planned, cx)?;
        cx.ui.note(&format!("fleet {}: {}", loaded.name, count(&planned, trouble.len())));
    }
    let pending = planned.iter().any(|change| !change.deeds.is_empty());
    if pending && !args.yes {
        confirm(&planned, cx)?;
    }
    let how = Carry {
        wharf: &wharf,
        call: &call,
        board: &board,
        cx,
        loaded: Some(&loaded),
        parallel: args.parallel,
        keep_going: args.keep_going,
        purge: false,
    };
    let done = carry_out(&planned, &how).await;
    if cx.ui.is_json() {
        cx.ui.json(&object(&loaded.name, &planned, &trouble))?;
    }
    match (done, kinds.first()) {
        (Ok(_), None) => Ok(()),
        (Ok(_), Some(_)) => Err(Error::told(Kind::Partial)),
        (Err(error), _) => Err(error),
    }
}

/// Refuses whatever is not exactly this plan any more.
fn hold_to(file: &str, now: &Value, cx: &Cx) -> Result<()> {
    let text = std::fs::read_to_string(cx.world.absolute(file))
        .map_err(|e| Error::usage(format!("the plan `{file}` cannot be read: {e}")))?;
    let then: Value = serde_json::from_str(&text)
        .map_err(|e| Error::usage(format!("`{file}` is no plan of `wharf plan --out`: {e}")))?;
    if then == *now {
        return Ok(());
    }
    let of = |plan: &Value| plan["changes"].as_array().cloned().unwrap_or_default();
    let (then, now) = (of(&then), of(now));
    let strays = now
        .iter()
        .filter(|change| !then.contains(change))
        .chain(then.iter().filter(|change| !now.iter().any(|other| other["name"] == change["name"])));
    let names: Vec<&str> = strays.filter_map(|change| change["name"].as_str()).collect();
    let message = match names.as_slice() {
        [] => "the plan is for another fleet, or what stood in its way then does not now".to_owned(),
        names => format!("the plan is stale: since it was made, this changed: {}", names.join(", ")),
    };
    Err(Error::new(Kind::Refused, message).hint("nothing was done; plan again, and look what is different"))
}

fn refuse_replacing(planned: &[Change]) -> Result<()> {
    let names = replaced(planned);
    if names.is_empty() {
        return Ok(());
    }
    let reasons = planned.iter().filter(|change| change.deeds.contains(&Deed::Replace));
    let mut error = Error::new(
        Kind::Refused,
        format!("{} can become what is wanted only by being made again", names.join(", ")),
    )
    .hint("--replace does that, and everything on them is gone; --target leaves them out");
    for change in reasons {
        error = error.fact(change.name.to_string(), change.because.join("; "));
    }
    Err(error)
}

fn confirm(planned: &[Change], cx: &Cx) -> Result<()> {
    if !cx.ui.can_ask() {
        return Err(Error::usage("nobody is there to confirm this").hint("--yes applies without asking"));
    }
    let gone: Vec<String> = [Deed::Remove, Deed::Replace]
        .into_iter()
        .filter(|deed| planned.iter().any(|change| change.deeds.contains(deed)))
        .map(|deed| named(planned, deed))
        .collect();
    let question = match gone.as_slice() {
        [] => "Go on?".to_owned(),
        gone => format!("This will {}, with everything on them. Go on?", gone.join(" and ")),
    };
    if cx.ui.confirm(&question)? {
        Ok(())
    } else {
        Err(Error::failed("nothing was done").hint("answer `y`, or give --yes"))
    }
}
