//! The `filters` parameter: a map of lists, or, from old clients, of maps to booleans.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a listing is narrowed to. Values of one key are alternatives; every key must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Map(BTreeMap<String, bool>),
}

impl Filters {
    /// Reads the parameter; absent and empty mean no filter.
    ///
    /// # Errors
    /// With the text that the client shows.
    pub fn parse(parameter: Option<&str>) -> Result<Self, String> {
        let Some(text) = parameter.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        let map: Option<BTreeMap<String, Values>> =
            serde_json::from_str(text).map_err(|error| format!("invalid filter: {error}"))?;
        let flatten = |(key, values)| match values {
            Values::List(list) => (key, list),
            Values::Map(map) => {
                (key, map.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect())
            }
        };
        Ok(Self(map.unwrap_or_default().into_iter().map(flatten).collect()))
    }

    /// The values of one key; empty when the key is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether one of the key's values matches, or the key is absent.
    #[must_use]
    pub fn all(&self, key: &str, matches: impl FnMut(&str) -> bool) -> bool {
        let values = self.get(key);
        values.is_empty() || values.iter().map(String::as_str).any(matches)
    }

    /// Refuses keys that nobody here knows, as dockerd does.
    ///
    /// # Errors
    /// With dockerd's text, naming the first unknown key.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("invalid filter '{key}'")),
            None => Ok(()),
        }
    }

    /// Whether there is nothing to narrow by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_mean_the_same() {
        let list = Filters::parse(Some(r#"{"status":["running","paused"]}"#)).unwrap();
        let map = Filters::parse(Some(r#"{"status":{"paused":true,"running":true,"dead":false}}"#)).unwrap();
        for filters in [&list, &map] {
            assert!(filters.all("status", |s| s == "paused") && !filters.all("status", |s| s == "dead"));
        }
        assert!(list.all("name", |_| false), "an absent key matches everything");
    }

    #[test]
    fn fuzz_filters_are_read_or_refused() {
        bolero::check!().for_each(|text: &[u8]| {
            let Ok(text) = std::str::from_utf8(text) else { return };
            if let Ok(filters) = Filters::parse(Some(text)) {
                assert!(filters.only(&[]).is_ok() == filters.is_empty());
            }
        });
    }

    #[test]
    fn nothing_is_no_filter_and_nonsense_is_refused() {
        for nothing in [None, Some(""), Some("{}"), Some("null")] {
            assert!(Filters::parse(nothing).unwrap().is_empty());
        }
        assert!(Filters::parse(Some("[1]")).is_err());
        assert_eq!(
            Filters::parse(Some(r#"{"x":["y"]}"#)).unwrap().only(&["label"]),
            Err("invalid filter 'x'".into())
        );
    }
}
