//! Mounts of the host's that a container's own are made from, held for as long as it runs.
//!
//! A folder inside a volume is looked up by the kernel within the volume and pinned by a mount: whoever writes to the
//! volume cannot make its name mean another place between our look and the container's start.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::{Error, Result, overlay};

/// Mounts what is at `inside` in `root` at `at`, which is made.
pub(crate) fn pin(root: &Path, inside: &Path, at: &Path) -> Result<()> {
    let failed = |doing| Error::io(doing, root.join(inside));
    let found = find(root, inside).map_err(failed("find"))?;
    let stat = rustix::fs::fstat(&found).map_err(Error::os("examine", root.join(inside)))?;
    overlay::unmount(at)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        std::fs::create_dir_all(at).map_err(Error::io("create", at))?;
    } else {
        std::fs::File::create(at).map_err(Error::io("create", at))?;
    }
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    let none = None::<&str>;
    mount(Some(source.as_str()), at, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(|errno| failed("mount")(errno.into()))
}

/// Mounts memory that several containers may share.
pub(crate) fn share_memory(at: &Path, size: i64) -> Result<()> {
    std::fs::create_dir_all(at).map_err(Error::io("create", at))?;
    overlay::unmount(at)?;
    let options = format!("mode=1777,size={size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    mount(Some("shm"), at, Some("tmpfs"), flags, Some(options.as_str()))
        .map_err(|errno| Error::io("mount memory at", at)(errno.into()))
}

/// Takes away everything that is held in a folder, and the folder.
pub(crate) fn release(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    for entry in entries.flatten() {
        let path = entry.path();
        overlay::unmount(&path)?;
        // Never what is below a mount: these remove an empty folder or a file.
        let removed = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
        removed.map_err(Error::io("remove", path))?;
    }
    std::fs::remove_dir(folder).map_err(Error::io("remove", folder))
}

/// What a path in a root means, following links inside it only.
pub(super) fn find(root: &Path, inside: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(root, inside, flags, Mode::empty(), how)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_pinned_inside_its_volume_whatever_links_say() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (volume, held) = (folder.path().join("volume"), folder.path().join("held"));
        std::fs::create_dir_all(volume.join("etc/mine")).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("sub")).unwrap();
        std::fs::create_dir(&held).unwrap();
        pin(&volume, Path::new("sub"), &held.join("0")).unwrap();
        let names: Vec<_> =
            std::fs::read_dir(held.join("0")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["mine"], "the volume's, not the host's");
        assert!(pin(&volume, Path::new("gone"), &held.join("1")).is_err());
        share_memory(&held.join("shm"), 1 << 20).unwrap();
        release(&held).unwrap();
        release(&held).unwrap();
        assert!(volume.join("etc/mine").is_dir() && !held.exists());
    }
}
