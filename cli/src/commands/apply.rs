//! `wharf apply`: makes a fleet's machines what its file says, as many at once as the clouds take.

use std::time::Duration;

use serde_json::Value;
use wharf_core::Deed;

use super::Cx;
use super::fleet::{Carry, Files, Manner, Report, Seen, carry_out, check_hooks, load, report_unbegun};
use super::plan::PATIENCE;
use crate::error::{Error, Kind, Result};
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
    manner: Manner,
    /// Carry out this plan, and nothing if anything has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Make machines again that cannot become what is wanted, with everything on them gone
    #[arg(long)]
    replace: bool,
    /// Run the file's hooks for machines that were imported from another store, too
    #[arg(long)]
    allow_hooks: bool,
    /// Write down what became of each machine: JUnit where FILE ends in .xml, JSON where it ends in .json
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let report = args.report.as_deref().map(|file| Report::parse(file, cx)).transpose()?;
    let clouds = cx.clouds();
    let loaded = load(&args.files, &clouds, cx)?;
    let wharf = cx.wharf_at(&clouds, None);
    let board = Board::new(&cx.ui);
    let call = cx.call("apply", Duration::from_secs(900), &board);
    let lock = wharf.lock_fleet(&loaded.name, &call).await?;
    board.end(&loaded.name);
    let looking = cx.call("apply", PATIENCE, &board);
    let seen = Seen::look(&wharf, &loaded.name, &loaded.requests, &args.manner.targets, &looking).await?;
    let seen = seen.and_certificates(&loaded.certificates, &args.manner.targets, &wharf).await?;
    if let Some(file) = &args.plan {
        hold_to(file, &seen.object(), cx)?;
    }
    let trouble = seen.troubles(cx);
    let refused = args
        .manner
        .halt(&trouble, cx)
        .and_then(|()| refuse_replacing(&seen, args.replace))
        .and_then(|()| check_hooks(&seen, &loaded, args.allow_hooks, &cx.world));
    if let (Err(_), Some(report)) = (&refused, &report) {
        report_unbegun(&seen, report)?;
    }
    refused?;
    seen.show(cx)?;
    if seen.is_pending() {
        args.manner.confirm(&question(&seen), cx)?;
    }
    let how = Carry {
        wharf: &wharf,
        call: &call,
        board: &board,
        cx,
        loaded: Some(&loaded),
        manner: &args.manner,
        purge: false,
        allow_hooks: args.allow_hooks,
        report: report.as_ref(),
    };
    lock.while_held(carry_out(&seen, &how)).await?.and(trouble)
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

fn refuse_replacing(seen: &Seen, wanted: bool) -> Result<()> {
    let names: Vec<&str> = seen.with(Deed::Replace).map(|change| change.name.as_str()).collect();
    if names.is_empty() || wanted {
        return Ok(());
    }
    let message = format!("{} can become what is wanted only by being made again", names.join(", "));
    let error = Error::new(Kind::Refused, message)
        .hint("--replace does that, and everything on them is gone; --target leaves them out");
    Err(seen
        .with(Deed::Replace)
        .fold(error, |error, change| error.fact(change.name.to_string(), change.because.join("; "))))
}

/// Names what would be gone.
fn question(seen: &Seen) -> String {
    let gone: Vec<String> =
        [Deed::Remove, Deed::Replace].into_iter().filter_map(|deed| seen.named(deed)).collect();
    match gone.as_slice() {
        [] => "Go on?".to_owned(),
        gone => format!("This will {}, with everything on them. Go on?", gone.join(" and ")),
    }
}
