//! Signals by name or number, as clients write them.

use crate::engine::error::{Error, Result};

/// SIGKILL: what ends everything.
pub(crate) const KILL: i32 = 9;
/// SIGTERM: what stops a container that says nothing else.
pub(crate) const TERM: i32 = 15;

/// Reads `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let invalid = || Error::invalid(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=LAST).contains(&number) { Ok(number) } else { Err(invalid()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(FIRST_REAL_TIME, offset).ok_or_else(invalid);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(LAST, offset).ok_or_else(invalid);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).ok_or_else(invalid)
}

fn real_time(from: i32, offset: &str) -> Option<i32> {
    let offset: i32 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
    Some(from + offset).filter(|number| (FIRST_REAL_TIME..=LAST).contains(number))
}

/// The first two belong to the C library.
const FIRST_REAL_TIME: i32 = 34;
const LAST: i32 = 64;

/// The same numbers on every architecture that Linux containers run on, MIPS aside.
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", KILL),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", TERM),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for text in ["9", "KILL", "SIGKILL", "sigkill", "kill"] {
            assert_eq!(parse(text).unwrap(), 9, "{text}");
        }
        assert_eq!(
            (parse("RTMIN+3").unwrap(), parse("SIGRTMAX-1").unwrap(), parse("RTMIN").unwrap()),
            (37, 63, 34)
        );
        for wrong in ["", "0", "65", "-1", "BOGUS", "RTMIN-1", "RTMAX+1"] {
            assert_eq!(parse(wrong).unwrap_err().to_string(), format!("invalid signal: {wrong}"));
        }
    }
}
