//! `wharf inspect`.

use super::Cx;
use crate::error::Result;

/// Prints everything known of a machine, as JSON; no secrets
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    cx.ui.json(&wharf.inspect(&name).await?)
}
