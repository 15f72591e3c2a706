//! Query parameters and bodies, read as leniently as dockerd reads them.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use wharfd_api_types::Filters;

use super::error::Refusal;
use crate::engine::error::{Error, Result};

/// Everything behind the question mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    last: BTreeMap<String, String>,
    all: Vec<(String, String)>,
}

impl Parameters {
    /// Absent and empty are the same.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.last.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Everything under one name, in order.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.all.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// JSON in a parameter; the default when there is none.
    pub(super) fn json<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        let Some(text) = self.text(name) else { return Ok(T::default()) };
        let read = serde_json::from_str::<Option<T>>(text).map(Option::unwrap_or_default);
        read.map_err(|error| Error::invalid(format!("error reading {name}: {error}")))
    }

    /// dockerd's idea of truth: everything but a few words for no.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> bool {
        match self.last.get(name) {
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
        let all = pairs?.0;
        Ok(Self { last: all.iter().cloned().collect(), all })
    }
}

/// A body of JSON. One that says to be something else is refused, as by dockerd, unless it is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(pub(super) Bytes);

impl Sent {
    /// The value, or all zero values when there is no body.
    pub(super) fn read<T: DeserializeOwned + Default>(&self) -> Result<T> {
        body(&self.0)
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
        let bytes = Bytes::from_request(request, state).await?;
        match kind.filter(|kind| !bytes.is_empty() && kind != "application/json") {
            Some(other) => {
                let text = format!("Content-Type specified ({other}) must be 'application/json'");
                Err(Error::invalid(text).into())
            }
            None => Ok(Self(bytes)),
        }
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
        let all: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Parameters { last: all.iter().cloned().collect(), all }
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
