//! Results and errors as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// `value`, indented, with a line's end.
pub(super) fn pretty(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::failed("the result cannot be written as JSON").caused_by(&e))?;
    Ok(text + "\n")
}

/// An error as one object.
pub(super) fn object(error: &Error, machine: Option<&str>) -> Value {
    let facts: Map<String, Value> =
        error.facts.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut object = serde_json::json!({
        "error": error.message,
        "kind": format!("{:?}", error.kind),
        "code": error.kind.exit_code(),
        "causes": error.causes,
        "facts": facts,
        "hint": error.advice(),
    });
    if let (Some(machine), Some(fields)) = (machine, object.as_object_mut()) {
        fields.insert("machine".into(), machine.into());
    }
    object
}
