//! `wharf store`: a store that a team and its jobs share.

mod init;

use clap::Subcommand;

use super::Cx;
use crate::error::Result;

/// Makes a store that a team and its jobs share
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    match args.verb {
        Verb::Init(args) => init::run(args, cx).await,
    }
}
