//! Spans of time as people write them: `90`, `90s`, `1.5m`, `1m30s`, `2h`.

use std::time::Duration;

/// Parses a span; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a span of time: write 90, 90s, 1m30s or 2h");
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        seconds += number
            * match unit {
                "" | "s" => 1.0,
                "ms" => 0.001,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = after;
    }
    // A day is longer than anything a command waits for, and nought would mean never to begin.
    if text.is_empty() || seconds <= 0.0 || seconds > 86_400.0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Parses how long a machine is wanted for: whole numbers, each with its unit.
pub(crate) fn life(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is no time that a machine lives: write 90m, 4h or 7d, a minute at least and a year at most"
        )
    };
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let mut letters = after.chars();
        let unit = match letters.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = letters.as_str();
    }
    if (60..=366 * 86_400).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_has_units_and_bounds() {
        for (text, seconds) in [("90m", 5400), ("4h", 14_400), ("1d12h", 129_600), ("60s", 60)] {
            assert_eq!(life(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "4", "h", "59s", "400d", "1.5h", "-1h", "4h ", "99999999999999999999d", "4ü"] {
            assert!(life(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_write_spans_in_many_ways() {
        for (text, seconds) in
            [("90", 90.0), ("90s", 90.0), ("1m30s", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("250ms", 0.25)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "soon", "-1", "1d", "0", "1e9", "..", "99999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
