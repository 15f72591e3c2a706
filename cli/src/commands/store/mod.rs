//! `wharf store`: a store that a team and its jobs share, and those whom its keys are encrypted to.

mod add_recipient;
mod init;
mod recipients;
mod remove_recipient;

use std::time::Duration;

use clap::Subcommand;
use wharf_core::{PublicKey, Unfinished};

use super::Cx;
use crate::error::{Error, Kind, Result, of_several};

/// Makes a store that a team and its jobs share; whom its keys are encrypted to
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Recipients(recipients::Args),
    AddRecipient(add_recipient::Args),
    RemoveRecipient(remove_recipient::Args),
}

const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    match args.verb {
        Verb::Init(args) => init::run(args, cx).await,
        Verb::Recipients(args) => recipients::run(args, cx).await,
        Verb::AddRecipient(args) => add_recipient::run(args, cx).await,
        Verb::RemoveRecipient(args) => remove_recipient::run(args, cx).await,
    }
}

/// Refuses a store that is a folder.
fn shared_store(cx: &Cx) -> Result<()> {
    if cx.shared.is_some() {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, "only a shared store has recipients, and this one is a folder")
        .hint("name the shared one with --store or WHARF_STORE"))
}

/// A public key as typed, or of the file that is named; and whose it says it is.
pub(super) fn key(text: &str, cx: &Cx) -> Result<(PublicKey, Option<String>)> {
    let typed = text.starts_with("age1") || text.starts_with("ssh-") || text.contains(' ');
    let read = if typed {
        text.to_owned()
    } else {
        let file = cx.world.absolute(text);
        std::fs::read_to_string(&file).map_err(|e| {
            Error::usage(format!("the public key `{}` cannot be read: {e}", file.display()))
                .hint("name a file, or give the key itself: age1… or ssh-ed25519 …")
        })?
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = |comment: &str| comment.trim().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let comment = PublicKey::comment(&read).map(name);
    Ok((read.parse().map_err(Error::from)?, comment))
}

/// Shows the machines whose keys could not be encrypted anew.
fn tell_unfinished(unfinished: Vec<Unfinished>, cx: &Cx) -> Result<()> {
    let mut kinds = Vec::new();
    for (name, error) in unfinished {
        kinds.push(error.kind());
        let again = "the same command again, when this is mended";
        cx.ui.error(&Error::from(error).fact("its keys are encrypted anew by", again), Some(name.as_str()));
    }
    of_several(kinds.len(), &kinds).map_or(Ok(()), |kind| Err(Error::told(kind)))
}
