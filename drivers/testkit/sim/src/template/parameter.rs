//! A template's parameters: what was sent, what is usual, and whether it fits.

use serde_json::{Map, Value, json};

use super::Fresh;
use super::scope::{Place, Scope, named, plain};

/// The values, and how an answer shows them.
pub(super) fn read(
    declared: &Value,
    sent: &Value,
    place: &Place,
    fresh: &Fresh,
) -> Result<(Map<String, Value>, Value), String> {
    let declared = declared.as_object().cloned().unwrap_or_default();
    let sent = sent.as_object().cloned().unwrap_or_default();
    let strangers: Vec<&str> =
        sent.keys().filter(|name| named(&declared, name).is_none()).map(String::as_str).collect();
    if !strangers.is_empty() {
        let known = declared.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "The template parameters '{}' in the parameters file are not valid; they are not present in the original \
             template and can therefore not be provided at deployment time. The only supported parameters for this \
             template are '{known}'. Please see https://aka.ms/arm-pass-parameter-values for usage details.",
            strangers.join(", ")
        ));
    }
    let (mut values, mut shown) = (Map::new(), Map::new());
    for (name, declaration) in &declared {
        let value = match named(&sent, name) {
            Some(given) if !given["reference"].is_null() => {
                return Err(format!(
                    "The simulator has no key vault from which the parameter '{name}' could be taken."
                ));
            }
            Some(given) if given.get("value").is_some() => given["value"].clone(),
            _ => usual(name, declaration, &values, place, fresh)?,
        };
        fits(name, declaration, &value)?;
        let kind = declaration["type"].as_str().unwrap_or_default();
        let secret = kind.to_ascii_lowercase().starts_with("secure");
        let kind = proper(kind);
        shown.insert(
            name.clone(),
            if secret { json!({"type": kind}) } else { json!({"type": kind, "value": value}) },
        );
        values.insert(name.clone(), value);
    }
    Ok((values, Value::Object(shown)))
}

/// A default may name the parameters before it.
fn usual(
    name: &str,
    declaration: &Value,
    before: &Map<String, Value>,
    place: &Place,
    fresh: &Fresh,
) -> Result<Value, String> {
    let Some(default) = declaration.get("defaultValue") else {
        if declaration["nullable"] == true {
            return Ok(Value::Null);
        }
        return Err(format!(
            "The value for the template parameter '{name}' at line '1' and column '1' is not provided. Please see \
             https://aka.ms/arm-create-parameter-file for usage details."
        ));
    };
    let none = Map::new();
    let scope = Scope {
        place,
        parameters: before,
        variables: &none,
        turns: Vec::new(),
        look: None,
        default: Some(fresh),
    };
    scope.evaluate(default).map_err(super::Trouble::why)
}

/// A type as answers spell it.
pub(super) fn proper(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "securestring" => "SecureString",
        "int" => "Int",
        "bool" => "Bool",
        "object" => "Object",
        "secureobject" => "SecureObject",
        "array" => "Array",
        _ => "String",
    }
}

fn fits(name: &str, declaration: &Value, value: &Value) -> Result<(), String> {
    let kind = declaration["type"].as_str().unwrap_or_default();
    let (expected, right) = match kind.to_ascii_lowercase().as_str() {
        "string" | "securestring" => ("String, Uri", value.is_string()),
        "int" => ("Integer", value.is_i64()),
        "bool" => ("Boolean", value.is_boolean()),
        "object" | "secureobject" => ("Object", value.is_object()),
        "array" => ("Array", value.is_array()),
        _ => return Err(format!("Template parameter type '{kind}' of '{name}' is not valid.")),
    };
    let absent = value.is_null() && declaration["nullable"] == true;
    if !right && !absent {
        return Err(format!(
            "Template parameter JToken type is not valid. Expected '{expected}'. Actual value '{value}' of '{name}'. Please \
             see https://aka.ms/arm-create-parameter-file for usage details."
        ));
    }
    let refuse = |why: String| {
        Err(format!("The provided value for the template parameter '{name}' is not valid. {why}"))
    };
    if let Some(allowed) = declaration["allowedValues"].as_array() {
        let inside = |v: &Value| allowed.iter().any(|a| plain(a).eq_ignore_ascii_case(&plain(v)));
        // Of a list, each item must be allowed.
        let right = value.as_array().map_or_else(|| inside(value), |items| items.iter().all(inside));
        if !right {
            let allowed = allowed.iter().map(plain).collect::<Vec<_>>().join(",");
            return refuse(format!(
                "The value '{}' is not part of the allowed value(s): '{allowed}'.",
                plain(value)
            ));
        }
    }
    let length = value.as_str().map(|text| text.chars().count()).or(value.as_array().map(Vec::len));
    let length = length.and_then(|length| i64::try_from(length).ok());
    for (measure, least, most) in [
        (length, &declaration["minLength"], &declaration["maxLength"]),
        (value.as_i64(), &declaration["minValue"], &declaration["maxValue"]),
    ] {
        let Some(measure) = measure else { continue };
        if least.as_i64().is_some_and(|least| measure < least)
            || most.as_i64().is_some_and(|most| measure > most)
        {
            return refuse(format!("'{measure}' is not between '{least}' and '{most}'."));
        }
    }
    Ok(())
}
