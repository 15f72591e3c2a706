//! `HEALTHCHECK`, and times in Go's notation.

use std::fmt::Write as _;

use super::Refused;
use super::flags::Flags;
use super::words::json;
use crate::engine::images::configuration::Healthcheck;

pub(super) fn parse(flags: &Flags, rest: &str) -> Result<Healthcheck, Refused> {
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (kind, rest) = (kind.to_ascii_uppercase(), rest.trim());
    match kind.as_str() {
        "" => Err("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if rest.is_empty() => Ok(Healthcheck { test: vec![kind], ..Healthcheck::default() }),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" => command(flags, rest),
        _ => Err(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)")),
    }
}

fn command(flags: &Flags, rest: &str) -> Result<Healthcheck, Refused> {
    let [interval, timeout, start_period, start_interval, retries] =
        flags.only(["interval", "timeout", "start-period", "start-interval", "retries"])?;
    let (kind, words) = match json(rest)? {
        Some(words) => ("CMD", words),
        None if rest.is_empty() => ("CMD", Vec::new()),
        None => ("CMD-SHELL", vec![rest.to_owned()]),
    };
    if words.is_empty() {
        return Err("Missing command after HEALTHCHECK CMD".to_owned());
    }
    Ok(Healthcheck {
        test: std::iter::once(kind.to_owned()).chain(words).collect(),
        interval: time(interval, "interval")?,
        timeout: time(timeout, "timeout")?,
        start_period: time(start_period, "start-period")?,
        start_interval: time(start_interval, "start-interval")?,
        retries: count(retries)?,
    })
}

fn time(text: Option<String>, flag: &str) -> Result<i64, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(0) };
    let nanoseconds = nanoseconds(&text).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
    match nanoseconds {
        0 => Ok(0),
        1_000_000.. => Ok(nanoseconds),
        _ => Err(format!("Interval {flag:?} cannot be less than 1ms")),
    }
}

fn count(text: Option<String>) -> Result<i64, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(0) };
    match text.parse::<i32>() {
        Ok(count @ 1..) => Ok(count.into()),
        Ok(count) => Err(format!("--retries must be at least 1 (not {count})")),
        Err(_) => Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
    }
}

/// Go's `1h2m3.5s`, `300ms`, `-1s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.');
        let end = unit.map_or(rest.len(), |at| digits + at);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == &rest[digits..end])?;
        total += number * size;
        rest = &rest[end..];
    }
    let total = if negative { -total } else { total };
    #[expect(clippy::cast_possible_truncation, reason = "seen to be in range")]
    (!text.is_empty() && total.abs() < 9.0e18).then(|| total.round() as i64)
}

const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// As Go prints a duration: `1m30s`, `500ms`, `0s`.
pub(crate) fn go_duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = |size: u64, unit: &str| {
        let digits = size.ilog10() as usize;
        let mut text = format!("{}.{:0digits$}", magnitude / size, magnitude % size);
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        format!("{sign}{text}{unit}")
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(1_000_000, "ms"),
        _ => {
            let (minutes, seconds) = (magnitude / 60_000_000_000, magnitude % 60_000_000_000);
            let mut text = sign.to_owned();
            // Writing to a text cannot fail.
            let _ = match minutes {
                0 => Ok(()),
                1..60 => write!(text, "{minutes}m"),
                _ => write!(text, "{}h{}m", minutes / 60, minutes % 60),
            };
            let mut rest = format!("{}.{:09}", seconds / 1_000_000_000, seconds % 1_000_000_000);
            rest.truncate(rest.trim_end_matches('0').trim_end_matches('.').len());
            format!("{text}{rest}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gos() {
        for (text, value, printed) in [
            ("1m30s", 90_000_000_000, "1m30s"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("0", 0, "0s"),
            ("2s", 2_000_000_000, "2s"),
            ("10s", 10_000_000_000, "10s"),
            ("2.5s", 2_500_000_000, "2.5s"),
            ("20us", 20_000, "20µs"),
        ] {
            assert_eq!(nanoseconds(text), Some(value), "{text}");
            assert_eq!(go_duration(value), printed);
        }
        for wrong in ["", "1", "1 s", "x", "1.2.3s", "99999999999999h"] {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }
}
