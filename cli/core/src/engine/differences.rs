//! Settings, options and times that differ from those that a machine was made with, in as few words as say it: of a long
//! list only what came and what went, and of nested settings only those that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::{EngineOptions, registries};

/// The settings that differ. One that is not there is one that says nothing: releases add settings.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let mut found = Vec::new();
    of_fields("", before, after, &mut found);
    found
}

fn of_fields(within: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<String>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let value = |map: &'_ Map<String, Value>| map.get(key).filter(|value| !says_nothing(value)).cloned();
        let (was, is) = (value(before), value(after));
        if was == is {
            continue;
        }
        let name = format!("{within}{}", key.replace('_', "-"));
        match (was, is) {
            (Some(Value::Object(was)), Some(Value::Object(is))) => {
                of_fields(&format!("{name}."), &was, &is, found);
            }
            (Some(Value::Array(was)), Some(Value::Array(is))) => found.push(of_items(&name, &was, &is)),
            (was, is) => found.push(format!("{name}: {} → {}", shown(was), shown(is))),
        }
    }
}

/// Lists as long as this are shown whole.
const SHORT: usize = 2;

/// Both are in order of preference, or in none.
fn of_items(name: &str, was: &[Value], is: &[Value]) -> String {
    if was.len().max(is.len()) <= SHORT {
        return format!("{name}: {} → {}", whole(was), whole(is));
    }
    let only = |these: &[Value], others: &[Value]| -> Vec<Value> {
        these.iter().filter(|item| !others.contains(item)).cloned().collect()
    };
    let (gone, new) = (only(was, is), only(is, was));
    match (was.first(), is.first()) {
        _ if !gone.is_empty() || !new.is_empty() => format!("{name}: {} → {}", some(&gone), some(&new)),
        (Some(was), Some(is)) if was != is => {
            format!("{name}: {} first → {} first", shown(Some(was.clone())), shown(Some(is.clone())))
        }
        _ if was.len() != is.len() => format!("{name}: {} → {}", some(was), some(is)),
        _ => format!("{name}: in another order"),
    }
}

/// A list as long as anybody reads it.
fn some(items: &[Value]) -> String {
    let named: Vec<String> = items.iter().take(SHORT).map(|item| shown(Some(item.clone()))).collect();
    match items.len().saturating_sub(SHORT) {
        0 if items.is_empty() => "nothing".to_owned(),
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn whole(items: &[Value]) -> String {
    shown(Some(Value::Array(items.to_vec())))
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn shown(value: Option<Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text,
        Some(Value::Array(items)) if items.len() > SHORT => some(&items),
        Some(other) => other.to_string(),
    }
}

/// In what an engine's options differ.
pub(super) fn option_differences(before: &EngineOptions, after: &EngineOptions) -> Vec<String> {
    let rest = |options: &EngineOptions| {
        let rest = EngineOptions { registry_authorities: BTreeMap::new(), ..options.clone() };
        serde_json::to_value(rest).unwrap_or_default()
    };
    let mut found = differences(&rest(before), &rest(after));
    // Nobody reads a certificate in a table.
    let shown = |options: &EngineOptions, registry: &String| {
        options.registry_authorities.get(registry).map_or("nothing".to_owned(), |pem| registries::shown(pem))
    };
    let both = before.registry_authorities.keys().chain(after.registry_authorities.keys());
    for registry in both.collect::<BTreeSet<_>>() {
        if before.registry_authorities.get(registry) != after.registry_authorities.get(registry) {
            let (was, is) = (shown(before, registry), shown(after, registry));
            found.push(format!("registry-ca of {registry}: {was} → {is}"));
        }
    }
    found
}

/// How long, as people write it, in the largest unit that it is a whole number of.
pub(super) fn shown_life(life: Option<Duration>) -> String {
    let Some(seconds) = life.map(|life| life.as_secs()) else { return "nothing".to_owned() };
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let whole = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, letter) = whole.unwrap_or((1, "s"));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn what_says_nothing_is_no_difference() {
        let (old, new) = (json!({"size": "small"}), json!({"size": "small", "spot": false, "tags": {}}));
        assert_eq!(differences(&old, &new), Vec::<String>::new());
        let other = json!({"size": "big", "zones": ["1"], "disk_size": 30});
        let changed = differences(&new, &other);
        assert_eq!(changed, ["disk-size: nothing → 30", "size: small → big", r#"zones: nothing → ["1"]"#]);
    }

    #[test]
    fn of_a_long_list_only_what_changed_is_said() {
        let list = |items: &[&str]| json!({ "sizes": items });
        let of = |was: &[&str], is: &[&str]| differences(&list(was), &list(is));
        assert_eq!(of(&["a", "b", "c", "d", "e"], &["a", "x", "e"]), ["sizes: b, c and 1 more → x"]);
        assert_eq!(of(&["a", "b", "c"], &["a", "b", "c", "d"]), ["sizes: nothing → d"]);
        assert_eq!(of(&["a", "b", "c"], &["c", "b", "a"]), ["sizes: a first → c first"]);
        assert_eq!(of(&["a", "b", "c"], &["a", "c", "b"]), ["sizes: in another order"]);
        assert_eq!(of(&[], &["a", "b", "c", "d"]), ["sizes: nothing → a, b and 2 more"]);
        assert_eq!(of(&["a"], &["b"]), [r#"sizes: ["a"] → ["b"]"#]);
        assert_eq!(of(&["a", "b", "b"], &["a", "b"]), ["sizes: a, b and 1 more → a, b"], "one stood twice");
    }

    #[test]
    fn of_nested_settings_only_those_that_changed_are_named() {
        let (was, is) = (
            json!({"place": {"images": {"a": 1, "b": 2}, "zone": null}}),
            json!({"place": {"images": {"a": 1, "b": 3, "c": 4}}}),
        );
        assert_eq!(differences(&was, &is), ["place.images.b: 2 → 3", "place.images.c: nothing → 4"]);
    }
}
