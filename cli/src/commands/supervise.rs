//! `wharf supervise`: what a driver starts this program as, to keep a machine's processes going after the command that
//! made it has ended. Not for people, and not in `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::log;
use crate::settings::Entry;

/// Keeps a machine's processes going; drivers start it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The driver
    driver: String,
    /// The machine's folder
    folder: PathBuf,
}

/// Runs until the machine's processes end. It has no terminal and no configuration, so it stands apart from the others.
pub(crate) fn run(args: &Args, drivers: &[Entry]) -> ExitCode {
    log::start_supervisor();
    let supervise =
        drivers.iter().find(|entry| entry.about().name == args.driver).and_then(|entry| entry.supervise);
    supervise.map_or(ExitCode::from(wharf_core::Kind::Usage.exit_code()), |supervise| supervise(&args.folder))
}
