//! `wharf certs ls`.

use std::time::UNIX_EPOCH;

use serde::Serialize;
use wharf_core::{Issued, MachineName};

use super::Cx;
use crate::error::Result;
use crate::ui::Table;

/// Prints every certificate, and the days that it is still good
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

const DAY: i64 = 24 * 3600;
/// Digits of a serial number that are shown to eyes, and are enough for `certs revoke`.
const SHOWN: usize = 12;

/// One row, as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    certificate: &'a Issued,
    days_left: i64,
}

pub(super) async fn run(_: Args, cx: &Cx) -> Result<()> {
    let all = cx.wharf().certificates().await?;
    let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let left = |certificate: &Issued| certificate.ends.saturating_sub(now).div_euclid(DAY);
    if cx.ui.is_json() {
        let rows: Vec<_> =
            all.iter().map(|certificate| Row { certificate, days_left: left(certificate) }).collect();
        return cx.ui.json(&rows);
    }
    let mut table = Table::new(&["FOR", "NAME", "ROLE", "MACHINE", "SERIAL", "DAYS LEFT"]);
    for certificate in &all {
        let machine = certificate.machine.as_ref().map(ToString::to_string);
        let serial = certificate.serial.as_deref().unwrap_or_default();
        table.row([
            certificate.kind.clone(),
            certificate.name.clone(),
            certificate.role.map(|role| role.to_string()).unwrap_or_default(),
            machine.unwrap_or_default(),
            serial.chars().take(SHOWN).collect(),
            standing(certificate, left(certificate)),
        ]);
    }
    cx.ui.table(&table)
}

fn standing(certificate: &Issued, days: i64) -> String {
    if certificate.revoked.is_none() {
        return if days < 0 { "ended".to_owned() } else { days.to_string() };
    }
    let open: Vec<&str> = certificate.open.iter().map(MachineName::as_str).collect();
    if open.is_empty() { "revoked".to_owned() } else { format!("revoked, not yet on {}", open.join(", ")) }
}
