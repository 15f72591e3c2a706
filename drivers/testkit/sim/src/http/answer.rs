//! What goes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::ArmError;

/// An answer, before it is bytes.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beyond those that every answer has.
    pub headers: Vec<(String, String)>,
    /// The body, where there is one.
    pub body: Option<Value>,
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// This answer, after this long.
    Answer(Answer, Duration),
    /// The connection ends without one.
    Cut,
}

impl Answer {
    /// A status alone.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A status with a body.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    /// A list in ARM's form.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        let items: Vec<Value> = items.into_iter().collect();
        Self::json(200, json!({"value": items}))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl From<ArmError> for Answer {
    fn from(error: ArmError) -> Self {
        let mut answer = Self::json(error.status, json!({"error": error.inner()}));
        answer.headers =
            error.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        answer.header("x-ms-failure-cause", "gateway")
    }
}
