//! From a container's configuration to an OCI runtime specification. Pure: everything looked up comes in as a
//! [`Blueprint`].
//!
//! The document is put together as JSON, whose names are the standard's own, and read back as the typed [`Spec`]: a
//! misspelt value is an error here and not in the runtime.

mod capabilities;
mod ceilings;
mod devices;
mod mounts;
mod process;
mod resources;
mod seccomp;
mod security;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde_json::{Value, json};
use wharfd_api_types::container::{ContainerConfig, HostConfig, MountRequest};
use wharfd_api_types::exec::ExecCreateRequest;

pub(crate) use capabilities::Bounds;
pub(crate) use ceilings::Ceilings;
pub(crate) use devices::Device;
pub(crate) use security::Security;

use super::mounts::Mount;
use super::user::Identity;
use crate::engine::error::{Error, Result};

/// Everything that a specification is made from.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint<'a> {
    pub(crate) id: &'a str,
    pub(crate) config: &'a ContainerConfig,
    pub(crate) host: &'a HostConfig,
    pub(crate) mounts: &'a [Mount],
    pub(crate) identity: Identity,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Variables that links bring, before the container's own.
    pub(crate) linked: Vec<String>,
    /// resolv.conf, hosts and hostname: where they are on the host, and inside.
    pub(crate) files: Vec<(PathBuf, &'static str)>,
    pub(crate) network: Namespace,
    pub(crate) pid: Namespace,
    pub(crate) ipc: Namespace,
    /// The host's folder that is `/dev/shm` inside, when it is not the container's own alone.
    pub(crate) shared_memory: Option<&'a Path>,
    /// Devices of the host that the container sees.
    pub(crate) devices: Vec<Device>,
    pub(crate) facts: &'a Facts,
}

/// What the host is: looked up once at start.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The capabilities that this host may hand out.
    pub(crate) bounds: Bounds,
    /// 1 or 2.
    pub(crate) cgroup_version: u8,
    /// What control groups can limit here.
    pub(crate) limits: crate::engine::host::Limits,
    /// What processes here may have at most, by the limit's name; `None` where it may be raised.
    pub(crate) ceilings: Option<Ceilings>,
    /// Of the running kernel, for seccomp rules that depend on it.
    pub(crate) kernel: (u32, u32),
    /// Whether containers are confined by AppArmor.
    pub(crate) apparmor: bool,
}

#[cfg(test)]
impl Facts {
    /// A host that can do everything that needs no module of its own.
    pub(crate) fn of_a_whole_host() -> Self {
        let limits = crate::engine::host::Limits {
            memory: true,
            swap: true,
            cpu: true,
            cpuset: true,
            pids: true,
            ..Default::default()
        };
        Self {
            bounds: Bounds::all(),
            ceilings: None,
            cgroup_version: 2,
            limits,
            kernel: (6, 1),
            apparmor: false,
        }
    }
}

/// Where one of the kernel's namespaces comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespace {
    Private,
    Host,
    Path(PathBuf),
}

/// The whole specification.
pub(crate) fn assemble(blueprint: &Blueprint<'_>) -> Result<Spec> {
    let security = Security::parse(blueprint.host)?;
    let hostname = match blueprint.host.uts_mode.as_str() {
        "host" => Value::Null,
        _ => json!(blueprint.config.hostname),
    };
    let mut document = json!({
        "ociVersion": "1.0.2",
        "process": process::process(blueprint, &security)?,
        "root": { "path": "rootfs", "readonly": blueprint.host.readonly_rootfs },
        "mounts": mounts::mounts(blueprint),
        "linux": linux(blueprint, &security)?,
        "annotations": blueprint.host.annotations.clone().unwrap_or_default(),
    });
    // Among others' processes it would be the first one of nobody.
    if blueprint.host.init == Some(true) && blueprint.pid == Namespace::Private {
        document["annotations"][crate::runtime::INIT_WANTED] = json!("true");
    }
    if !hostname.is_null() {
        document["hostname"] = hostname;
        if !blueprint.config.domainname.is_empty() {
            document["domainname"] = json!(blueprint.config.domainname);
        }
    }
    serde_json::from_value(document)
        .map_err(|e| Error::internal("assembling the container's specification", e))
}

/// Refuses what could never be assembled, and returns what will not be honoured.
pub(crate) fn check(host: &HostConfig, facts: &Facts) -> Result<Vec<String>> {
    let granted = capabilities::granted(host, &facts.bounds)?;
    if let Some(ceilings) = &facts.ceilings {
        ceilings.check(host)?;
    }
    let security = Security::parse(host)?;
    security.seccomp.rules(&granted, (u32::MAX, 0))?;
    process::limits(host)?;
    let whole =
        |mount: &MountRequest| mount.bind_options.as_ref().is_some_and(|o| o.read_only_force_recursive);
    if facts.kernel < mounts::RECURSIVE && host.mounts.iter().flatten().any(whole) {
        let (major, minor) = facts.kernel;
        return Err(Error::invalid(format!(
            "cannot make a bind mount recursively read-only: kernel {major}.{minor} cannot, 5.12 is the first that can"
        )));
    }
    devices::parse_rules(host)?;
    security.apparmor(facts.apparmor)?;
    Ok(security.warnings)
}

/// A further process in a container that was made from the blueprint.
pub(crate) fn exec(blueprint: &Blueprint<'_>, request: &ExecCreateRequest) -> Result<Process> {
    let security = Security::parse(blueprint.host)?;
    let document = process::exec(blueprint, &security, request)?;
    serde_json::from_value(document).map_err(|e| Error::internal("assembling the exec's process", e))
}

fn linux(blueprint: &Blueprint<'_>, security: &Security) -> Result<Value> {
    let host = blueprint.host;
    let granted = capabilities::granted(host, &blueprint.facts.bounds)?;
    let mut linux = json!({
        "namespaces": namespaces(blueprint),
        "cgroupsPath": cgroup(blueprint),
        "resources": resources::resources(blueprint)?,
        "devices": devices::nodes(&blueprint.devices),
        "sysctl": sysctls(blueprint),
        "maskedPaths": security.masked,
        "readonlyPaths": security.readonly,
        "rootfsPropagation": mounts::root_propagation(blueprint.mounts),
    });
    if let Some(profile) = security.seccomp.rules(&granted, blueprint.facts.kernel)? {
        linux["seccomp"] = profile;
    }
    Ok(linux)
}

fn cgroup(blueprint: &Blueprint<'_>) -> String {
    match blueprint.host.cgroup_parent.trim_matches('/') {
        "" => format!("/wharf/{}", blueprint.id),
        parent => format!("/{parent}/{}", blueprint.id),
    }
}

fn namespaces(blueprint: &Blueprint<'_>) -> Value {
    let mut list = vec![json!({ "type": "mount" })];
    let mut add = |kind: &str, namespace: &Namespace| match namespace {
        Namespace::Private => list.push(json!({ "type": kind })),
        Namespace::Path(path) => list.push(json!({ "type": kind, "path": path })),
        Namespace::Host => {}
    };
    add("network", &blueprint.network);
    add("pid", &blueprint.pid);
    add("ipc", &blueprint.ipc);
    if blueprint.host.uts_mode != "host" {
        add("uts", &Namespace::Private);
    }
    if cgroup_namespace_is_private(blueprint) {
        add("cgroup", &Namespace::Private);
    }
    json!(list)
}

/// As dockerd: private on cgroup v2, the host's on v1, unless the client says.
fn cgroup_namespace_is_private(blueprint: &Blueprint<'_>) -> bool {
    match blueprint.host.cgroupns_mode.as_str() {
        "" => blueprint.facts.cgroup_version == 2 && !blueprint.host.privileged,
        mode => mode == "private",
    }
}

/// Ping and ports below 1024 work without root in a network of one's own, as with dockerd.
fn sysctls(blueprint: &Blueprint<'_>) -> Value {
    let mut sysctls = blueprint.host.sysctls.clone().unwrap_or_default();
    if blueprint.network != Namespace::Host {
        let defaults =
            [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];
        for (key, value) in defaults {
            sysctls.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    json!(sysctls)
}
