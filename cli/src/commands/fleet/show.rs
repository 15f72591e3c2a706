//! How a comparison is shown: a table for people, an object for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wharf_core::{Change, Deed, MachineName};

use crate::commands::Cx;
use crate::error::{Error, Kind, Result};
use crate::ui::Table;

/// Prints what would be done; machines that are as they should be are only counted.
pub(crate) fn changes(changes: &[Change], cx: &Cx) -> Result<()> {
    let mut table = Table::new(&["MACHINE", "DRIVER", "CHANGE", "WHY"]);
    for change in changes.iter().filter(|change| !change.deeds.is_empty()) {
        let deeds: Vec<&str> = change.deeds.iter().map(|deed| word(*deed)).collect();
        table.row([
            change.name.to_string(),
            change.driver.clone(),
            deeds.join(", "),
            change.because.join("; "),
        ]);
    }
    if changes.iter().any(|change| !change.deeds.is_empty()) {
        cx.ui.table(&table)?;
    }
    Ok(())
}

/// One line: how many machines there are of each change.
pub(crate) fn count(changes: &[Change], trouble: usize) -> String {
    if changes.is_empty() && trouble == 0 {
        return "no machines".to_owned();
    }
    let mut counts: BTreeMap<Deed, usize> = BTreeMap::new();
    for deed in changes.iter().filter_map(|change| change.deeds.first()) {
        *counts.entry(*deed).or_default() += 1;
    }
    let same = changes.iter().filter(|change| change.deeds.is_empty()).count();
    let mut parts: Vec<String> =
        counts.into_iter().map(|(deed, count)| format!("{count} to {}", word(deed))).collect();
    if same > 0 {
        parts.push(format!("{same} as {} should be", if same == 1 { "it" } else { "they" }));
    }
    if trouble > 0 {
        parts.push(format!("{trouble} of which nothing can be said"));
    }
    parts.join(", ")
}

/// What programs read.
pub(crate) fn object(fleet: &MachineName, changes: &[Change], trouble: &[(MachineName, Error)]) -> Value {
    let told = |(name, error): &(MachineName, Error)| json!({ "name": name, "code": error.kind.exit_code(), "message": error.message, "hint": error.advice() });
    json!({
        "fleet": fleet,
        "changes": changes,
        "trouble": trouble.iter().map(told).collect::<Vec<_>>(),
    })
}

/// Shows the machines of which nothing can be said, those with the same reason together; their kinds.
pub(crate) fn troubles(trouble: &[(MachineName, Error)], cx: &Cx) -> Vec<Kind> {
    let mut told: Vec<&str> = Vec::new();
    for (name, error) in trouble {
        if cx.ui.is_json() {
            cx.ui.error(error, Some(name.as_str()));
        } else if !told.contains(&error.message.as_str()) {
            told.push(&error.message);
            let same = trouble.iter().filter(|(_, other)| other.message == error.message);
            let names: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
            cx.ui.error(error, Some(&several(&names)));
        }
    }
    trouble.iter().map(|(_, error)| error.kind).collect()
}

/// Names for the beginning of a line.
fn several(names: &[&str]) -> String {
    match names {
        [first, second, third, _, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len() + 1)
        }
        few => few.join(", "),
    }
}

/// What a change is called.
pub(crate) const fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Create => "create",
        Deed::Finish => "finish",
        Deed::Recreate => "make again",
        Deed::Replace => "replace",
        Deed::Adopt => "adopt",
        Deed::Start => "start",
        Deed::Readdress => "follow its address",
        Deed::Configure => "configure",
        Deed::Renew => "renew",
        Deed::Remove => "remove",
    }
}
