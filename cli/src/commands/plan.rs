//! `wharf plan`: what `apply` would do, from the journals and the clouds both.

use std::time::Duration;

use super::Cx;
use super::fleet::{Files, Targets, changes, count, load, object, troubles};
use crate::error::{Error, Kind, Result, of_several};
use crate::files;
use crate::ui::Board;

/// Shows what `apply` would change; exit code 11 if anything
///
/// Journals and clouds both are looked at: a machine that somebody deleted or turned off by hand is found, too. Nothing
/// is changed anywhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf plan
  wharf plan -f fleet.yaml -f stamp.yaml     the same machines in a private Azure Stack
  wharf plan --out today.plan && wharf apply --plan today.plan --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    targets: Targets,
    /// Keep the plan in a file that `apply --plan` holds to
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
}

/// How long the clouds may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let loaded = load(&args.files, &clouds, cx)?;
    let wharf = cx.wharf_at(&clouds, None);
    let call = cx.call("plan", PATIENCE, &Board::new(&cx.ui));
    let found = wharf.compare(loaded.name.as_str(), &loaded.requests, &call).await?;
    let trouble: Vec<_> = found.trouble.into_iter().map(|(name, error)| (name, Error::from(error))).collect();
    let planned = args.targets.choose(found.changes)?;
    let plan = object(&loaded.name, &planned, &trouble);
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|e| Error::failed("the plan cannot be written down").caused_by(&e))?;
        files::replace(&cx.world.absolute(out), text.as_bytes())?;
    }
    if cx.ui.is_json() {
        cx.ui.json(&plan)?;
    } else {
        changes(&planned, cx)?;
        cx.ui.note(&format!("fleet {}: {}", loaded.name, count(&planned, trouble.len())));
    }
    let kinds = troubles(&trouble, cx);
    if let Some(kind) = of_several(planned.len() + trouble.len(), &kinds) {
        return Err(Error::told(kind));
    }
    if planned.iter().any(|change| !change.deeds.is_empty()) {
        return Err(Error::told(Kind::Pending));
    }
    Ok(())
}
