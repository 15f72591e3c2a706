//! `wharf certs`: what certificates there are and how long they are good; new ones, one for somebody else, and taking
//! that back.

mod issue;
mod ls;
pub(super) mod renew;
pub(super) mod revoke;

use std::time::Duration;

use clap::Subcommand;

use super::Cx;
use crate::error::Result;

pub(super) use issue::{FILES, write};

/// Lists and renews certificates, issues one to a colleague or a job, and takes it back
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    Ls(ls::Args),
    Issue(issue::Args),
    Renew(renew::Args),
    Revoke(revoke::Args),
}

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    match args.verb {
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Issue(args) => issue::run(args, cx).await,
        Verb::Renew(args) => renew::run(args, cx).await,
        Verb::Revoke(args) => revoke::run(args, cx).await,
    }
}
