//! Go templates, which docker-machine's scripts say with `--format` what they want to read.
//!
//! `table` in front makes columns with a heading of what tabs part. `json` and `prettyjson` are there as functions, and
//! `\t` and `\n` as people type them in a shell.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{TemplateError, Value};
use serde::Serialize;
use serde_json::json;

use super::Table;
use crate::error::{Error, Result};

/// A template that was understood.
pub(crate) struct Template {
    template: gotmpl::Template,
    table: bool,
}

impl Template {
    /// Parses what stands behind `--format`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (table, text) = match text.strip_prefix("table") {
            Some(rest) if rest.is_empty() || rest.starts_with([' ', '{', '\\', '\t']) => (true, rest),
            _ => (false, text),
        };
        let text = text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
        let template = gotmpl::Template::new("")
            .func("json", |arguments| written(arguments, false))
            .func("prettyjson", |arguments| written(arguments, true))
            .missing_key(gotmpl::MissingKey::Error)
            .parse(&text)
            .map_err(|error| wrong(&error))?;
        Ok(Self { template, table })
    }

    /// One thing as the template says, without a line's end.
    pub(crate) fn render(&self, value: &impl Serialize) -> Result<String> {
        let value = gotmpl::to_value(value).map_err(|error| wrong(&error))?;
        self.template.execute_to_string(&value).map_err(|error| wrong(&error))
    }

    /// Several things, one a line; below `headings` where columns are wanted.
    pub(crate) fn rows(&self, headings: &impl Serialize, rows: &[impl Serialize]) -> Result<String> {
        let lines = rows.iter().map(|row| self.render(row)).collect::<Result<Vec<_>>>()?;
        if !self.table {
            return Ok(lines.iter().map(|line| format!("{line}\n")).collect());
        }
        let headings = self.render(headings)?;
        let mut table = Table::new(&headings.split('\t').collect::<Vec<_>>());
        for line in lines {
            table.row(line.split('\t').map(str::to_owned));
        }
        Ok(table.to_string())
    }
}

fn wrong(error: &TemplateError) -> Error {
    Error::usage(format!("the template is wrong: {error}"))
        .hint("a Go template, such as '{{.Name}} is {{.State}}', or 'table {{.Name}}\\t{{.URL}}'")
}

/// The one argument as JSON.
fn written(arguments: &[Value], pretty: bool) -> gotmpl::Result<Value> {
    let [value] = arguments else {
        return Err(TemplateError::Exec(format!("json takes one argument, not {}", arguments.len())));
    };
    let value = as_json(value);
    let text = if pretty { pretty_json(&value) } else { value.to_string() };
    Ok(Value::from(text))
}

/// Indented by four spaces, as docker-machine did.
fn pretty_json(value: &serde_json::Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, formatter);
    match value.serialize(&mut writer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => value.to_string(),
    }
}

fn as_json(value: &Value) -> serde_json::Value {
    let object = |map: &Arc<BTreeMap<Arc<str>, Value>>| {
        map.iter().map(|(key, value)| (key.to_string(), as_json(value))).collect()
    };
    match value {
        Value::Bool(on) => json!(on),
        Value::Int(number) => json!(number),
        Value::Uint(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::String(text) => json!(text.as_ref()),
        Value::List(list) => list.iter().map(as_json).collect(),
        Value::Map(map) => serde_json::Value::Object(object(map)),
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String> {
        let value = json!({ "Name": "web", "Driver": { "IPAddress": "192.0.2.7" }, "Tags": ["a", "b"] });
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn scripts_read_what_they_ask_for() {
        assert_eq!(render("{{.Name}} at {{.Driver.IPAddress}}").unwrap(), "web at 192.0.2.7");
        assert_eq!(render("{{json .Driver}}").unwrap(), r#"{"IPAddress":"192.0.2.7"}"#);
        assert_eq!(render("{{range .Tags}}{{.}};{{end}}").unwrap(), "a;b;");
        assert_eq!(render(r"{{.Name}}\t{{prettyjson .Tags}}").unwrap(), "web\t[\n    \"a\",\n    \"b\"\n]");
    }

    #[test]
    fn a_wrong_template_is_a_wrong_usage() {
        for wrong in ["{{.Name", "{{.Nmae}}", "{{json}}", "{{nothing .Name}}"] {
            let error = render(wrong).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Usage, "{wrong}: {error}");
        }
    }

    #[test]
    fn columns_have_headings() {
        let rows =
            [json!({ "Name": "web", "State": "Running" }), json!({ "Name": "db", "State": "Stopped" })];
        let headings = json!({ "Name": "NAME", "State": "STATE" });
        let shown = |template: &str| Template::parse(template).unwrap().rows(&headings, &rows).unwrap();
        assert_eq!(shown(r"table {{.Name}}\t{{.State}}"), "NAME   STATE\nweb    Running\ndb     Stopped\n");
        assert_eq!(shown("{{.Name}}:{{.State}}"), "web:Running\ndb:Stopped\n");
        assert_eq!(shown("tables: {{.Name}}"), "tables: web\ntables: db\n");
    }
}
