//! Links on the default bridge, where containers have no names: a linked container finds the other in its `/etc/hosts`
//! under an alias, and what the other exposes in variables that begin with it. On networks with names they are names, and
//! none of this.
//!
//! The link is to the container and not to its name. When the other starts anew, at another address, the files of those
//! that are linked to it follow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wharfd_api_types::container::HostConfig;

use super::container::Container;
use super::place::files::PLACES;
use super::record::ContainerRecord;
use super::world::World;
use crate::engine::error::{Error, Kind, Result};

/// A link to another container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The other's full id.
    pub(crate) container: String,
    pub(crate) alias: String,
}

/// What a linked container is told at its start.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Lines of `/etc/hosts`.
    pub(super) hosts: String,
    pub(super) environment: Vec<String>,
}

/// Takes `name:alias` out of a wish on the default bridge, and finds the containers.
pub(super) fn take(world: &World, host: &mut HostConfig) -> Result<Vec<Link>> {
    if host.network_mode != "bridge" {
        return Ok(Vec::new());
    }
    let texts = host.links.take().unwrap_or_default();
    let links = texts.iter().map(|text| {
        let (name, alias) = parse(text)?;
        let other = world.index.find(name).map_err(|error| {
            Error::invalid(format!("could not get container for {name}: {error}")).caused_by(error)
        })?;
        if other.snapshot().record.host.network_mode == "host" {
            return Err(Error::invalid(
                "conflicting options: host type networking can't be used with links. This would result in undefined \
                 behavior",
            ));
        }
        Ok(Link { container: other.id.clone(), alias: alias.to_owned() })
    });
    links.collect()
}

/// `name`, `name:alias`, or what inspect shows: `/name:/own/alias`.
fn parse(text: &str) -> Result<(&str, &str)> {
    let invalid = || Error::invalid(format!("bad format for links: {text}"));
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    let name = name.trim_start_matches('/');
    let alias = alias.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || alias.is_empty() || alias.contains(':') {
        return Err(invalid());
    }
    Ok((name, alias))
}

/// `/name:/own/alias`, as inspect shows them; those to containers that are gone are gone.
pub(super) fn shown(world: &World, record: &ContainerRecord) -> Option<Vec<String>> {
    let links = record.links.iter().filter_map(|link| {
        let other = world.index.find(&link.container).ok()?;
        Some(format!("/{}:/{}/{}", other.snapshot().record.name, record.name, link.alias))
    });
    let links: Vec<String> = links.collect();
    (!links.is_empty()).then_some(links)
}

/// Refuses a link to what does not run.
pub(super) fn told(world: &World, record: &ContainerRecord) -> Result<Told> {
    let mut told = Told::default();
    for link in &record.links {
        let Ok(other) = world.index.find(&link.container) else { continue };
        let other = other.snapshot();
        let other = &other.record;
        if !other.state.status.has_process() {
            return Err(Error::new(
                Kind::Internal,
                format!(
                    "Cannot link to a non running container: /{} AS /{}/{}",
                    other.name, record.name, link.alias
                ),
            ));
        }
        if let Some(address) = address(other) {
            told.hosts.push_str(&line(address, &link.alias, other));
            told.environment.extend(environment(record, &link.alias, address, other));
        }
    }
    Ok(told)
}

/// After a start: whoever is linked to the container finds it where it is now.
pub(super) async fn follow(world: &Arc<World>, moved: &ContainerRecord) {
    let Some(address) = address(moved) else { return };
    for container in world.index.all() {
        let snapshot = container.snapshot();
        let record = &snapshot.record;
        for link in record.links.iter().filter(|link| link.container == moved.id) {
            if record.state.status.has_process()
                && let Err(error) = correct(world, &container, link, &line(address, &link.alias, moved)).await
            {
                tracing::warn!(%error, container = record.id, "cannot correct the address of a linked container");
            }
        }
    }
}

/// Takes the link `parent/alias` away: both containers stay, and a parent that runs finds the other no longer.
pub(super) async fn cut(world: &Arc<World>, parent: &str, alias: &str) -> Result<()> {
    let none = || Error::not_found(format!("No such container: {parent}/{alias}"));
    let container = world.index.find(parent).map_err(|_| none())?;
    let link = container.snapshot().record.links.iter().find(|link| link.alias == alias).cloned();
    let link = link.ok_or_else(none)?;
    let gone = link.clone();
    container.note(move |record| record.links.retain(|one| *one != gone)).await?;
    if container.snapshot().record.state.status.has_process()
        && let Err(error) = correct(world, &container, &link, "").await
    {
        tracing::warn!(%error, container = container.id, "a link that was cut is still in the container's hosts file");
    }
    Ok(())
}

/// In place: the file is mounted inside, and may hold what somebody wrote there.
async fn correct(world: &World, container: &Container, link: &Link, line: &str) -> std::io::Result<()> {
    let path = world.folder_of(&container.id).join(PLACES[1].0);
    let text = tokio::fs::read_to_string(&path).await?;
    let corrected = text.lines().map(|have| match have.split_whitespace().nth(1) == Some(&link.alias) {
        true => line.to_owned(),
        false => format!("{have}\n"),
    });
    let corrected: String = corrected.collect();
    if corrected == text { Ok(()) } else { tokio::fs::write(&path, corrected).await }
}

fn address(record: &ContainerRecord) -> Option<&str> {
    let end = record.state.connected.get("bridge")?;
    Some(end.ip_address.as_str()).filter(|address| !address.is_empty())
}

/// The alias, the other's host name, and its name if that is another one.
fn line(address: &str, alias: &str, other: &ContainerRecord) -> String {
    let mut names = vec![alias, other.config.hostname.as_str()];
    if alias != other.name {
        names.push(&other.name);
    }
    format!("{address}\t{}\n", names.join(" "))
}

/// `DB_NAME`, `DB_PORT`, `DB_PORT_5432_TCP…`, and the other's own variables as `DB_ENV_…`.
fn environment(record: &ContainerRecord, alias: &str, address: &str, other: &ContainerRecord) -> Vec<String> {
    let prefix = alias.replace('-', "_").to_uppercase();
    let mut lines = vec![format!("{prefix}_NAME=/{}/{alias}", record.name)];
    let mut ports: Vec<(u16, &str)> = other
        .config
        .exposed_ports
        .iter()
        .flatten()
        .filter_map(|(port, _)| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            Some((number.parse().ok()?, protocol))
        })
        .collect();
    ports.sort_by_key(|(number, protocol)| (*protocol != "tcp", *number));
    if let Some((number, protocol)) = ports.first() {
        lines.push(format!("{prefix}_PORT={protocol}://{address}:{number}"));
    }
    for (number, protocol) in ports {
        let name = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        lines.extend([
            format!("{name}={protocol}://{address}:{number}"),
            format!("{name}_ADDR={address}"),
            format!("{name}_PORT={number}"),
            format!("{name}_PROTO={protocol}"),
        ]);
    }
    let own = other.config.env.iter().flatten().filter_map(|line| line.split_once('='));
    let own = own.filter(|(name, _)| !matches!(*name, "HOME" | "PATH"));
    lines.extend(own.map(|(name, value)| format!("{prefix}_ENV_{name}={value}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> ContainerRecord {
        let rest = r#""created":"2026-01-02T03:04:05Z","endpoints":[],"mounts":[],"host":{},
            "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","#;
        serde_json::from_str(&format!("{{{rest}{json}}}")).unwrap()
    }

    #[test]
    fn links_are_read_as_they_are_written_and_as_they_are_shown() {
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("db:store").unwrap(), ("db", "store"));
        assert_eq!(parse("/db:/web/store").unwrap(), ("db", "store"));
        for wrong in ["", ":a", "a:", "a:b:c"] {
            assert_eq!(parse(wrong).unwrap_err().to_string(), format!("bad format for links: {wrong}"));
        }
    }

    #[test]
    fn a_linked_container_is_told_names_ports_and_variables() {
        let other = record(
            r#""id":"b","name":"db","state":{"status":"running","boot":"x","connected":{"bridge":{"IPAddress":"10.0.0.2"}}},
            "config":{"Hostname":"bbb","ExposedPorts":{"53/udp":{},"5432/tcp":{},"80/tcp":{}},
                "Env":["PATH=/bin","HOME=/root","USER=me"]}"#,
        );
        let web = record(r#""id":"a","name":"web","state":{"status":"created","boot":"x"},"config":{}"#);
        let address = address(&other).unwrap();
        assert_eq!(line(address, "my-db", &other), "10.0.0.2\tmy-db bbb db\n");
        assert_eq!(line(address, "db", &other), "10.0.0.2\tdb bbb\n");
        let lines = environment(&web, "my-db", address, &other);
        assert_eq!(lines.len(), 2 + 3 * 4 + 1);
        for expected in [
            "MY_DB_NAME=/web/my-db",
            "MY_DB_PORT=tcp://10.0.0.2:80",
            "MY_DB_PORT_5432_TCP=tcp://10.0.0.2:5432",
            "MY_DB_PORT_5432_TCP_ADDR=10.0.0.2",
            "MY_DB_PORT_53_UDP_PROTO=udp",
            "MY_DB_ENV_USER=me",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
    }
}
