//! A machine as docker-machine's templates name its parts.

use std::time::Duration;

use serde::Serialize;

use super::Row;

/// What a template sees of a machine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item<'a> {
    name: &'a str,
    active: &'static str,
    active_host: bool,
    driver_name: &'a str,
    state: &'a str,
    #[serde(rename = "URL")]
    url: &'a str,
    /// The standalone Swarm is dead: always empty.
    swarm: &'static str,
    engine_options: Options<'a>,
    error: String,
    docker_version: String,
    response_time: String,
}

/// The engine's options.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Options<'a> {
    arbitrary_flags: &'a [String],
    labels: &'a [String],
    insecure_registry: &'a [String],
    registry_mirror: &'a [String],
}

/// What stands above columns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Headings {
    name: &'static str,
    active: &'static str,
    active_host: &'static str,
    driver_name: &'static str,
    state: &'static str,
    #[serde(rename = "URL")]
    url: &'static str,
    swarm: &'static str,
    engine_options: &'static str,
    error: &'static str,
    docker_version: &'static str,
    response_time: &'static str,
}

pub(super) const HEADINGS: Headings = Headings {
    name: "NAME",
    active: "ACTIVE",
    active_host: "ACTIVE_HOST",
    driver_name: "DRIVER",
    state: "STATE",
    url: "URL",
    swarm: "SWARM",
    engine_options: "ENGINE_OPTIONS",
    error: "ERRORS",
    docker_version: "DOCKER",
    response_time: "RESPONSE",
};

impl<'a> Item<'a> {
    pub(super) fn of(row: &'a Row) -> Self {
        let options = &row.options;
        Self {
            name: row.name.as_str(),
            active: if row.active { "*" } else { "-" },
            active_host: row.active,
            driver_name: row.driver.as_deref().unwrap_or_default(),
            state: &row.state,
            url: row.url.as_deref().unwrap_or_default(),
            swarm: "",
            engine_options: Options {
                arbitrary_flags: &options.arguments,
                labels: &options.labels,
                insecure_registry: &options.insecure_registries,
                registry_mirror: &options.registry_mirrors,
            },
            error: row.errors.join("; "),
            docker_version: row.docker.as_ref().map_or("Unknown".to_owned(), |version| format!("v{version}")),
            response_time: took(row.took),
        }
    }
}

/// As Go writes a short span of time.
fn took(span: Duration) -> String {
    let milliseconds = span.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 {
        format!("{milliseconds:.3}ms")
    } else {
        format!("{:.3}s", milliseconds / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        assert_eq!(took(Duration::from_micros(1_234)), "1.234ms");
        assert_eq!(took(Duration::from_millis(2_500)), "2.500s");
    }
}
