//! Variables in a file's texts: `${NAME}`, `${NAME:-default}`, `${NAME:?what to say when it is missing}`, and `$$` for
//! a dollar.
//!
//! Only those that the file's own `env` list names: who may change a fleet file must not thereby get at whatever else
//! is in the environment that it is applied in. An empty variable counts as unset. Keys and the list itself are plain, and
//! so is what a hook runs: it gets variables as variables, by name, and the dollars in it are its shell's.

use crate::place::{Mistakes, Place, Placed, Sources};
use crate::tree::{Node, Value};

struct Scope<'a> {
    listed: Vec<String>,
    variable: &'a dyn Fn(&str) -> Option<String>,
    sources: &'a Sources,
}

/// Puts variables' values into one file's texts.
pub(crate) fn interpolate(
    node: &mut Node,
    variable: &dyn Fn(&str) -> Option<String>,
    sources: &Sources,
    mistakes: &mut Mistakes,
) {
    let scope = Scope { listed: listed(node), variable, sources };
    let Value::Map(entries) = &mut node.value else { return };
    for (key, value) in entries {
        match (key.value.as_str(), &mut value.value) {
            ("env", _) => {}
            ("defaults", _) => scope.group(value, mistakes),
            ("machines", Value::Map(groups)) => {
                scope.map(groups, mistakes, |group, _, m| scope.group(group, m));
            }
            _ => scope.fill(value, mistakes),
        }
    }
}

/// The names on the file's own list; that it is one is looked at later.
fn listed(node: &Node) -> Vec<String> {
    let Value::Map(entries) = &node.value else { return Vec::new() };
    let env = entries.iter().find(|(key, _)| key.value == "env");
    let Some((_, Node { value: Value::List(items), .. })) = env else { return Vec::new() };
    let names = items.iter().filter_map(|item| match &item.value {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

type Entries = [(Placed<String>, Node)];

impl Scope<'_> {
    /// Does the same to every value of a map.
    fn map(
        &self,
        entries: &mut Entries,
        mistakes: &mut Mistakes,
        each: impl Fn(&mut Node, &str, &mut Mistakes),
    ) {
        for (key, value) in entries {
            if key.value.contains("${") {
                mistakes.add(self.sources.mistake(key.at, "variables stand in values, not in keys"));
            }
            each(value, &key.value, mistakes);
        }
    }

    /// A group of machines.
    fn group(&self, node: &mut Node, mistakes: &mut Mistakes) {
        let Value::Map(entries) = &mut node.value else { return self.fill(node, mistakes) };
        self.map(entries, mistakes, |value, key, mistakes| match (key, &mut value.value) {
            ("join", Value::Map(hooks)) => self.map(hooks, mistakes, |hook, _, m| self.hook(hook, m)),
            _ => self.fill(value, mistakes),
        });
    }

    fn hook(&self, node: &mut Node, mistakes: &mut Mistakes) {
        let Value::Map(entries) = &mut node.value else { return };
        self.map(entries, mistakes, |value, key, mistakes| match key {
            "run" => {}
            "env" => self.named(value, mistakes),
            _ => self.fill(value, mistakes),
        });
    }

    /// The variables that a hook gets: of the file's own list, as any other.
    fn named(&self, node: &Node, mistakes: &mut Mistakes) {
        let names = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for item in names {
            if let Value::Text(name) = &item.value
                && !self.listed.contains(name)
            {
                let message = format!("the variable `{name}` is not on this file's `env` list");
                mistakes.add(self.sources.mistake(item.at, message));
            }
        }
    }

    fn fill(&self, node: &mut Node, mistakes: &mut Mistakes) {
        match &mut node.value {
            Value::Text(text) if text.contains('$') => match self.text(text) {
                Ok(filled) => *text = filled,
                Err(message) => mistakes.add(self.sources.mistake(node.at, message)),
            },
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item, mistakes)),
            Value::Map(entries) => {
                self.map(entries, mistakes, |value, _, mistakes| self.fill(value, mistakes));
            }
            Value::Null | Value::Switch(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let end = inside.find('}').ok_or("`${` is not closed; a dollar is written `$$`")?;
                filled.push_str(&self.value(&inside[..end])?);
                rest = &inside[end + 1..];
            } else {
                filled.push('$');
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, inside: &str) -> Result<String, String> {
        let (name, otherwise) = match inside.find(":-").or_else(|| inside.find(":?")) {
            Some(at) => (&inside[..at], Some((&inside[at..at + 2], &inside[at + 2..]))),
            None => (inside, None),
        };
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !plain {
            return Err(format!("`${{{inside}}}` is no variable: write ${{NAME}} or ${{NAME:-default}}"));
        }
        if !self.listed.iter().any(|listed| listed == name) {
            return Err(format!("the variable `{name}` is not on this file's `env` list"));
        }
        match ((self.variable)(name).filter(|value| !value.is_empty()), otherwise) {
            (Some(value), _) => Ok(value),
            (None, Some((":-", default))) => Ok(default.to_owned()),
            (None, Some((_, message))) if !message.is_empty() => {
                Err(format!("`{name}` is not set: {message}"))
            }
            (None, _) => Err(format!("the variable `{name}` is not set")),
        }
    }
}

/// A name of a variable, as the `env` list takes it.
pub(crate) fn check_name(name: &str, at: Place, sources: &Sources, mistakes: &mut Mistakes) {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !plain {
        mistakes.add(sources.mistake(at, format!("`{name}` is no name of a variable")));
    }
}
