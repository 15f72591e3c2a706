//! ufw: routes that are allowed from and to our bridges, as its own program writes them.
//!
//! It keeps them over a reboot, and so they are found by the comment that they carry, whoever wrote them.

use std::collections::BTreeSet;

use super::{COMMENT, program, run};
use crate::net::Result;

const PROGRAMS: &[&str] = &["/usr/sbin/ufw", "/sbin/ufw"];
const RULES: &str = "/etc/ufw/user.rules";

/// Says whether ufw was asked; then its chains are nobody else's business.
pub(super) fn answer(is_enabled: bool, bridges: &[&str]) -> Result<bool> {
    let there = ours(&std::fs::read_to_string(RULES).unwrap_or_default());
    let Some(program) = program(PROGRAMS).filter(|_| is_enabled || !there.is_empty()) else {
        return Ok(false);
    };
    // While it is disabled nothing has to be allowed, but what was is still taken back.
    let bridges = if is_enabled { bridges } else { &[] };
    let ways = |bridge: &&str| ["in", "out"].map(|way| (way.to_owned(), (*bridge).to_owned()));
    let wanted: BTreeSet<(String, String)> = bridges.iter().flat_map(ways).collect();
    for (way, bridge) in wanted.difference(&there) {
        run(program, &["route", "allow", way, "on", bridge, "comment", COMMENT])?;
    }
    for (way, bridge) in there.difference(&wanted) {
        run(program, &["route", "delete", "allow", way, "on", bridge])?;
    }
    Ok(is_enabled)
}

/// Which way and on which bridge, of those that carry our comment: it writes each rule once more for itself, as
/// `### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_BRIDGE comment=HEX`.
fn ours(rules: &str) -> BTreeSet<(String, String)> {
    let comment = format!("comment={}", hex::encode(COMMENT));
    let tuples = rules.lines().filter_map(|line| line.strip_prefix("### tuple ### route:allow "));
    let fields = tuples.filter(|tuple| tuple.split(' ').next_back() == Some(comment.as_str()));
    let ways = fields.filter_map(|tuple| tuple.split(' ').rev().nth(1)?.split_once('_'));
    ways.map(|(way, bridge)| (way.to_owned(), bridge.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_known_by_their_comment() {
        let rules = "### RULES ###\n\
            ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n\
            ### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_eth0 comment=6d696e65\n\
            ### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_br_x comment=77686172663a20636f6e7461696e657273\n\
            -A ufw-user-forward -i br_x -j ACCEPT\n";
        assert_eq!(ours(rules), [("in".to_owned(), "br_x".to_owned())].into());
        assert_eq!(ours(""), BTreeSet::new());
    }
}
