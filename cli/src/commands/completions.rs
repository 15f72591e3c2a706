//! `wharf completions`.

use super::Cx;
use crate::completions::{SHELLS, script};
use crate::error::Result;

/// Prints the script that completes wharf's command line in a shell
///
/// For bash, in ~/.bashrc: source <(wharf completions bash)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell: bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL", value_parser = SHELLS)]
    shell: String,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> Result<()> {
    cx.ui.raw(&script(&args.shell, &cx.world.program)?)
}
