//! The filters of `ls`: of one key any may fit, of several keys all must, as docker-machine had it.

use regex_lite::Regex;

use crate::error::{Error, Result};

/// What machines must be.
#[derive(Debug, Default)]
pub(super) struct Filters {
    names: Vec<Regex>,
    drivers: Vec<String>,
    states: Vec<String>,
    labels: Vec<String>,
}

impl Filters {
    /// Parses all, or says everything that is wrong.
    pub(super) fn parse(given: &[String]) -> Result<Self> {
        let mut filters = Self::default();
        let mut mistakes = Vec::new();
        for filter in given {
            if let Err(mistake) = filters.add(filter) {
                mistakes.push(mistake);
            }
        }
        if mistakes.is_empty() {
            return Ok(filters);
        }
        Err(Error::usage(mistakes.join("\n  "))
            .hint("--filter takes name=REGEX, driver=NAME, state=STATE or label=KEY[=VALUE]"))
    }

    fn add(&mut self, filter: &str) -> Result<(), String> {
        let (key, value) = filter.split_once('=').ok_or(format!("filter `{filter}` is not KEY=VALUE"))?;
        match key {
            "name" => self
                .names
                .push(Regex::new(value).map_err(|e| format!("`{value}` is no regular expression: {e}"))?),
            "driver" => self.drivers.push(value.to_owned()),
            "state" => self.states.push(value.to_owned()),
            "label" => self.labels.push(value.to_owned()),
            other => return Err(format!("machines cannot be filtered by `{other}`")),
        }
        Ok(())
    }

    pub(super) const fn want_state(&self) -> bool {
        !self.states.is_empty()
    }

    pub(super) const fn want_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// What can be told without asking the machine.
    pub(super) fn fit(&self, name: &str, driver: Option<&str>, labels: &[String]) -> bool {
        let labelled = |wanted: &String| {
            labels
                .iter()
                .any(|label| label == wanted || label.split_once('=').is_some_and(|(key, _)| key == wanted))
        };
        (self.names.is_empty() || self.names.iter().any(|regex| regex.is_match(name)))
            && (self.drivers.is_empty()
                || driver.is_some_and(|driver| self.drivers.iter().any(|d| d == driver)))
            && (self.labels.is_empty() || self.labels.iter().any(labelled))
    }

    /// What only the machine can tell.
    pub(super) fn fit_state(&self, state: &str) -> bool {
        self.states.is_empty() || self.states.iter().any(|wanted| wanted.eq_ignore_ascii_case(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(given: &[&str]) -> Result<Filters> {
        Filters::parse(&given.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn any_of_one_key_all_of_several() {
        let both = filters(&["name=^web", "name=^db", "driver=local"]).unwrap();
        assert!(both.fit("web1", Some("local"), &[]));
        assert!(both.fit("db", Some("local"), &[]));
        assert!(!both.fit("web1", Some("ssh"), &[]));
        assert!(!both.fit("mail", Some("local"), &[]));
        assert!(!both.fit("web1", None, &[]));
    }

    #[test]
    fn labels_fit_by_key_or_whole() {
        let labels = ["zone=a".to_owned(), "odd".to_owned()];
        for (filter, fits) in [
            ("label=zone", true),
            ("label=zone=a", true),
            ("label=zone=b", false),
            ("label=odd", true),
            ("label=x", false),
        ] {
            assert_eq!(filters(&[filter]).unwrap().fit("m", None, &labels), fits, "{filter}");
        }
    }

    #[test]
    fn every_wrong_filter_is_named() {
        let error = filters(&["label", "colour=red", "name=("]).unwrap_err();
        for part in ["`label` is not", "`colour`", "`(` is no"] {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
    }
}
