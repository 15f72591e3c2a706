//! Host devices that a container asked for.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use wharfd_api_types::container::HostConfig;

use crate::engine::containers::spec::Device;
use crate::engine::error::{Error, Result};

/// The named ones; for a privileged container everything in `/dev`.
pub(super) fn wanted(host: &HostConfig) -> Result<Vec<Device>> {
    if host.privileged {
        let mut devices = Vec::new();
        gather(Path::new("/dev"), "/dev", "rwm", &mut devices);
        devices.retain(|device| !runtimes_own(&device.inside));
        return Ok(devices);
    }
    let mut devices = Vec::new();
    for mapping in &host.devices {
        let source = Path::new(&mapping.path_on_host);
        let inside = if mapping.path_in_container.is_empty() {
            &mapping.path_on_host
        } else {
            &mapping.path_in_container
        };
        let access = if mapping.cgroup_permissions.is_empty() { "rwm" } else { &mapping.cgroup_permissions };
        let metadata = std::fs::metadata(source).map_err(|error| {
            Error::invalid(format!(
                "error gathering device information while adding custom device \"{}\": {error}",
                source.display()
            ))
        })?;
        if metadata.is_dir() {
            gather(source, inside, access, &mut devices);
        } else {
            let device = describe(&metadata, inside, access).ok_or_else(|| {
                Error::invalid(format!(
                    "error gathering device information while adding custom device \"{}\": not a device node",
                    source.display()
                ))
            })?;
            devices.push(device);
        }
    }
    Ok(devices)
}

/// What cannot be read is left out: devices come and go.
fn gather(folder: &Path, inside: &str, access: &str, devices: &mut Vec<Device>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
        let below = format!("{inside}/{}", entry.file_name().to_string_lossy());
        if metadata.is_dir() {
            gather(&entry.path(), &below, access, devices);
        } else {
            devices.extend(describe(&metadata, &below, access));
        }
    }
}

fn describe(metadata: &std::fs::Metadata, inside: &str, access: &str) -> Option<Device> {
    let kind = metadata.file_type();
    let number = metadata.rdev();
    (kind.is_char_device() || kind.is_block_device()).then(|| Device {
        inside: inside.to_owned(),
        character: kind.is_char_device(),
        major: rustix::fs::major(number).into(),
        minor: rustix::fs::minor(number).into(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        access: access.to_owned(),
    })
}

/// Made by the runtime itself, or belonging to mounts of the container's own.
fn runtimes_own(path: &str) -> bool {
    const MADE: &[&str] = &[
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/console",
        "/dev/ptmx",
    ];
    MADE.contains(&path)
        || ["/dev/pts/", "/dev/shm/", "/dev/mqueue/"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_named_device_keeps_its_numbers_and_may_be_renamed() {
        let json = r#"{"Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/hole","CgroupPermissions":"r"}]}"#;
        let devices = wanted(&host(json)).unwrap();
        assert_eq!((devices[0].major, devices[0].minor, devices[0].character), (1, 3, true));
        assert_eq!((devices[0].inside.as_str(), devices[0].access.as_str()), ("/dev/hole", "r"));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/dev/nothing-here", "/etc/passwd"] {
            let json = format!(r#"{{"Devices":[{{"PathOnHost":"{path}"}}]}}"#);
            assert!(wanted(&host(&json)).unwrap_err().to_string().contains(path));
        }
    }

    #[test]
    fn privileged_sees_devices_but_not_those_made_anyway() {
        let devices = wanted(&host(r#"{"Privileged":true}"#)).unwrap();
        assert!(devices.iter().all(|device| device.inside != "/dev/null"));
    }
}
