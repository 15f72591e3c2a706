//! The fleet file, from its JSON Schema.

use std::fmt::Write as _;

use serde_json::Value;
use wharf::Entry;

use super::cell;

pub(super) fn page(drivers: &[Entry]) -> String {
    let schema = wharf::describe::fleet_schema(drivers);
    let mut page =
        "# The fleet file\n\nWhat may stand in it, from the schema that `wharf schema` prints for editors. \
                    [Fleets](../fleets.md) says how it is used.\n\n## At the top\n\n"
            .to_owned();
    table(&mut page, &schema["properties"]);
    page += "\n## In a group, and in `defaults`\n\n";
    let group = &schema["$defs"]["group"]["properties"];
    table(&mut page, group);
    page += "\n`options` takes the [options of the drivers](options.md), with or without the driver's name in front; what is \
             a person's own (how to sign in, above all) is none of them and stays in each person's environment or profile.\n";
    page += "\n## In `engine`\n\n";
    table(&mut page, &group["engine"]["properties"]);
    page
}

fn table(page: &mut String, properties: &Value) {
    *page += "| key | value | what it says |\n|---|---|---|\n";
    for (key, schema) in properties.as_object().into_iter().flatten() {
        let what = schema["description"].as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{key}` | {} | {} |", kind(schema), cell(what));
    }
}

/// What a schema takes, in words.
fn kind(schema: &Value) -> String {
    if schema["$ref"].is_string() {
        return "a group".to_owned();
    }
    if let Some(several) = schema["oneOf"].as_array() {
        let kinds: Vec<String> = several.iter().map(kind).collect();
        return kinds.join(", or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match names.as_slice() {
        ["array"] if schema["items"]["pattern"].is_string() => "a list of `KEY=VALUE`".to_owned(),
        ["array"] => "a list".to_owned(),
        ["boolean", ..] => "`true` or `false`".to_owned(),
        ["object", ..] => "a map".to_owned(),
        _ => "text".to_owned(),
    }
}
