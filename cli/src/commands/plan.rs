//! `wharf plan`: what `apply` would do, from the journals and the clouds both.

use std::time::Duration;

use super::Cx;
use super::fleet::{Files, Seen, Targets, load};
use crate::error::{Error, Kind, Result};
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
    let seen = Seen::look(&wharf, &loaded.name, &loaded.requests, &args.targets, &call).await?;
    let seen = seen.and_certificates(&loaded.certificates, &args.targets, &wharf).await?;
    let plan = seen.object();
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|e| Error::failed("the plan cannot be written down").caused_by(&e))?;
        files::replace(&cx.world.absolute(out), text.as_bytes())?;
    }
    if cx.ui.is_json() {
        cx.ui.json(&plan)?;
    }
    seen.show(cx)?;
    seen.troubles(cx)?;
    if seen.is_pending() { Err(Error::told(Kind::Pending)) } else { Ok(()) }
}
