//! Volumes with a file system of their own: `type`, `o` and `device`, as mount(8) takes them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags};

use super::Volume;
use crate::store::Error;

/// Refuses what could never be mounted.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(unknown) = options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device")) {
        return Err(format!("invalid option: {unknown:?}"));
    }
    for needed in ["type", "device"] {
        if !options.is_empty() && !options.contains_key(needed) {
            return Err(format!("missing required option: {needed:?}"));
        }
    }
    Ok(())
}

pub(super) fn has_device(volume: &Volume) -> bool {
    volume.options().is_some()
}

/// Mounts the volume's device, unless it has none or is mounted already.
pub(super) fn mount(volume: &Volume) -> Result<(), Error> {
    let Some(options) = volume.options() else { return Ok(()) };
    let path = &volume.mountpoint;
    if is_mounted(path).map_err(Error::io("look at", path))? {
        return Ok(());
    }
    let get = |key: &str| options.get(key).map_or("", String::as_str);
    let (flags, data) = parse(get("o"));
    let (device, kind) = (get("device"), get("type"));
    let bind = flags.contains(MsFlags::MS_BIND);
    let kind = (!bind && kind != "none").then_some(kind);
    let data = (!data.is_empty()).then_some(data.as_str());
    let mounted = nix::mount::mount(Some(device), path, kind, flags, data).and_then(|()| {
        // A bind mount ignores every other flag until it is mounted anew.
        let none: Option<&str> = None;
        let rest = flags - MsFlags::MS_REC;
        match bind && rest != MsFlags::MS_BIND {
            true => nix::mount::mount(none, path, none, rest | MsFlags::MS_REMOUNT, none),
            false => Ok(()),
        }
    });
    mounted.map_err(|errno| Error::io("mount", path)(errno.into()))
}

/// Unmounts it; not being mounted is success.
pub(super) fn unmount(volume: &Volume) -> Result<(), Error> {
    if !has_device(volume) {
        return Ok(());
    }
    match nix::mount::umount2(&volume.mountpoint, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(errno) => Err(Error::io("unmount", &volume.mountpoint)(errno.into())),
    }
}

/// By the kernel's own list: a bind mount of a folder on the same device cannot be told by its device number.
fn is_mounted(path: &Path) -> io::Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let path = path.to_string_lossy();
    Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(&*path)))
}

/// mount(8)'s words that are flags; the rest is the file system's.
fn parse(options: &str) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match FLAGS.iter().find(|(name, _)| *name == option) {
            Some((_, flag)) => flags |= *flag,
            None if NO_FLAGS.contains(&option) => {}
            None => data.push(option),
        }
    }
    (flags, data.join(","))
}

const FLAGS: &[(&str, MsFlags)] = &[
    ("bind", MsFlags::MS_BIND),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC)),
    ("ro", MsFlags::MS_RDONLY),
    ("nosuid", MsFlags::MS_NOSUID),
    ("nodev", MsFlags::MS_NODEV),
    ("noexec", MsFlags::MS_NOEXEC),
    ("noatime", MsFlags::MS_NOATIME),
    ("nodiratime", MsFlags::MS_NODIRATIME),
    ("relatime", MsFlags::MS_RELATIME),
    ("strictatime", MsFlags::MS_STRICTATIME),
    ("sync", MsFlags::MS_SYNCHRONOUS),
    ("dirsync", MsFlags::MS_DIRSYNC),
];

const NO_FLAGS: &[&str] =
    &["rw", "defaults", "suid", "dev", "exec", "atime", "async", "auto", "noauto", "nofail"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_the_file_systems_own_words() {
        let (flags, data) = parse("ro,size=10m,rw,nodev,uid=5");
        assert_eq!(flags, MsFlags::MS_RDONLY | MsFlags::MS_NODEV);
        assert_eq!(data, "size=10m,uid=5");
        assert!(parse("rbind").0.contains(MsFlags::MS_REC));
    }

    #[test]
    fn half_a_device_is_refused() {
        let options = |text: &[(&str, &str)]| {
            check(&text.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(options(&[]), Ok(()));
        assert_eq!(options(&[("foo", "1")]), Err(r#"invalid option: "foo""#.to_owned()));
        assert_eq!(options(&[("type", "tmpfs")]), Err(r#"missing required option: "device""#.to_owned()));
        assert_eq!(
            options(&[("o", "ro"), ("device", "x")]),
            Err(r#"missing required option: "type""#.to_owned())
        );
        assert_eq!(options(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]), Ok(()));
    }
}
