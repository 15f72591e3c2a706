//! A new volume gets what the image has at its place: files with their owners, modes, times, links and attributes.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::inside::Inside;

/// Copies the image's folder at `destination` into an empty volume. A volume with anything in it is left alone.
pub(crate) fn fill(rootfs: &Path, destination: &Path, volume: &Path) -> io::Result<()> {
    let Some(source) = Inside::open(rootfs)?.locate(destination)? else { return Ok(()) };
    let metadata = fs::symlink_metadata(&source)?;
    if !metadata.is_dir() || fs::read_dir(volume)?.next().is_some() {
        return Ok(());
    }
    copy_folder(&source, volume)?;
    dress(volume, &source, &metadata)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&source)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_folder(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
        } else if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
            let kind = rustix::fs::FileType::from_raw_mode(metadata.mode());
            let mode = rustix::fs::Mode::from_raw_mode(metadata.mode());
            rustix::fs::mknodat(rustix::fs::CWD, &target, kind, mode, metadata.rdev())?;
        } else {
            // Sockets mean nothing without the process behind them.
            continue;
        }
        dress(&target, &source, &metadata)?;
    }
    Ok(())
}

/// Owner first: changing it clears setuid bits.
fn dress(target: &Path, source: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    std::os::unix::fs::lchown(target, Some(metadata.uid()), Some(metadata.gid()))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(target, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    copy_attributes(source, target)?;
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: metadata.atime(), tv_nsec: metadata.atime_nsec() },
        last_modification: rustix::fs::Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() },
    };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, target, &times, rustix::fs::AtFlags::empty())?)
}

/// Users' attributes and file capabilities; the overlay's own marks stay behind.
fn copy_attributes(source: &Path, target: &Path) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::llistxattr(source, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name != b"security.capability" && !name.starts_with(b"user.") || name.starts_with(b"user.overlay.")
        {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::lgetxattr(source, name, &mut value)?;
        rustix::fs::lsetxattr(target, name, &value[..length], rustix::fs::XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("data/sub")).unwrap();
        io::Write::write_all(&mut fs::File::create(root.path().join("data/sub/file")).unwrap(), b"hello")
            .unwrap();
        fs::set_permissions(root.path().join("data/sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        std::os::unix::fs::symlink("sub/file", root.path().join("data/link")).unwrap();
        std::os::unix::fs::symlink("/data", root.path().join("alias")).unwrap();
        root
    }

    #[test]
    fn an_empty_volume_gets_everything_with_its_modes() {
        let (root, volume) = (image(), tempfile::tempdir().unwrap());
        fill(root.path(), Path::new("/alias"), volume.path()).unwrap();
        let copied = volume.path().join("sub/file");
        assert_eq!(fs::read_to_string(&copied).unwrap(), "hello");
        assert_eq!(fs::metadata(&copied).unwrap().mode() & 0o7777, 0o4750);
        assert_eq!(fs::read_link(volume.path().join("link")).unwrap(), Path::new("sub/file"));
        let mtime = |path: &Path| fs::metadata(path).unwrap().mtime_nsec();
        assert_eq!(mtime(&copied), mtime(&root.path().join("data/sub/file")));
    }

    #[test]
    fn a_volume_with_something_in_it_and_a_place_that_is_no_folder_are_left_alone() {
        let (root, volume) = (image(), tempfile::tempdir().unwrap());
        fill(root.path(), Path::new("/data/sub/file"), volume.path()).unwrap();
        fill(root.path(), Path::new("/nowhere"), volume.path()).unwrap();
        assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 0);
        fs::create_dir(volume.path().join("mine")).unwrap();
        fill(root.path(), Path::new("/data"), volume.path()).unwrap();
        assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
    }
}
