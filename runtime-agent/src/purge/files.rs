//! Mounts below a folder, and the folder itself.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::Report;

/// A mount may hide another one of the same place; nobody stacks more.
const MOST_STACKED: usize = 100;

/// Takes every mount below the folder away, the last one first. The folder's own stays.
pub(super) fn unmount_below(folder: &Path, report: &mut Report) {
    for _ in 0..MOST_STACKED {
        let mounts = match mounts_below(folder) {
            Ok(mounts) if mounts.is_empty() => return,
            Ok(mounts) => mounts,
            Err(error) => return report.failed(format!("cannot list mounts: {error}")),
        };
        let mut progress = false;
        for at in mounts.iter().rev() {
            // Another one may have gone with the one it was on.
            if umount2(at, MntFlags::MNT_DETACH).is_ok() {
                progress = true;
                report.done(&format!("unmounted {}", at.display()));
            }
        }
        if !progress {
            let places: Vec<_> = mounts.iter().map(|at| at.display().to_string()).collect();
            return report.failed(format!("cannot unmount {}", places.join(", ")));
        }
    }
}

/// Removes the folder with everything in it; where the folder is a mount, only what is in it.
pub(super) fn remove(folder: &Path, report: &mut Report) {
    match mounts_below(folder) {
        Ok(mounts) if mounts.is_empty() => {}
        // What is mounted there may be somebody else's files.
        _ => return report.failed(format!("not removing {}: something is mounted in it", folder.display())),
    }
    match remove_all(folder) {
        Ok(true) => report.done(&format!("removed {}", folder.display())),
        Ok(false) => {}
        Err(error) => report.failed(format!("cannot remove {}: {error}", folder.display())),
    }
}

/// Says whether there was anything.
fn remove_all(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    let mut any = false;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let removed =
            if entry.file_type()?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => any = true,
        }
    }
    match fs::remove_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::NotFound) => {
            Ok(any)
        }
        Err(error) => Err(error),
    }
}

/// In the order in which they were mounted.
fn mounts_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match fs::canonicalize(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mounts = fs::read("/proc/self/mountinfo")?;
    Ok(mount_points(&mounts).filter(|at| at.starts_with(&folder) && *at != folder).collect())
}

/// The fifth field of proc(5)'s mountinfo, in which white space and backslashes are octal.
fn mount_points(mountinfo: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let escaped = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    escaped.map(|escaped| PathBuf::from(std::ffi::OsString::from_vec(unescape(escaped))))
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(octal.unwrap_or(*first));
        rest = after.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_places_with_spaces() {
        let line = b"30 29 0:26 / /var/lib/a\\040b\\134c rw,relatime shared:4 - tmpfs tmpfs rw\nhalf a line";
        let found: Vec<_> = mount_points(line).collect();
        assert_eq!(found, [PathBuf::from("/var/lib/a b\\c")]);
    }

    #[test]
    fn a_folder_is_removed_and_being_gone_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir_all(elsewhere.join("kept")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("link")).unwrap();
        assert!(remove_all(&root).unwrap());
        assert!(!remove_all(&root).unwrap());
        assert!(!root.exists() && elsewhere.join("kept").exists(), "links are not followed");
    }
}
