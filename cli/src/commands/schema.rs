//! `wharf schema`: the JSON Schema of fleet files, for editors. It holds the options of the drivers of this build.

use super::Cx;
use crate::describe;
use crate::error::Result;

/// Prints the JSON Schema of fleet files, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An editor that knows YAML's language server takes it from the file's first line:
  wharf schema > fleet.schema.json
  # yaml-language-server: $schema=fleet.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: &Args, cx: &Cx) -> Result<()> {
    cx.ui.json(&describe::fleet_schema(&cx.build.drivers))
}
