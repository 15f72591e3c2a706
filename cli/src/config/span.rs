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

#[cfg(test)]
mod tests {
    use super::*;

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
