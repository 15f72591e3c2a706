//! `wharf cloud`: the places that the person has set up, for `wharf create --cloud`.

mod add;
mod ls;
mod rm;

use clap::Subcommand;

use super::Cx;
use crate::error::Result;

/// Sets up, lists and forgets clouds that machines are made in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    Add(add::Args),
    Ls(ls::Args),
    Rm(rm::Args),
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    match args.verb {
        Verb::Add(args) => add::run(args, cx).await,
        Verb::Ls(args) => ls::run(&args, cx),
        Verb::Rm(args) => rm::run(args, cx).await,
    }
}

/// The name in the keyring of one of a cloud's secrets.
fn secret_name(cloud: &str, word: &str) -> String {
    format!("clouds/{cloud}/{word}")
}
