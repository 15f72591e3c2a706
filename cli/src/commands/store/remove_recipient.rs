//! `wharf store remove-recipient`.

use wharf_core::{MachineName, RecipientRole, RemovedRecipient};

use super::super::Cx;
use super::super::certs::revoke::tell;
use super::{PATIENCE, shared_store, tell_unfinished};
use crate::error::Result;
use crate::ui::Board;

/// Encrypts every key to those who are left, and takes back the certificates of whoever goes; for admins
///
/// Killed or failed in the middle, the same command again ends it; `wharf store recipients` shows whose removal has not
/// ended. Take their access to the bucket away first: wharf has no say in that. What somebody opened before, they may have kept: the command says which keys to replace.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who
    #[arg(value_name = "NAME")]
    name: String,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    shared_store(cx)?;
    let wharf = cx.wharf();
    let board = Board::new(&cx.ui);
    let call = cx.call("store remove-recipient", PATIENCE, &board);
    let RemovedRecipient { role, taken, saw, unfinished } = wharf.remove_recipient(&args.name, &call).await?;
    let name = &args.name;
    if unfinished.is_empty() {
        cx.ui.note(&format!("No key in the store is encrypted to {name} any more."));
    }
    let told = tell(&taken.machines, &wharf, &call, &board, cx).await;
    if cx.ui.is_json() {
        let machines: Vec<&str> = told.done.iter().map(|(name, ())| name.as_str()).collect();
        let serials: Vec<_> = taken.certificates.iter().map(|one| &one.serial).collect();
        cx.ui.json(&serde_json::json!({
            "name": name, "role": role, "revoked": serials, "machines": machines, "saw": saw,
        }))?;
    }
    say_what_they_keep(name, role, &saw, cx);
    tell_unfinished(unfinished, cx)?;
    told.end
}

/// What encrypting anew does not take from somebody.
fn say_what_they_keep(name: &str, role: Option<RecipientRole>, saw: &[MachineName], cx: &Cx) {
    if role == Some(RecipientRole::Admin) {
        cx.ui.warn(&format!(
            "{name} was an admin and may have kept the authority's key, whose certificates every engine believes: \
             where that matters, make a new store, which has a new authority, and its machines anew"
        ));
    }
    if !saw.is_empty() {
        let names: Vec<&str> = saw.iter().map(MachineName::as_str).collect();
        cx.ui.warn(&format!(
            "{name} may have kept the SSH keys of {}: a machine has new ones once it is removed and made again; \
             until then only networks and firewalls keep {name} away from its port for SSH",
            names.join(", ")
        ));
    }
}
