//! From bytes to logical lines: directives, comments and continuations.

use super::Refused;

/// One instruction as it is written, its continuations joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    /// What escapes characters and line ends: `\` or `` ` ``.
    pub(crate) escape: char,
    pub(crate) lines: Vec<Line>,
    /// What the client should hear of before the build.
    pub(crate) warnings: Vec<String>,
}

/// Reads a whole file. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn read(bytes: &[u8]) -> Result<Lines, Refused> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let mut found = Lines { escape: '\\', lines: Vec::new(), warnings: Vec::new() };
    let mut directives = Directives::default();
    let mut physical = text.lines().enumerate();
    while let Some((at, line)) = physical.next() {
        let line = bounded(line)?.trim_start();
        directives.look_at(line, &mut found.escape)?;
        if line.starts_with('#') {
            continue;
        }
        let (first, mut ended) = without_continuation(line, found.escape);
        if ended && first.is_empty() {
            continue;
        }
        let (mut logical, mut has_blank) = (first.to_owned(), false);
        while !ended {
            let Some((_, line)) = physical.next() else { break };
            let start = bounded(line)?.trim_start();
            if start.starts_with('#') {
                continue;
            }
            if start.is_empty() {
                has_blank = true;
                continue;
            }
            let (part, last) = without_continuation(line, found.escape);
            logical.push_str(part);
            ended = last;
        }
        if has_blank {
            found.warnings.push(format!("[WARNING]: Empty continuation line found in:\n    {logical}"));
        }
        found.lines.push(Line { number: at + 1, text: logical.trim().to_owned() });
    }
    if !found.warnings.is_empty() {
        let text = "[WARNING]: Empty continuation lines will become errors in a future release.";
        found.warnings.push(text.to_owned());
    }
    if found.lines.is_empty() { Err("file with no instructions".to_owned()) } else { Ok(found) }
}

/// Comments at the top that say how to read the rest.
#[derive(Debug, Default)]
struct Directives {
    over: bool,
    escape_seen: bool,
}

impl Directives {
    fn look_at(&mut self, line: &str, escape: &mut char) -> Result<(), Refused> {
        if self.over {
            return Ok(());
        }
        let Some((name, value)) = directive(line) else {
            self.over = true;
            return Ok(());
        };
        if name != "escape" {
            // Of another builder's, such as `syntax`.
            return Ok(());
        }
        if std::mem::replace(&mut self.escape_seen, true) {
            return Err("only one escape parser directive can be used".to_owned());
        }
        *escape = match value {
            "\\" => '\\',
            "`" => '`',
            other => return Err(format!("invalid ESCAPE '{other}'. Must be ` or \\")),
        };
        Ok(())
    }
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    let value = value.trim();
    (is_name && !value.is_empty()).then_some((name, value))
}

/// The line without the escape at its end, and whether the instruction ends here.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(line) => (line, false),
        None => (line, true),
    }
}

fn bounded(line: &str) -> Result<&str, Refused> {
    if line.len() > LONGEST {
        return Err(format!("dockerfile line greater than maximum allowed size of {LONGEST}"));
    }
    Ok(line)
}

/// As dockerd's.
const LONGEST: usize = 65535;
