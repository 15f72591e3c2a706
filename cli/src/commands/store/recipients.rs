//! `wharf store recipients`.

use std::time::UNIX_EPOCH;

use super::super::Cx;
use super::shared_store;
use crate::error::{Error, Result};
use crate::ui::Table;

/// Lists those whom the shared store's keys are encrypted to, and the authority that everybody should see
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

const DAY: i64 = 24 * 3600;

pub(crate) async fn run(_: Args, cx: &Cx) -> Result<()> {
    shared_store(cx)?;
    let Some(all) = cx.wharf().recipients().await? else {
        return Err(Error::new(
            crate::error::Kind::Refused,
            "the store has no recipients: its keys are encrypted with a passphrase",
        )
        .hint("`wharf store init URL --recipient KEY` gives it its first ones"));
    };
    if cx.ui.is_json() {
        return cx.ui.json(&all);
    }
    let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut table = Table::new(&["NAME", "ROLE", "KEY", "DAYS LEFT"]);
    for one in &all.recipients {
        let left = one.ends.map(|ends| ends.saturating_sub(now).div_euclid(DAY));
        let standing = match left {
            _ if one.leaving => "being removed".to_owned(),
            Some(days) if days < 0 => "ended".to_owned(),
            Some(days) => days.to_string(),
            None => String::new(),
        };
        let recipient = &one.recipient;
        table.row([recipient.name.clone(), recipient.role.to_string(), recipient.key.short(), standing]);
    }
    cx.ui.table(&table)?;
    cx.ui.note(&format!("The store's authority: SHA256:{}", all.authority));
    Ok(())
}
