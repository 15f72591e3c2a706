//! ps's arguments, as far as people give them to `docker top`.

use super::columns::Column;
use crate::engine::error::{Error, Result};

/// Columns with their titles.
pub(super) fn parse(arguments: &str) -> Result<Vec<(Column, String)>> {
    let unsupported = |what: &str| {
        Error::invalid(format!(
            "ps argument not supported: {what}: use -ef, aux, or -o with a list of columns"
        ))
    };
    let mut chosen = Vec::new();
    let mut style = Style::Short;
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        if let Some(list) = word.strip_prefix("--format=") {
            chosen.extend(columns(list)?);
            continue;
        }
        let letters = word.strip_prefix('-').unwrap_or(word);
        // `o` takes what is left of the word, or the next one.
        let (flags, list) = match letters.split_once('o') {
            Some((flags, "")) => (flags, Some(words.next().ok_or_else(|| unsupported(word))?)),
            Some((flags, list)) => (flags, Some(list)),
            None => (letters, None),
        };
        let bsd = !word.starts_with('-') || letters.contains(['a', 'u', 'x']);
        for flag in flags.chars() {
            match flag {
                'u' if bsd => style = Style::User,
                'f' if !bsd || style == Style::Short => style = style.fuller(),
                'e' | 'A' | 'a' | 'x' | 'w' => {}
                _ => return Err(unsupported(word)),
            }
        }
        if flags.is_empty() && list.is_none() {
            return Err(unsupported(word));
        }
        if let Some(list) = list {
            chosen.extend(columns(list)?);
        }
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    Ok(style.columns().iter().map(|(column, title)| (*column, (*title).to_owned())).collect())
}

/// How ps shows processes when no columns are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Short,
    Full,
    User,
}

impl Style {
    const fn fuller(self) -> Self {
        match self {
            Self::User => Self::User,
            _ => Self::Full,
        }
    }

    const fn columns(self) -> &'static [(Column, &'static str)] {
        use Column as C;
        match self {
            Self::Short => &[(C::Pid, "PID"), (C::Tty, "TTY"), (C::LongTime, "TIME"), (C::Name, "CMD")],
            Self::Full => &[
                (C::User, "UID"),
                (C::Pid, "PID"),
                (C::Ppid, "PPID"),
                (C::Load, "C"),
                (C::Started, "STIME"),
                (C::Tty, "TTY"),
                (C::LongTime, "TIME"),
                (C::Arguments, "CMD"),
            ],
            Self::User => &[
                (C::User, "USER"),
                (C::Pid, "PID"),
                (C::Percent, "%CPU"),
                (C::MemoryPercent, "%MEM"),
                (C::VirtualSize, "VSZ"),
                (C::Resident, "RSS"),
                (C::Tty, "TTY"),
                (C::State, "STAT"),
                (C::Started, "START"),
                (C::ShortTime, "TIME"),
                (C::Arguments, "COMMAND"),
            ],
        }
    }
}

/// `pid,user=WHO,args`; a title takes the rest of the list.
fn columns(list: &str) -> Result<Vec<(Column, String)>> {
    let mut found = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.find([',', '=']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let (column, title) = Column::named(name).ok_or_else(|| {
            Error::invalid(format!("ps error: unknown user-defined format specifier \"{name}\""))
        })?;
        let (title, next) = match behind.strip_prefix('=') {
            Some(title) => (title, ""),
            None => (title, behind.strip_prefix(',').unwrap_or_default()),
        };
        found.push((column, title.to_owned()));
        rest = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        let columns = parse(arguments).unwrap();
        columns.into_iter().map(|(_, title)| title).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn styles_have_many_spellings() {
        for full in ["-ef", "-Af", "-f -e", "-fe", "ef"] {
            assert_eq!(titles(full), "UID PID PPID C STIME TTY TIME CMD", "{full}");
        }
        for user in ["aux", "-aux", "auxww", "xau"] {
            assert_eq!(titles(user), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND", "{user}");
        }
        assert_eq!(titles("-e"), "PID TTY TIME CMD");
    }

    #[test]
    fn columns_are_named() {
        assert_eq!(titles("-o pid,comm"), "PID COMMAND");
        assert_eq!(titles("axo pid,args"), "PID COMMAND");
        assert_eq!(titles("-eo user,pid,rss -o pcpu=LOAD"), "USER PID RSS LOAD");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for wrong in ["-l", "--no-headers", "-o", "-o pid,magic", "-C sh", "-"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
