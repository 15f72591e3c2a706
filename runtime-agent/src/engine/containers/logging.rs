//! A container's log driver: which options it takes, what they must look like, and what they put beside each line.
//!
//! Both drivers that write do so from the shim to the local disk and wait for nobody else, so `mode` and
//! `max-buffer-size` change nothing that a container could notice; they are checked and kept.

use std::collections::BTreeMap;

use regex_lite::Regex;
use wharfd_api_types::container::{ContainerConfig, LogConfig};

use super::check::size;
use super::record::ContainerRecord;
use crate::engine::error::{Error, Result};

/// Refuses a driver or an option that is not known, and a value that cannot be read.
pub(super) fn check(log: &LogConfig) -> Result<()> {
    match log.kind.as_str() {
        "none" if log.config.is_empty() => Ok(()),
        "none" => Err(Error::invalid("log options are not supported by the log driver none")),
        kind @ ("" | "json-file" | "local") => {
            let kind = if kind.is_empty() { "json-file" } else { kind };
            log.config.iter().try_for_each(|(key, value)| option(kind, key, value))?;
            together(&log.config)
        }
        other => Err(Error::invalid(format!("logger: no log driver named '{other}' is registered"))),
    }
}

/// What stands beside each line, by the options `labels`, `env`, their patterns, and `tag`.
pub(super) fn attributes(record: &ContainerRecord) -> BTreeMap<String, String> {
    let options = &record.host.log_config.config;
    let mut attributes = BTreeMap::new();
    if record.host.log_config.kind != "json-file" {
        return attributes;
    }
    let labels = record.config.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let named = |list: &str, pattern: &str| {
        let list = options.get(list).map(String::as_str).unwrap_or_default();
        let names: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let pattern =
            options.get(pattern).filter(|text| !text.is_empty()).and_then(|text| Regex::new(text).ok());
        move |key: &str| {
            names.iter().any(|name| name == key)
                || pattern.as_ref().is_some_and(|pattern| pattern.is_match(key))
        }
    };
    let wanted = named("labels", "labels-regex");
    attributes.extend(labels.filter(|(key, _)| wanted(key)).map(owned));
    let wanted = named("env", "env-regex");
    attributes.extend(environment(&record.config).filter(|(key, _)| wanted(key)).map(owned));
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        // Checked at create.
        attributes.extend(tag(template, record).map(|tag| ("tag".to_owned(), tag)));
    }
    attributes
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn environment(config: &ContainerConfig) -> impl Iterator<Item = (&str, &str)> {
    config.env.iter().flatten().filter_map(|line| line.split_once('='))
}

fn option(kind: &str, key: &str, value: &str) -> Result<()> {
    let pattern = |text: &str| Regex::new(text).is_ok();
    let good = match key {
        "max-size" => value == "-1" || size(value).is_some_and(|size| size > 0),
        "max-file" => value.parse::<u32>().is_ok_and(|count| count > 0),
        "max-buffer-size" => size(value).is_some(),
        "compress" => BOOLEANS.iter().any(|(text, _)| *text == value),
        "mode" if !matches!(value, "" | "blocking" | "non-blocking") => {
            return Err(Error::invalid(format!("logger: logging mode not supported: {value}")));
        }
        "mode" => true,
        "labels" | "env" if kind == "json-file" => true,
        "labels-regex" | "env-regex" if kind == "json-file" => pattern(value),
        "tag" if kind == "json-file" => pieces(value).is_some(),
        _ => return Err(Error::invalid(format!("unknown log opt '{key}' for {kind} log driver"))),
    };
    if good { Ok(()) } else { Err(Error::invalid(format!("invalid value for log opt '{key}': {value}"))) }
}

/// What one option makes of another.
fn together(options: &BTreeMap<String, String>) -> Result<()> {
    if options.contains_key("max-buffer-size")
        && options.get("mode").is_none_or(|mode| mode != "non-blocking")
    {
        return Err(Error::invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    let size = options.get("max-size").is_some_and(|size| size != "-1");
    let files = options.get("max-file").and_then(|count| count.parse::<u32>().ok()).unwrap_or(1);
    if compresses(options) && !(size && files > 1) {
        return Err(Error::invalid(
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ));
    }
    Ok(())
}

/// Whether files that are full are packed.
pub(super) fn compresses(options: &BTreeMap<String, String>) -> bool {
    let wanted = options.get("compress").map(String::as_str).unwrap_or_default();
    BOOLEANS.iter().any(|(text, yes)| *text == wanted && *yes)
}

fn tag(template: &str, record: &ContainerRecord) -> Option<String> {
    let image = record.image.to_string();
    let digits = image.trim_start_matches("sha256:");
    let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    let words = pieces(template)?.into_iter().map(|piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Field(".ID") => short(&record.id),
        Piece::Field(".FullID") => record.id.clone(),
        Piece::Field(".Name") => record.name.clone(),
        Piece::Field(".ImageID") => short(digits),
        Piece::Field(".ImageFullID") => image.clone(),
        Piece::Field(".ImageName") => record.config.image.clone(),
        // The daemon's own.
        Piece::Field(_) => "wharfd".to_owned(),
    });
    Some(words.collect())
}

/// A part of a tag's template.
enum Piece<'a> {
    Text(&'a str),
    Field(&'a str),
}

/// The template's parts, if its fields are known.
fn pieces(template: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (field, after) = behind.split_once("}}")?;
        let field = field.trim_matches(|c: char| c == '-' || c.is_whitespace());
        if !FIELDS.contains(&field) {
            return None;
        }
        pieces.extend([Piece::Text(before), Piece::Field(field)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

const FIELDS: [&str; 7] =
    [".ID", ".FullID", ".Name", ".ImageID", ".ImageFullID", ".ImageName", ".DaemonName"];
const BOOLEANS: [(&str, bool); 10] = [
    ("1", true),
    ("t", true),
    ("true", true),
    ("True", true),
    ("TRUE", true),
    ("0", false),
    ("f", false),
    ("false", false),
    ("False", false),
    ("FALSE", false),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(log: &str) -> Option<String> {
        check(&serde_json::from_str(log).unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn options_are_checked_alone_and_together() {
        for (config, text) in [
            (r#""mode":"bogus""#, "logging mode not supported: bogus"),
            (r#""max-buffer-size":"1m""#, "only supported with 'mode=non-blocking'"),
            (r#""labels-regex":"[""#, "invalid value for log opt 'labels-regex'"),
            (r#""compress":"maybe""#, "invalid value for log opt 'compress'"),
            (r#""compress":"true""#, "compress cannot be true"),
            (r#""compress":"true","max-size":"1m","max-file":"1""#, "compress cannot be true"),
            (r#""tag":"{{.Bogus}}""#, "invalid value for log opt 'tag'"),
            (r#""tag":"{{.ID""#, "invalid value for log opt 'tag'"),
            (r#""bogus":"x""#, "unknown log opt 'bogus' for json-file log driver"),
        ] {
            let message = refusal(&format!(r#"{{"Type":"json-file","Config":{{{config}}}}}"#)).unwrap();
            assert!(message.contains(text), "{config}: {message}");
        }
        let all = r#"{"Type":"","Config":{"max-size":"1m","max-file":"2","compress":"true","mode":"non-blocking",
            "max-buffer-size":"4m","labels":"a","labels-regex":"^b","env":"C","env-regex":"^D","tag":"{{.Name}}/{{.ID}}"}}"#;
        assert_eq!(refusal(all), None);
        assert!(
            refusal(r#"{"Type":"local","Config":{"tag":"x"}}"#).unwrap().contains("for local log driver")
        );
    }

    #[test]
    fn attributes_are_what_was_asked_for() {
        let record = r#"{"id":"0123456789abcdef","name":"web","created":"2026-01-02T03:04:05Z",
            "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "config":{"Image":"busybox","Labels":{"a":"1","b.x":"2","c":"3"},"Env":["A=x","B=y=z","C"]},
            "host":{"LogConfig":{"Type":"json-file","Config":{"labels":"a,nope","labels-regex":"^b","env":"B",
                "tag":"{{.Name}}/{{.ID}} {{ .ImageName }} {{.ImageID}}"}}},
            "endpoints":[],"mounts":[],"state":{"status":"created","boot":"b"}}"#;
        let record: ContainerRecord = serde_json::from_str(record).unwrap();
        let shown: Vec<String> = attributes(&record).iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(shown, ["B=y=z", "a=1", "b.x=2", "tag=web/0123456789ab busybox 2cf24dba5fb0"]);
    }
}
