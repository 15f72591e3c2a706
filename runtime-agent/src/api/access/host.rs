//! What would let a container reach the host: read from the JSON that a client sent, as an allowlist of its fields.
//!
//! A field that is not known to be harmless is refused unless it is empty, so that a field of tomorrow is refused too.

use serde_json::{Map, Value};

use crate::engine::error::{Error, Result};

/// What the request alone does not tell.
pub(super) trait Others {
    /// Whether another container, by name or id, keeps to itself. One that nobody knows is none to join.
    fn is_confined(&self, container: &str) -> bool;

    /// Whether a volume is a plain folder of the engine's. One that is not there yet will be.
    fn is_plain_volume(&self, volume: &str) -> bool;
}

/// `POST /containers/create`.
pub(super) fn create(body: &Value, others: &dyn Others) -> Result<()> {
    let body = object(body)?;
    for (field, value) in body {
        match field.as_str() {
            "HostConfig" => host(value, others)?,
            field if CONFIG.contains(&field) || is_empty(value) => {}
            field => return Err(refusal(field)),
        }
    }
    Ok(())
}

/// The host's part of a container, and the body of `POST /containers/{}/update`.
pub(super) fn host(value: &Value, others: &dyn Others) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    for (field, value) in object(value)? {
        // An empty list is no default here: it hides nothing.
        let hides = matches!(field.as_str(), "MaskedPaths" | "ReadonlyPaths") && !value.is_null();
        if hides || !(is_empty(value) || is_harmless(field, value, others)) {
            return Err(refusal(field));
        }
    }
    Ok(())
}

/// `POST /containers/{}/exec`.
pub(super) fn exec(body: &Value) -> Result<()> {
    const FIELDS: &[&str] = &[
        "User",
        "Tty",
        "ConsoleSize",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "Detach",
        "DetachKeys",
        "Env",
        "WorkingDir",
        "Cmd",
    ];
    only(body, FIELDS)
}

/// `POST /volumes/create`: a device may be any part of the host.
pub(super) fn volume(body: &Value) -> Result<()> {
    only(body, &["Name", "Driver", "Labels"])
}

/// `POST /networks/create`: a bridge may be one of the host's.
pub(super) fn network(body: &Value) -> Result<()> {
    const FIELDS: &[&str] = &[
        "Name",
        "CheckDuplicate",
        "Driver",
        "Scope",
        "EnableIPv4",
        "EnableIPv6",
        "IPAM",
        "Internal",
        "Attachable",
        "Labels",
        "Options",
    ];
    only(body, FIELDS)?;
    let options = body.get("Options").and_then(Value::as_object);
    match options.is_some_and(|options| options.contains_key("com.docker.network.bridge.name")) {
        true => Err(refusal("com.docker.network.bridge.name")),
        false => Ok(()),
    }
}

/// `POST /build`: its steps are containers of the engine's own making, but for these.
pub(super) fn build(query: &str) -> Result<()> {
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    for (key, value) in parameters {
        let harmless = match key.as_str() {
            "networkmode" => is_own_namespace(&value) && !value.starts_with("container:"),
            "cgroupparent" | "outputs" | "securityopt" | "entitlements" => value.is_empty(),
            _ => true,
        };
        if !harmless {
            return Err(refusal(&key));
        }
    }
    Ok(())
}

fn is_harmless(field: &str, value: &Value, others: &dyn Others) -> bool {
    let text = value.as_str();
    match field {
        "NetworkMode" | "PidMode" | "IpcMode" | "UTSMode" | "UsernsMode" | "CgroupnsMode" => text
            .is_some_and(|mode| match mode.strip_prefix("container:") {
                Some(container) => others.is_confined(container),
                None => is_own_namespace(mode),
            }),
        "Binds" => all(value, |bind| bind.as_str().is_some_and(|bind| is_volume_bind(bind, others))),
        "Mounts" => all(value, |mount| is_harmless_mount(mount, others)),
        "VolumesFrom" => all(value, |from| {
            let container = from.as_str().and_then(|from| from.split(':').next());
            container.is_some_and(|container| others.is_confined(container))
        }),
        "SecurityOpt" => all(value, |option| {
            matches!(
                option.as_str(),
                Some("no-new-privileges" | "no-new-privileges=true" | "no-new-privileges:true")
            )
        }),
        "VolumeDriver" => text == Some("local"),
        "Runtime" => matches!(text, Some("wharf" | "runc" | "io.containerd.runc.v2")),
        "OomScoreAdj" => value.as_i64().is_some_and(|adjustment| adjustment >= 0),
        field => HOST.contains(&field),
    }
}

fn is_own_namespace(mode: &str) -> bool {
    mode != "host" && !mode.starts_with("ns:")
}

/// `name:/place`; a path is the host's.
fn is_volume_bind(bind: &str, others: &dyn Others) -> bool {
    match bind.split_once(':') {
        None => true,
        Some((source, _)) => is_volume(source, others),
    }
}

fn is_harmless_mount(mount: &Value, others: &dyn Others) -> bool {
    let text = |field: &str| mount.get(field).and_then(Value::as_str).unwrap_or_default();
    let driver = mount.pointer("/VolumeOptions/DriverConfig");
    match text("Type") {
        "tmpfs" | "image" => true,
        "volume" => {
            let source = text("Source");
            driver.is_none_or(is_empty) && (source.is_empty() || is_volume(source, others))
        }
        _ => false,
    }
}

fn is_volume(source: &str, others: &dyn Others) -> bool {
    let begins_as_a_path = source.starts_with(['/', '.', '~', '\\']);
    !begins_as_a_path && others.is_plain_volume(source)
}

fn only(body: &Value, fields: &[&str]) -> Result<()> {
    let unknown = |(field, value): &(&String, &Value)| !fields.contains(&field.as_str()) && !is_empty(value);
    match object(body)?.iter().find(unknown) {
        Some((field, _)) => Err(refusal(field)),
        None => Ok(()),
    }
}

fn all(value: &Value, harmless: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(harmless))
}

/// What Go's and everybody else's clients send for a field that nobody set.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(|| Error::invalid("invalid body: it is no JSON object"))
}

fn refusal(field: &str) -> Error {
    Error::forbidden(format!("the role operator may not set {field}: it could reach the host"))
}

/// Of a container's own part.
const CONFIG: &[&str] = &[
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "MacAddress",
    "OnBuild",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
    "NetworkingConfig",
];

/// Of the host's part, whatever their value.
const HOST: &[&str] = &[
    "ContainerIDFile",
    "LogConfig",
    "PortBindings",
    "RestartPolicy",
    "AutoRemove",
    "ConsoleSize",
    "Annotations",
    "CapDrop",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "PublishAllPorts",
    "ReadonlyRootfs",
    "StorageOpt",
    "Tmpfs",
    "ShmSize",
    "Sysctls",
    "Isolation",
    "CpuShares",
    "Memory",
    "NanoCpus",
    "BlkioWeight",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetCpus",
    "CpusetMems",
    "KernelMemory",
    "KernelMemoryTCP",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "OomKillDisable",
    "Init",
    "PidsLimit",
    "Ulimits",
    "CpuCount",
    "CpuPercent",
    "IOMaximumIOps",
    "IOMaximumBandwidth",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Known;

    impl Others for Known {
        fn is_confined(&self, container: &str) -> bool {
            container == "tame"
        }

        fn is_plain_volume(&self, volume: &str) -> bool {
            volume != "device"
        }
    }

    fn refused(host: &Value) -> bool {
        create(&json!({"Image": "busybox", "HostConfig": host}), &Known).is_err()
    }

    #[test]
    fn what_reaches_the_host_is_refused() {
        for host in [
            json!({"Privileged": true}),
            json!({"NetworkMode": "host"}),
            json!({"PidMode": "host"}),
            json!({"IpcMode": "host"}),
            json!({"UTSMode": "host"}),
            json!({"UsernsMode": "host"}),
            json!({"CgroupnsMode": "host"}),
            json!({"PidMode": "container:wild"}),
            json!({"NetworkMode": "container:wild"}),
            json!({"Binds": ["/:/host"]}),
            json!({"Binds": ["plain:/data", "/var/run/docker.sock:/s"]}),
            json!({"Binds": ["device:/data"]}),
            json!({"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]}),
            json!({"Mounts": [{"Type": "volume", "Source": "device", "Target": "/x"}]}),
            json!({"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions":
                {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]}),
            json!({"Mounts": [{"Type": "something new", "Target": "/x"}]}),
            json!({"VolumesFrom": ["wild:ro"]}),
            json!({"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda"}]}),
            json!({"DeviceCgroupRules": ["b *:* rwm"]}),
            json!({"DeviceRequests": [{"Count": -1}]}),
            json!({"CapAdd": ["SYS_ADMIN"]}),
            json!({"SecurityOpt": ["seccomp=unconfined"]}),
            json!({"SecurityOpt": ["no-new-privileges", "apparmor=unconfined"]}),
            json!({"SecurityOpt": ["no-new-privileges=false"]}),
            json!({"MaskedPaths": []}),
            json!({"ReadonlyPaths": []}),
            json!({"CgroupParent": "/"}),
            json!({"Runtime": "another"}),
            json!({"OomScoreAdj": -1000}),
            json!({"VolumeDriver": "another"}),
            json!({"AFieldOfTomorrow": 1}),
            json!({"privileged": true}),
        ] {
            assert!(refused(&host), "{host}");
        }
        assert!(create(&json!({"Image": "x", "Tomorrow": {"host": true}}), &Known).is_err());
        assert!(create(&json!([]), &Known).is_err() && create(&json!({"HostConfig": 1}), &Known).is_err());
    }

    #[test]
    fn everyday_containers_are_allowed() {
        for host in [
            Value::Null,
            json!({}),
            json!({"Privileged": false, "Binds": null, "CapAdd": null, "Devices": [], "MaskedPaths": null,
                   "CgroupParent": "", "ConsoleSize": [0, 0], "MemorySwappiness": -1, "OomScoreAdj": 0}),
            json!({"Binds": ["plain:/data:ro", "/anonymous"], "NetworkMode": "front", "PidMode": "container:tame"}),
            json!({"Mounts": [{"Type": "volume", "Source": "plain", "Target": "/x", "VolumeOptions": {}},
                              {"Type": "tmpfs", "Target": "/t"}], "VolumesFrom": ["tame"]}),
            json!({"SecurityOpt": ["no-new-privileges"], "CapDrop": ["ALL"], "Memory": 1_000_000, "Runtime": "runc",
                   "PortBindings": {"80/tcp": [{"HostPort": "80"}]}, "RestartPolicy": {"Name": "always"}}),
        ] {
            assert!(!refused(&host), "{host}");
        }
    }

    #[test]
    fn the_other_bodies_have_their_allowlists_too() {
        assert!(exec(&json!({"Cmd": ["id"], "Privileged": false})).is_ok());
        assert!(exec(&json!({"Cmd": ["id"], "Privileged": true})).is_err());
        assert!(volume(&json!({"Name": "a", "DriverOpts": null})).is_ok());
        assert!(volume(&json!({"Name": "a", "DriverOpts": {"device": "/"}})).is_err());
        assert!(network(&json!({"Name": "a", "Options": {"com.docker.network.driver.mtu": "1400"}})).is_ok());
        assert!(
            network(&json!({"Name": "a", "Options": {"com.docker.network.bridge.name": "br0"}})).is_err()
        );
        assert!(build("t=a&networkmode=default").is_ok() && build("networkmode=host").is_err());
    }
}
