//! `wharf store add-recipient`.

use std::time::Duration;

use wharf_core::{NewRecipient, RecipientRole};

use super::super::Cx;
use super::{PATIENCE, key, shared_store, tell_unfinished};
use crate::error::Result;
use crate::ui::Board;

const EXAMPLES: &str = "\
Examples:
  wharf store add-recipient bob --role operator bob.pub
  wharf store add-recipient ci --role job --days 30 age1…
  wharf store add-recipient bob            a new intermediate, when bob's is about to end
An admin opens every key. An operator opens the machines' SSH keys and has an intermediate for operators; a job has
that intermediate and no SSH key; a reader has one for readers.";

/// Lets a colleague or a job open what their role may open, and gives them a limited intermediate; for admins
///
/// Every key is encrypted anew, to them as well. Killed or failed in the middle, the same command again ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Who: letters, digits, `-`, `_` and `.`
    #[arg(value_name = "NAME")]
    name: String,
    /// Their public key (age1…, ssh-ed25519 … or ssh-rsa …), or the file that holds it
    #[arg(value_name = "KEY|FILE")]
    key: Option<String>,
    /// What they may open: admin, operator, reader or job
    #[arg(long, value_name = "ROLE")]
    role: Option<RecipientRole>,
    /// How many days their intermediate is good [default: 90]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
}

const DAY: u64 = 24 * 3600;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    shared_store(cx)?;
    let key = args.key.as_deref().map(|text| key(text, cx)).transpose()?.map(|(key, _)| key);
    let valid = args.days.map(|days| Duration::from_secs(u64::from(days) * DAY));
    let wish = NewRecipient { name: args.name.clone(), key, role: args.role, valid };
    let wharf = cx.wharf();
    let call = cx.call("store add-recipient", PATIENCE, &Board::new(&cx.ui));
    let unfinished = wharf.add_recipient(&wish, &call).await?;
    if unfinished.is_empty() {
        cx.ui.note(&format!("{} opens what their role may open.", args.name));
    }
    if cx.ui.is_json() {
        let all = wharf.recipients().await?;
        let added = all.iter().flat_map(|all| &all.recipients).find(|one| one.recipient.name == args.name);
        cx.ui.json(&added)?;
    }
    tell_unfinished(unfinished, cx)
}
