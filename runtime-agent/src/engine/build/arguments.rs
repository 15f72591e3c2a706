//! `ARG`s: which are declared where, and what they are worth.

use std::collections::{BTreeMap, BTreeSet};

type Values = BTreeMap<String, Option<String>>;

/// What is declared so far. A stage has its own, which begins without declarations.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments {
    /// As the client gave them.
    given: Values,
    /// Before the first stage, with their defaults.
    before: Values,
    /// In this stage.
    declared: Values,
    referenced: BTreeSet<String>,
}

impl Arguments {
    pub(super) const fn new(given: Values) -> Self {
        Self { given, before: BTreeMap::new(), declared: BTreeMap::new(), referenced: BTreeSet::new() }
    }

    /// An `ARG` before the first stage.
    pub(super) fn declare_before(&mut self, name: &str, default: Option<String>) {
        self.declare(name, default.clone());
        self.before.insert(name.to_owned(), default);
    }

    pub(super) fn declare(&mut self, name: &str, default: Option<String>) {
        self.referenced.insert(name.to_owned());
        self.declared.insert(name.to_owned(), default);
    }

    /// The same for a new stage.
    pub(super) fn for_stage(&self) -> Self {
        Self { declared: Values::new(), ..self.clone() }
    }

    /// Takes note of what a stage declared.
    pub(super) fn refer(&mut self, stage: &Self) {
        self.referenced.extend(stage.referenced.iter().cloned());
    }

    /// The value of one that was declared before the first stage, for `FROM`.
    pub(super) fn before(&self, name: &str) -> Option<String> {
        self.value(name, &self.before)
    }

    /// The value of one that is declared here.
    pub(super) fn here(&self, name: &str) -> Option<String> {
        self.value(name, &self.declared)
    }

    /// `name=value` of all that have one and that the environment does not set.
    pub(super) fn variables(&self, environment: &[String]) -> Vec<String> {
        let set = |name: &str| environment.iter().any(|line| line.split('=').next() == Some(name));
        let names: BTreeSet<&str> =
            self.declared.keys().map(String::as_str).chain(PREDEFINED.iter().copied()).collect();
        let known = names.into_iter().filter(|name| !set(name));
        known.filter_map(|name| self.here(name).map(|value| format!("{name}={value}"))).collect()
    }

    /// Whether the history and the cache know of it: predefined ones only where the Dockerfile names them.
    pub(super) fn is_shown(&self, name: &str) -> bool {
        self.referenced.contains(name) || !PREDEFINED.contains(&name)
    }

    /// Given, and never declared.
    pub(super) fn unused(&self) -> Vec<&str> {
        let names = self.given.keys().map(String::as_str);
        names.filter(|name| !self.referenced.contains(*name) && !PREDEFINED.contains(name)).collect()
    }

    fn value(&self, name: &str, declared: &Values) -> Option<String> {
        if !declared.contains_key(name) && !PREDEFINED.contains(&name) {
            return None;
        }
        let given = self.given.get(name).cloned().flatten();
        given
            .or_else(|| declared.get(name).cloned().flatten())
            .or_else(|| self.before.get(name).cloned().flatten())
    }
}

/// Those that need no `ARG`: where the network's proxies are.
const PREDEFINED: &[&str] = &[
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, Option<&str>)]) -> Arguments {
        Arguments::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect())
    }

    #[test]
    fn the_client_goes_before_the_default_and_the_stage_before_the_file() {
        let mut arguments = given(&[("a", Some("1")), ("n", None)]);
        arguments.declare_before("a", Some("x".into()));
        arguments.declare_before("b", Some("y".into()));
        let mut stage = arguments.for_stage();
        assert_eq!(
            (stage.here("a"), stage.before("a"), stage.before("b")),
            (None, Some("1".into()), Some("y".into()))
        );
        stage.declare("b", None);
        stage.declare("c", Some("z".into()));
        assert_eq!(stage.variables(&["c=1".to_owned()]), ["b=y"], "without what the environment has");
        assert_eq!(stage.here("n"), None);
    }

    #[test]
    fn proxies_need_no_declaration_and_do_not_show() {
        let mut arguments = given(&[("HTTP_PROXY", Some("p")), ("other", Some("o"))]);
        assert_eq!(arguments.variables(&[]), ["HTTP_PROXY=p"]);
        assert!(!arguments.is_shown("HTTP_PROXY"));
        assert_eq!(arguments.unused(), ["other"]);
        arguments.declare("HTTP_PROXY", None);
        assert!(arguments.is_shown("HTTP_PROXY"));
    }
}
