//! The process: who it is, what it runs, in which environment and with which rights.

use serde_json::{Value, json};
use wharfd_api_types::container::HostConfig;
use wharfd_api_types::exec::ExecCreateRequest;

use super::Blueprint;
use super::capabilities;
use super::ceilings::TITLES;
use super::security::Security;
use crate::engine::error::{Error, Result};

/// A container's own process.
pub(super) fn process(blueprint: &Blueprint<'_>, security: &Security) -> Result<Value> {
    let config = blueprint.config;
    let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
    let environment = environment(blueprint, config.tty, &[]);
    let granted = capabilities::granted(blueprint.host, &blueprint.facts.bounds)?;
    common(blueprint, security, &granted, config.tty, &blueprint.command, cwd, &environment)
}

/// A further process: the container's, but for what the request says.
pub(super) fn exec(
    blueprint: &Blueprint<'_>,
    security: &Security,
    request: &ExecCreateRequest,
) -> Result<Value> {
    let command = request.cmd.clone().unwrap_or_default();
    let cwd = [&request.working_dir, &blueprint.config.working_dir].into_iter().find(|cwd| !cwd.is_empty());
    let cwd = cwd.map_or("/", String::as_str);
    let environment = environment(blueprint, request.tty, request.env.as_deref().unwrap_or_default());
    let mut host = blueprint.host.clone();
    host.privileged |= request.privileged;
    let granted = capabilities::granted(&host, &blueprint.facts.bounds)?;
    common(blueprint, security, &granted, request.tty, &command, cwd, &environment)
}

fn common(
    blueprint: &Blueprint<'_>,
    security: &Security,
    granted: &std::collections::BTreeSet<String>,
    tty: bool,
    command: &[String],
    cwd: &str,
    environment: &[String],
) -> Result<Value> {
    let identity = &blueprint.identity;
    // Only root keeps them over exec; for others they stay in the bounding set, for what is setuid inside.
    let effective = if identity.uid == 0 { json!(granted) } else { json!([]) };
    let mut process = json!({
        "terminal": tty,
        "user": { "uid": identity.uid, "gid": identity.gid, "additionalGids": identity.groups },
        "args": command,
        "env": environment,
        "cwd": cwd,
        "capabilities": {
            "bounding": granted,
            "effective": effective,
            "permitted": effective,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": limits(blueprint.host)?,
        "noNewPrivileges": security.no_new_privileges,
        "oomScoreAdj": blueprint.host.oom_score_adj,
    });
    if let Some(profile) = security.apparmor(blueprint.facts.apparmor)? {
        process["apparmorProfile"] = json!(profile);
    }
    let [rows, columns] = blueprint.host.console_size;
    if tty && rows > 0 && columns > 0 {
        process["consoleSize"] = json!({ "height": rows, "width": columns });
    }
    Ok(process)
}

/// The defaults, then the container's, then the exec's; the last word on a name counts, and a bare name unsets.
fn environment(blueprint: &Blueprint<'_>, tty: bool, more: &[String]) -> Vec<String> {
    let mut environment = vec![PATH.to_owned(), format!("HOSTNAME={}", blueprint.config.hostname)];
    if tty {
        environment.push("TERM=xterm".to_owned());
    }
    for line in blueprint.linked.iter().chain(blueprint.config.env.iter().flatten()).chain(more) {
        let (name, value) =
            line.split_once('=').map_or((line.as_str(), None), |(name, value)| (name, Some(value)));
        let same = |have: &String| have.split_once('=').is_some_and(|(other, _)| other == name);
        match (environment.iter().position(same), value) {
            (Some(at), Some(_)) => environment[at].clone_from(line),
            (Some(at), None) => drop(environment.remove(at)),
            (None, Some(_)) => environment.push(line.clone()),
            (None, None) => {}
        }
    }
    if !environment.iter().any(|line| line.starts_with("HOME=")) {
        environment.push(format!("HOME={}", blueprint.identity.home));
    }
    environment
}

pub(super) fn limits(host: &HostConfig) -> Result<Vec<Value>> {
    host.ulimits.iter().map(|limit| {
        let name = limit.name.to_ascii_uppercase();
        if !TITLES.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid(format!("invalid ulimit type: {}", limit.name)));
        }
        if limit.soft > limit.hard && limit.hard != -1 {
            return Err(Error::invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            )));
        }
        // -1 is the kernel's "infinity", all bits set.
        Ok(json!({
            "type": format!("RLIMIT_{name}"), "soft": limit.soft.cast_unsigned(), "hard": limit.hard.cast_unsigned(),
        }))
    }).collect()
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
