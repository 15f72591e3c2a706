//! Names of containers: which are allowed, and what one is called when nobody says.

use crate::engine::error::{Error, Result};

/// Checks a name that a client chose; a slash before it is dockerd's own spelling and falls away.
pub(crate) fn parse(name: &str) -> Result<String> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut letters = bare.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && bare.len() >= 2 {
        return Ok(bare.to_owned());
    }
    Err(Error::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// A new id: 64 hexadecimal digits of randomness, never all decimal in the first twelve, which some tools misread.
pub(crate) fn new_id() -> Result<String> {
    loop {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|e| Error::internal("drawing a random id", e))?;
        let id = hex::encode(random);
        if id[..12].bytes().any(|b| b.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

/// Two words that are free, with a number behind them once luck runs out.
pub(crate) fn generate(taken: impl Fn(&str) -> bool) -> Result<String> {
    for attempt in 0_u32.. {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|e| Error::internal("drawing a random name", e))?;
        let pick = |words: &[&'static str], at: usize| {
            words[usize::from(u16::from_le_bytes([random[at], random[at + 1]])) % words.len()]
        };
        let name = format!("{}_{}", pick(MOODS, 0), pick(THINGS, 2));
        let name = if attempt < 8 { name } else { format!("{name}{attempt}") };
        if !taken(&name) {
            return Ok(name);
        }
    }
    Err(Error::conflict("every name is taken"))
}

const MOODS: &[&str] = &[
    "agile", "amber", "ample", "azure", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid",
    "cheery", "clear", "clever", "coral", "cosy", "crisp", "daring", "deft", "dreamy", "eager", "early",
    "earnest", "fair", "fearless", "fluent", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand",
    "hardy", "hasty", "hearty", "honest", "humble", "jaunty", "jolly", "keen", "kind", "lively", "loyal",
    "lucid", "lucky", "mellow", "merry", "mighty", "mild", "neat", "nimble", "noble", "patient", "placid",
    "plucky", "polite", "proud", "quick", "quiet", "ready", "robust", "rosy", "sandy", "serene", "sharp",
    "silent", "silver", "smooth", "snug", "spry", "steady", "sunny", "swift", "tidal", "tidy", "trim",
    "upbeat", "valiant", "vivid", "warm", "watchful", "windy", "witty",
];

const THINGS: &[&str] = &[
    "anchor", "ballast", "barge", "bay", "beacon", "berth", "boom", "bowline", "bridge", "brig", "bulwark",
    "buoy", "cabin", "canal", "cape", "capstan", "cargo", "chart", "cleat", "clipper", "coast", "cog",
    "compass", "coracle", "cove", "crane", "crew", "current", "cutter", "deck", "delta", "derrick", "dhow",
    "dinghy", "dock", "dory", "estuary", "fathom", "fender", "ferry", "fjord", "frigate", "galley",
    "gangway", "gull", "halyard", "harbour", "hatch", "hawser", "heron", "hull", "islet", "jetty", "junk",
    "keel", "ketch", "lagoon", "lantern", "ledger", "lighter", "lock", "lugger", "mast", "mooring", "oar",
    "pier", "pilot", "pinnace", "pontoon", "port", "prow", "punt", "quay", "raft", "reef", "rigging",
    "rudder", "sail", "schooner", "sextant", "shoal", "skiff", "sloop", "spar", "strait", "tender", "tide",
    "tiller", "trawler", "tug", "wake", "wherry", "winch", "yawl",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_rule() {
        assert_eq!(parse("/web_1.a-b").unwrap(), "web_1.a-b");
        for wrong in ["", "/", "a", "-a", "a/b", "a b", "ä1", "//a"] {
            let message = parse(wrong).unwrap_err().to_string();
            assert!(message.starts_with(&format!("Invalid container name ({wrong})")), "{message}");
        }
    }

    #[test]
    fn a_generated_name_is_allowed_and_free() {
        let name = generate(|_| false).unwrap();
        assert_eq!(parse(&name).unwrap(), name);
        let tries = std::cell::Cell::new(0);
        let name = generate(|_| tries.replace(tries.get() + 1) < 9).unwrap();
        assert!(name.ends_with('9'), "{name}");
    }

    #[test]
    fn ids_are_whole_and_differ() {
        let (one, two) = (new_id().unwrap(), new_id().unwrap());
        assert!(one.len() == 64 && one != two && one.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
