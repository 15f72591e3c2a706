//! The filters of lists and of prune.

use wharfd_api_types::Filters;

use super::Containers;
use super::moment::{self, Moment};
use super::record::Status;
use super::task::Snapshot;
use super::world::World;
use crate::engine::error::{Error, Result};

/// Parsed and looked up once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    filters: Filters,
    /// Made before this.
    before: Option<Moment>,
    /// Made after this.
    since: Option<Moment>,
    /// Of prune.
    until: Option<Moment>,
}

impl Filter {
    /// For lists.
    pub(crate) fn list(containers: &Containers, filters: Filters) -> Result<Self> {
        filters.only(LIST).map_err(Error::invalid)?;
        check_values(&filters)?;
        let made = |key: &str| -> Result<Option<Moment>> {
            let Some(wanted) = filters.get(key).first() else { return Ok(None) };
            Ok(Some(containers.find(wanted)?.snapshot().record.created))
        };
        let (before, since) = (made("before")?, made("since")?);
        Ok(Self { before, since, until: None, filters })
    }

    /// For prune.
    pub(crate) fn prune(filters: Filters) -> Result<Self> {
        filters.only(&["label", "label!", "until"]).map_err(Error::invalid)?;
        let until = match filters.get("until") {
            [] => None,
            [text] => Some(parse_until(text)?),
            _ => return Err(Error::invalid("more than one until filter specified")),
        };
        Ok(Self { filters, until, ..Self::default() })
    }

    /// Whether it names states, so that a list shows more than what runs.
    pub(crate) fn names_states(&self) -> bool {
        ["status", "exited"].iter().any(|key| !self.filters.get(key).is_empty())
    }

    /// Whether it places itself relative to another container, which lists everything too.
    pub(crate) const fn is_relative(&self) -> bool {
        self.before.is_some() || self.since.is_some()
    }

    pub(crate) fn keeps(&self, world: &World, snapshot: &Snapshot) -> bool {
        let record = &snapshot.record;
        let state = &record.state;
        let any = |key: &str, matches: &dyn Fn(&str) -> bool| self.filters.all(key, matches);
        let made = record.created;
        self.before.is_none_or(|before| made < before)
            && self.since.is_none_or(|since| made > since)
            && self.until.is_none_or(|until| made < until)
            && self.filters.get("label").iter().all(|wanted| has_label(snapshot, wanted))
            && !self.filters.get("label!").iter().any(|wanted| has_label(snapshot, wanted))
            && any("status", &|status| status == state.status.as_str())
            && any("id", &|id| record.id.starts_with(id))
            && any("name", &|name| matches_name(&record.name, name))
            && any("exited", &|code| {
                let never = state.started.is_none() || state.status.is_running();
                !never && code.parse() == Ok(state.exit_code)
            })
            && any("ancestor", &|image| is_ancestor(world, snapshot, image))
            && any("volume", &|volume| {
                let is = |path: &std::path::Path| path == std::path::Path::new(volume);
                record
                    .mounts
                    .iter()
                    .any(|mount| mount.volume.as_deref() == Some(volume) || is(&mount.destination))
            })
            && any("network", &|network| {
                let ends = record.endpoints.iter().map(|(name, end)| (name, end)).chain(&state.connected);
                ends.into_iter().any(|(name, end)| {
                    name == network || (!end.network_id.is_empty() && end.network_id.starts_with(network))
                })
            })
            && any("health", &|health| health == state.health.as_ref().map_or("none", |h| h.status.as_str()))
            && any("is-task", &|value| matches!(value, "false" | "0"))
            && any("isolation", &|isolation| matches!(isolation, "" | "default"))
            && any("publish", &|port| is_port(&state.ports.keys().collect::<Vec<_>>(), port))
            && any("expose", &|port| {
                is_port(
                    &record.config.exposed_ports.iter().flatten().map(|(port, _)| port).collect::<Vec<_>>(),
                    port,
                )
            })
    }
}

fn check_values(filters: &Filters) -> Result<()> {
    const STATES: [Status; 7] = [
        Status::Created,
        Status::Running,
        Status::Paused,
        Status::Restarting,
        Status::Removing,
        Status::Exited,
        Status::Dead,
    ];
    for status in filters.get("status") {
        if !STATES.iter().any(|known| known.as_str() == status) {
            return Err(Error::invalid(format!(
                "invalid filter 'status={status}': invalid value for state ({status}): must be one of created, \
                 running, paused, restarting, removing, exited, dead"
            )));
        }
    }
    const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];
    if let Some(other) = filters.get("health").iter().find(|value| !HEALTH.contains(&value.as_str())) {
        return Err(Error::invalid(format!("Unrecognised filter value for health: {other}")));
    }
    const BOOLEANS: [&str; 4] = ["true", "false", "1", "0"];
    if let Some(other) = filters.get("is-task").iter().find(|value| !BOOLEANS.contains(&value.as_str())) {
        return Err(Error::invalid(format!("invalid filter 'is-task=[{other}]'")));
    }
    for key in ["publish", "expose"] {
        if let Some(port) = filters.get(key).iter().find(|port| ports_of(port).is_none()) {
            return Err(Error::invalid(format!("invalid filter '{key}={port}': it is no port")));
        }
    }
    match filters.get("exited").iter().find(|code| code.parse::<i32>().is_err()) {
        Some(code) => Err(Error::invalid(format!("invalid filter 'exited={code}'"))),
        None => Ok(()),
    }
}

/// A duration back from now, or a point in time.
fn parse_until(text: &str) -> Result<Moment> {
    let units = |unit: &str| match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let mut seconds = 0_i128;
    let mut rest = text;
    while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let (number, behind) = rest.split_at(end);
        let (unit, behind) = behind.split_at(1);
        match (number.parse::<i128>(), units(unit)) {
            (Ok(number), Some(unit)) => seconds += number * unit,
            _ => break,
        }
        rest = behind;
        if rest.is_empty() {
            let moment = Moment::from_nanoseconds(Moment::now().nanoseconds() - seconds * 1_000_000_000);
            return moment.ok_or_else(|| Error::invalid(format!("invalid filter 'until={text}'")));
        }
    }
    moment::parameter(text).ok_or_else(|| Error::invalid(format!("invalid filter 'until={text}'")))
}

fn has_label(snapshot: &Snapshot, wanted: &str) -> bool {
    let labels = &snapshot.record.config.labels;
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
        None => labels.contains_key(wanted),
    }
}

/// A part of the name, or with the two anchors that people use, its beginning or end.
fn matches_name(name: &str, wanted: &str) -> bool {
    let (wanted, from_start) = wanted.strip_prefix('^').map_or((wanted, false), |rest| (rest, true));
    let (wanted, to_end) = wanted.strip_suffix('$').map_or((wanted, false), |rest| (rest, true));
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    match (from_start, to_end) {
        (true, true) => name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    }
}

/// Made from that image, or from one that stands on its layers.
fn is_ancestor(world: &World, snapshot: &Snapshot, wanted: &str) -> bool {
    let record = &snapshot.record;
    if record.config.image == wanted {
        return true;
    }
    let Ok(ancestor) = world.ground.images.resolve(wanted) else { return false };
    if ancestor.id == record.image {
        return true;
    }
    let own = world.ground.images.resolve(&record.image.to_string());
    own.is_ok_and(|own| !ancestor.layers().is_empty() && own.layers().starts_with(ancestor.layers()))
}

/// `80`, `80/tcp`, `8000-8100/tcp` against `80/tcp`.
fn is_port(have: &[&String], wanted: &str) -> bool {
    let Some((ports, protocol)) = ports_of(wanted) else { return false };
    have.iter().any(|port| {
        let (number, kind) = port.split_once('/').unwrap_or((port, "tcp"));
        kind == protocol && number.parse().is_ok_and(|number| ports.contains(&number))
    })
}

fn ports_of(text: &str) -> Option<(std::ops::RangeInclusive<u16>, &str)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    Some((low.parse().ok()?..=high.parse().ok()?, protocol))
}

const LIST: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_or_anchored() {
        assert!(
            matches_name("web_1", "eb")
                && matches_name("web_1", "^/web")
                && matches_name("web_1", "^/web_1$")
        );
        assert!(!matches_name("web_1", "^eb") && !matches_name("web_1", "web$"));
    }

    #[test]
    fn ports_match_in_ranges() {
        let have = "8080/tcp".to_owned();
        assert!(is_port(&[&have], "8000-8100") && is_port(&[&have], "8080/tcp"));
        assert!(!is_port(&[&have], "8080/udp") && !is_port(&[&have], "x"));
    }

    #[test]
    fn until_is_a_duration_or_a_time() {
        let hour = parse_until("1h30m").unwrap().elapsed().as_secs();
        assert!((5398..5410).contains(&hour), "{hour}");
        assert_eq!(parse_until("12").unwrap().seconds(), 12);
        assert!(parse_until("soon").is_err());
    }

    #[test]
    fn unknown_filters_and_states_are_refused() {
        let filters = |text: &str| Filters::parse(Some(text)).unwrap();
        assert!(
            check_values(&filters(r#"{"status":["sleeping"]}"#))
                .unwrap_err()
                .to_string()
                .contains("sleeping")
        );
        assert!(check_values(&filters(r#"{"status":["dead","restarting"]}"#)).is_ok());
        assert!(check_values(&filters(r#"{"exited":["x"]}"#)).is_err());
        assert!(Filter::prune(filters(r#"{"status":["exited"]}"#)).is_err());
    }
}
