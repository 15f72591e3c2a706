//! The journal as bytes: one JSON object a line, each closed by a check sum over itself and the line before it, so
//! that a lost, swapped or altered line is noticed.
//!
//! Only the last line can be torn: it was being written when the power went, and nothing was done on its strength.
//! It is cut and reported. Any other damage is an error that names its line.

use sha2::{Digest, Sha256};

use crate::journal::Entry;

const SUM_DIGITS: usize = 16;

/// What a journal's bytes hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    /// The events.
    pub entries: Vec<Entry>,
    /// How many bytes of the file are whole lines; anything after them is torn.
    pub whole: usize,
    /// How many bytes are torn.
    pub torn: usize,
    /// The check sum of the last whole line, which the next one continues.
    pub sum: String,
}

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the journal {because}")]
pub struct Damage {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub because: String,
}

/// Reads a journal.
///
/// # Errors
/// Damage anywhere but in a torn last line.
pub fn parse(bytes: &[u8]) -> Result<Lines, Damage> {
    let mut lines = Lines::default();
    for (at, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Some(line_text) = line.strip_suffix(b"\n") else {
            lines.torn = line.len();
            break;
        };
        let damaged = |because: String| Damage { line: at + 1, because };
        let (entry, sum) = read_line(&lines.sum, line_text).map_err(damaged)?;
        let expected = lines.entries.len() as u64 + 1;
        if entry.number != expected {
            return Err(damaged(format!("has number {} where {expected} belongs", entry.number)));
        }
        lines.whole += line.len();
        lines.entries.push(entry);
        lines.sum = sum;
    }
    Ok(lines)
}

/// The line of `entry`, with its end, after a line with the check sum `previous`; and its own check sum.
///
/// # Errors
/// When the event cannot be written as JSON.
pub fn write_line(previous: &str, entry: &Entry) -> serde_json::Result<(Vec<u8>, String)> {
    let mut body = serde_json::to_string(entry)?;
    let sum = check_sum(previous, &body);
    // The object stays one: its closing brace moves behind the sum.
    body.pop();
    Ok((format!("{body},\"sum\":\"{sum}\"}}\n").into_bytes(), sum))
}

fn read_line(previous: &str, line: &[u8]) -> Result<(Entry, String), String> {
    let text = std::str::from_utf8(line).map_err(|e| format!("is not text: {e}"))?;
    let (body, sum) = split(text).ok_or("does not end in a check sum")?;
    if check_sum(previous, &body) != sum {
        return Err("does not match its check sum".to_owned());
    }
    let entry = serde_json::from_str(&body).map_err(|e| format!("is not an event of this release: {e}"))?;
    Ok((entry, sum))
}

/// The object without its sum, and the sum.
fn split(text: &str) -> Option<(String, String)> {
    let (body, tail) = text.rsplit_once(",\"sum\":\"")?;
    let sum = tail.strip_suffix("\"}")?;
    (sum.len() == SUM_DIGITS).then(|| (format!("{body}}}"), sum.to_owned()))
}

fn check_sum(previous: &str, body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(body);
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(SUM_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Event;

    fn journal(count: u64) -> Vec<u8> {
        let mut sum = String::new();
        let mut bytes = Vec::new();
        for number in 1..=count {
            let entry = Entry { number, at: number, fence: 1, event: Event::Purging };
            let (line, next) = write_line(&sum, &entry).unwrap();
            bytes.extend(line);
            sum = next;
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let lines = parse(&journal(3)).unwrap();
        assert_eq!(lines.entries.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((lines.torn, lines.whole), (0, journal(3).len()));
    }

    #[test]
    fn every_cut_keeps_the_whole_lines() {
        let bytes = journal(3);
        for end in 0..bytes.len() {
            let lines = parse(&bytes[..end]).unwrap();
            assert_eq!(lines.whole + lines.torn, end);
            assert_eq!(
                lines.entries.len(),
                bytes[..end].iter().filter(|&&b| b == b'\n').count(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn every_flipped_bit_of_a_whole_line_is_noticed() {
        let bytes = journal(2);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let last_line_end = at == bytes.len() - 1;
                // Without its end the last line counts as torn, and is reported as such.
                assert!(parse(&damaged).is_err() || last_line_end, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn lost_and_swapped_lines_are_noticed() {
        let bytes = journal(3);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
        assert_eq!(parse(&[lines[0], lines[2]].concat()).unwrap_err().line, 2);
        assert_eq!(parse(&[lines[1], lines[2]].concat()).unwrap_err().line, 1);
        assert_eq!(parse(&[lines[0], lines[2], lines[1]].concat()).unwrap_err().line, 2);
        assert_eq!(parse(&[lines[0], lines[0]].concat()).unwrap_err().line, 2);
    }
}
