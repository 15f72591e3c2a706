//! `wharf man-pages`: the manual, from the same grammar as everything else. For whoever packages the program.

use std::path::PathBuf;

use super::Cx;
use crate::args::command;
use crate::error::{Error, Result};

/// Writes the manual pages into a folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder, which is made
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> Result<()> {
    let folder = cx.world.absolute(&args.folder.to_string_lossy());
    let failed = |e: std::io::Error| {
        Error::failed(format!("cannot write the manual into `{}`", folder.display())).caused_by(&e)
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command(&cx.build.drivers), &folder).map_err(failed)
}
