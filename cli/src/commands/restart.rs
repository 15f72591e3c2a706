//! `wharf restart`.

use wharf_core::Power;

use super::{Cx, power};
use crate::error::Result;

/// Restarts machines gently
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    power::run(&args.names, Power::Restart, cx).await
}
