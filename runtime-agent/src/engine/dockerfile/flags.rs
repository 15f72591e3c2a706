//! The flags between an instruction's name and the rest: `--name=value`.

use super::Refused;

/// Flags as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flags(Vec<(String, Option<String>)>);

impl Flags {
    /// Takes the flags off the front of `rest`; a lone `--` ends them.
    pub(super) fn take(rest: &str, escape: char) -> (Self, &str) {
        let mut flags = Vec::new();
        let mut rest = rest.trim_start();
        while rest.starts_with("--") {
            let end = end_of_word(rest, escape);
            let word = unquoted(&rest[..end], escape);
            rest = rest[end..].trim_start();
            let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else { break };
            flags.push(match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (flag.to_owned(), None),
            });
        }
        (Self(flags), rest)
    }

    /// The values of the flags that an instruction knows, in the order of `known`; any other one is refused.
    pub(super) fn only<const N: usize>(&self, known: [&str; N]) -> Result<[Option<String>; N], Refused> {
        let mut values = [const { None }; N];
        for (name, value) in &self.0 {
            let at = known.iter().position(|known| known == name);
            let at = at.ok_or_else(|| unknown(name))?;
            if values[at].is_some() {
                return Err(format!("Duplicate flag specified: {name}"));
            }
            let value = value.clone().ok_or_else(|| format!("Missing a value on flag: {name}"))?;
            values[at] = Some(value);
        }
        Ok(values)
    }
}

fn unknown(name: &str) -> Refused {
    if BUILDKIT.contains(&name) {
        needs_buildkit(&format!("the --{name} option"))
    } else {
        format!("Unknown flag: {name}")
    }
}

/// dockerd's words, and what to do here.
pub(super) fn needs_buildkit(what: &str) -> Refused {
    format!(
        "{what} requires BuildKit: make a builder with `docker buildx create --driver docker-container --use` and build \
         with `docker buildx build --load`"
    )
}

/// Flags that exist, but not for the classic builder.
const BUILDKIT: &[&str] = &[
    "mount",
    "network",
    "security",
    "device",
    "chmod",
    "link",
    "parents",
    "exclude",
    "checksum",
    "keep-git-dir",
    "unpack",
];

fn end_of_word(text: &str, escape: char) -> usize {
    let (mut quote, mut escaped) = (None::<char>, false);
    for (at, character) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            None if character.is_whitespace() => return at,
            None if character == '\'' || character == '"' => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape && quote != Some('\'') => escaped = true,
            _ => {}
        }
    }
    text.len()
}

fn unquoted(word: &str, escape: char) -> String {
    let (mut text, mut quote) = (String::new(), None::<char>);
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if character == '\'' || character == '"' => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape && quote != Some('\'') => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}
