//! `wharf cloud ls`.

use serde::Serialize;
use wharf_driver::Profile;

use super::Cx;
use crate::error::Result;
use crate::settings::Entry;
use crate::ui::{Table, natural};

/// Lists the clouds that were set up; the one that `create` uses by itself is marked
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
}

/// One cloud as it is shown.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    usual: bool,
    driver: &'a str,
    address: Option<&'a str>,
    location: Option<&'a str>,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let mut rows: Vec<Row<'_>> = clouds.profiles().iter().map(|profile| row(profile, cx)).collect();
    rows.sort_by(|a, b| natural(a.name, b.name));
    if cx.ui.is_json() {
        return if args.quiet {
            cx.ui.json(&rows.iter().map(|row| row.name).collect::<Vec<_>>())
        } else {
            cx.ui.json(&rows)
        };
    }
    if args.quiet {
        return rows.iter().try_for_each(|row| cx.ui.result(row.name));
    }
    let mut table = Table::new(&["NAME", "USUAL", "DRIVER", "ADDRESS", "LOCATION"]);
    for row in &rows {
        table.row([
            row.name.to_owned(),
            if row.usual { "*" } else { "-" }.to_owned(),
            row.driver.to_owned(),
            row.address.unwrap_or_default().to_owned(),
            row.location.unwrap_or_default().to_owned(),
        ]);
    }
    cx.ui.table(&table)?;
    if rows.is_empty() {
        cx.ui.note("there are no clouds yet: `wharf cloud add URL` sets one up");
    }
    Ok(())
}

fn row<'a>(profile: &'a Profile, cx: &'a Cx) -> Row<'a> {
    let entry = cx.build.drivers.iter().find(|entry| entry.about().name == profile.driver);
    Row {
        name: &profile.name,
        usual: cx.config.cloud.as_deref() == Some(profile.name.as_str()),
        driver: &profile.driver,
        address: entry.and_then(Entry::place).and_then(|place| profile.settings.text(place)),
        location: profile.settings.text(&format!("{}-location", profile.driver)),
    }
}
