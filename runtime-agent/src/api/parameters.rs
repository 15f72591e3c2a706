//! Query parameters and bodies, read as leniently as dockerd reads them.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use wharfd_api_types::Filters;

use super::error::Refusal;
use crate::engine::error::{Error, Result};

/// Everything behind the question mark; of a name given twice, the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Absent and empty are the same.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// dockerd's idea of truth: everything but a few words for no.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> bool {
        match self.0.get(name) {
            None => default,
            Some(value) => {
                !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
            }
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Error::invalid(format!(
                    "invalid value for {name}: strconv.Atoi: parsing \"{text}\": invalid syntax"
                ))
            })
        };
        self.text(name).map(parse).transpose()
    }

    pub(super) fn filters(&self) -> Result<Filters> {
        Filters::parse(self.text("filters")).map_err(Error::invalid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Refusal> {
        let pairs: std::result::Result<Query<Vec<(String, String)>>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        Ok(Self(pairs?.0.into_iter().collect()))
    }
}

/// A body, or all zero values when there is none.
pub(super) fn body<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T> {
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn truth_is_dockers() {
        let given = parameters(&[("a", "1"), ("b", "true"), ("c", "0"), ("d", "False"), ("e", "")]);
        assert!(given.flag("a") && given.flag("b"));
        assert!(!given.flag("c") && !given.flag("d") && !given.flag("e") && !given.flag("absent"));
        assert!(given.flag_or("absent", true));
    }

    #[test]
    fn numbers_and_bodies_are_refused_when_wrong() {
        let given = parameters(&[("n", "-1"), ("x", "many")]);
        assert_eq!(given.number::<i64>("n").unwrap(), Some(-1));
        assert!(given.number::<i64>("x").is_err());
        assert_eq!(body::<Vec<u8>>(b" \n").unwrap(), Vec::<u8>::new());
        assert!(body::<Vec<u8>>(b"{").is_err());
    }
}
