//! The mount table: the kernel's filesystems first, then the client's mounts, those of parents before those of children.

use serde_json::{Value, json};

use super::{Blueprint, Namespace};
use crate::engine::containers::mounts::{Kind, Mount};

pub(super) fn mounts(blueprint: &Blueprint<'_>) -> Vec<Value> {
    let mut list = kernel(blueprint);
    let theirs =
        |destination: &str| blueprint.mounts.iter().any(|mount| mount.destination.as_os_str() == destination);
    // A client's own mount takes the place of ours.
    list.retain(|mount| mount["destination"].as_str().is_none_or(|at| !theirs(at)));
    let mut client: Vec<&Mount> = blueprint.mounts.iter().collect();
    client.sort_by_key(|mount| mount.destination.components().count());
    list.extend(client.into_iter().map(|mount| describe(mount, &blueprint.facts.kernel)));
    for (path, inside) in &blueprint.files {
        if !theirs(inside) {
            let options =
                json!(["rbind", "rprivate", if blueprint.host.readonly_rootfs { "ro" } else { "rw" }]);
            list.push(json!({ "destination": inside, "type": "bind", "source": path, "options": options }));
        }
    }
    list
}

/// Shared and slave mounts need a root that lets them through. Always recursive, though the runtime knows only the short
/// names.
pub(super) fn root_propagation(mounts: &[Mount]) -> &'static str {
    let any = |kinds: &[&str]| mounts.iter().any(|mount| kinds.contains(&mount.propagation.as_str()));
    if any(&["shared", "rshared"]) {
        "shared"
    } else if any(&["slave", "rslave"]) {
        "slave"
    } else {
        "private"
    }
}

fn kernel(blueprint: &Blueprint<'_>) -> Vec<Value> {
    let privileged = blueprint.host.privileged;
    let shm = match blueprint.host.shm_size {
        0 => DEFAULT_SHM,
        size => size,
    };
    let access = if privileged { "rw" } else { "ro" };
    let mut list = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", &[access, "nosuid", "noexec", "nodev"]),
    ];
    match &blueprint.ipc {
        // The host's queues and shared memory come as they are.
        Namespace::Host => {
            for place in ["/dev/mqueue", "/dev/shm"] {
                list.push(json!({ "destination": place, "type": "bind", "source": place, "options": ["rbind", "rw"] }));
            }
        }
        _ => {
            list.push(mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]));
            let size = format!("size={shm}");
            match blueprint.shared_memory {
                Some(shared) => list.push(
                    json!({ "destination": "/dev/shm", "type": "bind", "source": shared, "options": ["rbind", "rw"] }),
                ),
                // Asked for: then there is none.
                None if blueprint.host.ipc_mode == "none" => {}
                None => list.push(mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &size])),
            }
        }
    }
    list
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Value {
    let source = if kind == "tmpfs" && destination == "/dev/shm" { "shm" } else { kind };
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn describe(mount: &Mount, kernel: &(u32, u32)) -> Value {
    let access = if mount.read_only { "ro" } else { "rw" };
    match mount.kind {
        Kind::Tmpfs => {
            let defaults = ["noexec", "nosuid", "nodev", access];
            let mut options: Vec<String> = defaults.iter().map(|option| (*option).to_owned()).collect();
            for option in &mount.options {
                // `exec` takes `noexec` back, and so on.
                options.retain(|have| have.strip_prefix("no") != Some(option));
                options.push(option.clone());
            }
            json!({ "destination": mount.destination, "type": "tmpfs", "source": "tmpfs", "options": options })
        }
        Kind::Bind | Kind::Volume | Kind::Image => {
            let propagation = if mount.propagation.is_empty() { "rprivate" } else { &mount.propagation };
            let bind = if mount.not_recursive { "bind" } else { "rbind" };
            let mut options = vec![bind, propagation, access];
            if mount.read_only && bind == "rbind" && !mount.read_only_at_top && *kernel >= RECURSIVE {
                // With everything that is mounted below.
                options.push("rro");
            }
            json!({ "destination": mount.destination, "type": "bind", "source": mount.source, "options": options })
        }
    }
}

const DEFAULT_SHM: i64 = 64 << 20;
/// The first kernel that makes a whole tree of mounts read-only.
pub(super) const RECURSIVE: (u32, u32) = (5, 12);
