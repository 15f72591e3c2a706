//! YAML as a tree in which everything knows its place, and trees laid over each other.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::place::{Mistake, Place, Placed, Sources};

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// A value. Numbers are kept as they were written, since they are flags' values: `1.10` is not `1.1`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Switch(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Placed<String>, Node)>),
}

impl Value {
    /// What it is, in a sentence.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Switch(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// The file at `index`, as a tree.
pub(crate) fn parse(sources: &Sources, index: usize) -> Result<Node, Mistake> {
    let text = sources.get(index).map(|source| source.text.as_str()).unwrap_or_default();
    let start = Place { source: index, line: 1, column: 1, length: 1 };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(sources.mistake(Place { line: 0, ..start }, "there is nothing in it"));
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(
        text,
        serde_saphyr::options! { with_snippet: false },
    ) {
        Ok(raw) => Ok(placed(raw, index, text)),
        Err(error) => {
            let at = error.location().map_or(start, |location| place(&location, index));
            Err(sources.mistake(at, said(&error)))
        }
    }
}

/// What the parser says, without the place, which stands before it.
fn said(error: &serde_saphyr::Error) -> String {
    let whole = error.without_snippet().to_string();
    let message = whole.lines().next().unwrap_or_default();
    // Advice for programmers is left out.
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = message.split(", set ").next().unwrap_or(message);
    message.strip_prefix("error: ").unwrap_or(message).to_owned()
}

/// `over` laid over `base`: maps entry by entry, everything else as a whole; nothing takes away what was there.
pub(crate) fn overlay(base: Node, over: Node) -> Node {
    let (Value::Map(mut entries), Value::Map(new)) = (base.value, &over.value) else { return over };
    for (key, node) in new {
        let found = entries.iter().position(|(known, _)| known.value == key.value);
        match (found, &node.value) {
            (Some(index), Value::Null) => drop(entries.remove(index)),
            (Some(index), _) => {
                let (old_key, old) = entries[index].clone();
                entries[index] = (old_key, overlay(old, node.clone()));
            }
            (None, _) => entries.push((key.clone(), node.clone())),
        }
    }
    Node { at: over.at, value: Value::Map(entries) }
}

/// As the parser gives it.
enum Raw {
    Null,
    Switch(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, on: bool) -> Result<Raw, E> {
        Ok(Raw::Switch(on))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn placed(raw: Spanned<Raw>, source: usize, text: &str) -> Node {
    let at = place(&raw.referenced, source);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Switch(on) => Value::Switch(on),
        Raw::Number(read) => Value::Number(written(&raw.referenced, text).unwrap_or(read)),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| placed(item, source, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let name = Placed::new(key.value, place(&key.referenced, source));
                    (name, placed(value, source, text))
                })
                .collect(),
        ),
    };
    Node { at, value }
}

/// A number as it stands in the file.
fn written(location: &Location, text: &str) -> Option<String> {
    let from = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let word = text.get(from..from.checked_add(length)?)?.trim();
    let number = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
    number.then(|| word.to_owned())
}

fn place(location: &Location, source: usize) -> Place {
    let number = |figure: u64| usize::try_from(figure).unwrap_or_default().max(1);
    Place {
        source,
        line: number(location.line()),
        column: number(location.column()),
        length: number(location.span().len()),
    }
}
