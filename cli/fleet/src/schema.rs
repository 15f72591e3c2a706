//! The file's JSON Schema, for editors that complete and check while somebody writes.

use serde_json::{Map, Value, json};

use crate::certificate::CERTIFICATE;
use crate::decode::{ENGINE, GROUP, TOP};
use crate::hook::HOOK;

/// One option of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Option {
    /// Its name in the file.
    pub name: String,
    /// Its driver's name.
    pub driver: String,
    /// What it does, in a line.
    pub help: String,
    /// Whether it takes several values.
    pub many: bool,
    /// Whether it is true or false.
    pub switch: bool,
}

/// The schema of fleet files for drivers with these options.
#[must_use]
pub fn schema(drivers: &[String], options: &[Option]) -> Value {
    let group = json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": group(drivers, options),
    });
    let top = [
        described(
            json!({ "type": "string", "maxLength": 63 }),
            "The fleet's name, which its machines remember",
        ),
        described(
            json!({ "type": "array", "items": { "type": "string" } }),
            "The only variables that the file may name",
        ),
        described(
            json!({ "$ref": "#/$defs/group" }),
            "What holds for every group that does not say otherwise",
        ),
        described(
            json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/group" } }),
            "Groups of machines by name pattern: web-{1..5}, {api,worker}-{01..10}",
        ),
        described(
            json!({ "type": "object", "additionalProperties": certificate() }),
            "Client certificates that colleagues and jobs are to have, by whose they are",
        ),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wharf fleet",
        "type": "object",
        "additionalProperties": false,
        "properties": under(&TOP, top),
        "$defs": { "group": group },
    })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn under<const N: usize>(keys: &[&str; N], schemas: [Value; N]) -> Map<String, Value> {
    keys.iter().zip(schemas).map(|(key, schema)| ((*key).to_owned(), schema)).collect()
}

/// One value, as YAML writes it.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// One or several.
fn texts() -> Value {
    json!({ "oneOf": [text(), { "type": "array", "items": text() }] })
}

/// A map, or a list of `key=value`.
fn pairs() -> Value {
    json!({ "oneOf": [
        { "type": "object", "additionalProperties": text() },
        { "type": "array", "items": { "type": "string", "pattern": "^[^=]+=" } },
    ] })
}

/// The drivers' options; one that several drivers have says what it does in each.
fn known(options: &[Option]) -> Map<String, Value> {
    let mut known = Map::new();
    for option in options {
        let schema = match (option.switch, option.many) {
            (true, _) => json!({ "type": ["boolean", "string"] }),
            (false, true) => texts(),
            (false, false) => text(),
        };
        let entry = known.entry(option.name.clone()).or_insert_with(|| described(schema, ""));
        let said = entry["description"].as_str().unwrap_or_default();
        let own = format!("{}: {}", option.driver, option.help);
        entry["description"] = json!(if said.is_empty() { own } else { format!("{said}\n{own}") });
    }
    known
}

fn certificate() -> Value {
    let certificate = [
        described(json!({ "enum": ["reader", "operator", "admin"] }), "What its holder may do"),
        described(text(), "How long one is good: 8h, 30d, a year at most; thirty days where nothing is said"),
        described(
            json!({ "type": "string" }),
            "Where ca.pem, cert.pem and key.pem are put, beside this file; kept out of version control",
        ),
        described(
            json!({ "type": "string" }),
            "The one machine that it opens; every machine of the store where nothing is said",
        ),
    ];
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["role", "folder"],
        "properties": under(&CERTIFICATE, certificate),
    })
}

fn hook() -> Value {
    let hook = [
        described(
            json!({ "enum": ["here", "machine"] }),
            "Where it runs: here, or on the machine as who signs in there",
        ),
        described(
            json!({ "type": "string" }),
            "A line for a shell; the facts about the machine are on its standard input, and nothing is put into it",
        ),
        described(texts(), "The variables that it gets, of those that the file may name"),
        described(text(), "How long it may take: 90s, 5m, 1h; ten minutes where nothing is said"),
    ];
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "required": ["on", "run"],
        "properties": under(&HOOK, hook),
    })
}

fn group(drivers: &[String], options: &[Option]) -> Map<String, Value> {
    let engine = [
        "Registries that are asked before the official one",
        "Registries that are spoken to without a verified certificate",
        "The authorities that registries are believed by: for each registry, a file of certificates beside this one",
        "Further flags of the engine, as FLAG=VALUE",
        "Variables of the engine's environment, such as HTTPS_PROXY",
        "Further names and addresses in the server's certificate",
    ];
    let mut engine = under(&ENGINE, engine.map(|help| described(texts(), help)));
    for key in ["environment", "registry-ca"] {
        engine[key] = described(pairs(), engine[key]["description"].as_str().unwrap_or_default());
    }
    let switch = json!({ "type": ["boolean", "string"] });
    let group = [
        described(json!({ "type": "string", "examples": drivers }), "Where the machines are made"),
        described(json!({ "type": "string" }), "The cloud, as `wharf cloud ls` names it"),
        described(
            json!({ "type": "object", "properties": known(options) }),
            "The flags of `wharf create`, with or without the driver's name in front",
        ),
        described(pairs(), "Labels of the engine"),
        described(
            json!({ "type": "object", "additionalProperties": false, "properties": engine }),
            "What the engine should be",
        ),
        described(switch.clone(), "false makes machines without an engine"),
        described(switch, "Whether docker contexts are written"),
        described(text(), "How long the machines are wanted for, from their making on: 90m, 4h, 7d"),
        described(
            json!({ "type": "object", "additionalProperties": hook() }),
            "Commands that run once for each machine that has joined the fleet, by name",
        ),
    ];
    under(&GROUP, group)
}
