//! One request, whole and parsed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::error::ArmError;

/// A request that has arrived whole.
#[derive(Debug, Clone)]
pub struct Call {
    /// GET, PUT, …
    pub method: String,
    /// The host that the client named, without the port.
    pub host: String,
    /// The path as sent.
    pub path: String,
    /// The path's parts, decoded.
    pub segments: Vec<String>,
    /// The query, names in lower case.
    pub query: BTreeMap<String, String>,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// Puts a request together.
    pub fn new(method: &str, host: &str, path: &str, query: &str, headers: HeaderMap, body: Bytes) -> Self {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let decode = |part: &str| {
            let pair: Vec<(String, String)> =
                serde_urlencoded::from_str(&format!("p={}", part.replace('+', "%2B"))).unwrap_or_default();
            pair.into_iter().next().map_or_else(|| part.to_owned(), |(_, value)| value)
        };
        Self {
            method: method.to_owned(),
            host: host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
            path: path.to_owned(),
            segments: path.split('/').filter(|part| !part.is_empty()).map(decode).collect(),
            query: pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
            headers,
            body,
        }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        serde_urlencoded::from_bytes::<Vec<(String, String)>>(&self.body)
            .unwrap_or_default()
            .into_iter()
            .collect()
    }

    /// The body as JSON, which ARM wants as an object.
    pub fn json(&self) -> Result<Value, ArmError> {
        self.object(|text| serde_json::from_str(text).map_err(|error| error.to_string()))
    }

    /// The body as JSON in the loose form in which templates are taken: with comments, and names without quotes.
    pub fn loose_json(&self) -> Result<Value, ArmError> {
        self.object(|text| json5::from_str(text).map_err(|error| error.to_string()))
    }

    fn object(&self, read: impl Fn(&str) -> Result<Value, String>) -> Result<Value, ArmError> {
        if self.body.is_empty() {
            return Err(ArmError::bad(
                "MissingRequestBody",
                "The request body is required and cannot be empty.",
            ));
        }
        let json = self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
        if !json {
            let kind = self.header("content-type").unwrap_or_default();
            return Err(ArmError::new(
                415,
                "UnsupportedMediaType",
                format!(
                    "The content media type '{kind}' is not supported. Only 'application/json' is supported."
                ),
            ));
        }
        let invalid = |why: String| {
            ArmError::bad(
                "InvalidRequestContent",
                format!("The request content was invalid and could not be deserialized: '{why}'."),
            )
        };
        let text = std::str::from_utf8(&self.body).map_err(|error| invalid(error.to_string()))?;
        let value = read(text).map_err(invalid)?;
        if value.is_object() { Ok(value) } else { Err(invalid("an object is expected".to_owned())) }
    }
}
