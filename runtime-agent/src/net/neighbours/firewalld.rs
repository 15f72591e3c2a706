//! firewalld: our bridges become interfaces of its zone `trusted`, as its own program puts them there.
//!
//! Not for good: a reload forgets them, and whoever hears of the reload puts them there again. An interface that somebody
//! gave a zone stays in it: that is a decision. What we put there is written down before, since a zone has no comments.

use std::path::Path;

use super::tables::Table;
use super::{program, read, run, write};
use crate::net::Result;

const PROGRAMS: &[&str] = &["/usr/bin/firewall-cmd", "/bin/firewall-cmd"];
/// Chains of what is forwarded from an interface's zone begin so, in every version.
const FORWARDED: &str = "filter_FWD";

/// Says whether firewalld was asked; then its tables are nobody else's business.
pub(super) fn answer(table: Option<&Table>, bridges: &[&str], ledger: &Path) -> Result<bool> {
    let written = read(ledger);
    let Some(table) = table else {
        // It is not running: what it was told is forgotten already.
        write(ledger, &[])?;
        return Ok(false);
    };
    let Some(program) = program(PROGRAMS) else { return Ok(false) };
    let has_zone = |bridge: &str| {
        let of_zone = |chain: &String| chain.starts_with(FORWARDED);
        table
            .rules
            .iter()
            .any(|r| r.arrives.as_deref() == Some(bridge) && r.jumps.as_ref().is_some_and(of_zone))
    };
    let new: Vec<&str> = bridges.iter().copied().filter(|bridge| !has_zone(bridge)).collect();
    let old: Vec<&str> = written.iter().map(String::as_str).filter(|w| !bridges.contains(w)).collect();
    let mut ours: Vec<String> =
        written.iter().map(String::as_str).chain(new.iter().copied()).map(str::to_owned).collect();
    ours.sort();
    ours.dedup();
    if ours != written {
        write(ledger, &ours)?;
    }
    for bridge in new {
        run(program, &["--zone=trusted", &format!("--add-interface={bridge}")])?;
    }
    for bridge in old.into_iter().filter(|bridge| has_zone(bridge)) {
        run(program, &["--zone=trusted", &format!("--remove-interface={bridge}")])?;
    }
    ours.retain(|bridge| bridges.contains(&bridge.as_str()));
    if ours != written {
        write(ledger, &ours)?;
    }
    Ok(true)
}
