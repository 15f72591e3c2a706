//! What ARM answers when it refuses: status, code, message, target and details, in the words that the real service uses,
//! because clients match on them.

use serde_json::{Value, json};

/// A refusal, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmError {
    /// HTTP status.
    pub status: u16,
    /// The code that clients branch on.
    pub code: String,
    /// The sentence that people read.
    pub message: String,
    /// What it is about, where the service says so.
    pub target: Option<String>,
    /// Nested errors.
    pub details: Vec<Value>,
    /// Headers that go with it.
    pub headers: Vec<(&'static str, String)>,
}

impl ArmError {
    /// An error with nothing but status, code and message.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, message, target: None, details: Vec::new(), headers: Vec::new() }
    }

    /// A 400.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// A 409.
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(409, code, message)
    }

    /// Says what it is about.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Adds a nested error.
    #[must_use]
    pub fn detail(mut self, code: &str, message: impl Into<String>) -> Self {
        self.details.push(json!({"code": code, "message": message.into()}));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The object under `error`.
    pub fn inner(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(target) = &self.target {
            error["target"] = json!(target);
        }
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        error
    }
}

/// The compute provider's complaint about one parameter.
pub(crate) fn parameter(target: &str, message: impl Into<String>) -> ArmError {
    ArmError::bad("InvalidParameter", message).target(target)
}

/// Nothing of that name in the group.
pub(crate) fn resource_not_found(kind: &str, name: &str, group: &str) -> ArmError {
    ArmError::new(
        404,
        "ResourceNotFound",
        format!(
            "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go \
             to https://aka.ms/ARMResourceNotFoundFix"
        ),
    )
}

/// No such group.
pub(crate) fn group_not_found(group: &str) -> ArmError {
    ArmError::new(404, "ResourceGroupNotFound", format!("Resource group '{group}' could not be found."))
}

/// A network resource names another that is not there.
pub(crate) fn invalid_reference(missing: &str, by: &str) -> ArmError {
    ArmError::bad(
        "InvalidResourceReference",
        format!(
            "Resource {missing} referenced by resource {by} was not found. Please make sure that the referenced \
             resource exists, and that both resources are in the same region."
        ),
    )
}

/// A network resource names another that is still being written.
pub(crate) fn not_provisioned(used: &str, by: &str, operation: &str) -> ArmError {
    ArmError::bad(
        "ReferencedResourceNotProvisioned",
        format!(
            "Cannot proceed with operation because resource {used} used by resource {by} is not in Succeeded state. \
             Resource is in Updating state and the last operation that updated/is updating the resource is {operation}."
        ),
    )
}

/// Another write of the same network resource has not ended.
pub(crate) fn in_progress(operation: &str) -> ArmError {
    ArmError::new(
        429,
        "AnotherOperationInProgress",
        format!(
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use \
             uri: {operation}."
        ),
    )
    .header("retry-after", "1")
}
