//! Paths inside a container's root filesystem, resolved by the kernel so that no symbolic link leads out of it.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};

/// A root filesystem, held open.
#[derive(Debug)]
pub(crate) struct Inside {
    root: OwnedFd,
}

impl Inside {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: fs::open(root, flags, Mode::empty())? })
    }

    /// Opens what a process inside would find at `path`.
    pub(crate) fn find(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// The text of a small file, empty when there is none.
    pub(crate) fn read(&self, path: &str) -> io::Result<String> {
        let file = match self.find(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => std::fs::File::from(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes a folder and those above it, and says where it is on the host.
    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<PathBuf> {
        let mut so_far = PathBuf::from("/");
        let mut folder = self.find(&so_far, OFlags::PATH | OFlags::DIRECTORY)?;
        for part in normal(path) {
            so_far.push(part);
            folder = match self.find(&so_far, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::mkdirat(&folder, part, Mode::from_raw_mode(0o755))?;
                    self.find(&so_far, OFlags::PATH | OFlags::DIRECTORY)?
                }
                Err(error) => return Err(error),
            };
        }
        on_host(&folder)
    }

    /// Where a path inside is on the host; `None` when nothing is there.
    pub(crate) fn locate(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        match self.find(path, OFlags::PATH) {
            Ok(found) => on_host(&found).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn normal(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part),
        _ => None,
    })
}

fn on_host(file: &OwnedFd) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// A passwd or group file larger than this is not one.
const LARGEST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Inside) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("../../../../../etc", folder.path().join("out")).unwrap();
        let inside = Inside::open(folder.path()).unwrap();
        (folder, inside)
    }

    #[test]
    fn links_stay_inside() {
        let (folder, inside) = root();
        let host = folder.path().canonicalize().unwrap();
        assert_eq!(inside.locate(Path::new("/link")).unwrap().unwrap(), host.join("etc"));
        assert_eq!(inside.locate(Path::new("/out")).unwrap().unwrap(), host.join("etc"));
        assert_eq!(inside.read("/link/passwd").unwrap(), "", "not the host's");
    }

    #[test]
    fn folders_are_made_through_links_and_stay() {
        let (folder, inside) = root();
        let made = inside.make_folder(Path::new("/link/a/../b/c")).unwrap();
        assert_eq!(made, folder.path().canonicalize().unwrap().join("etc/a/b/c"));
        assert_eq!(inside.make_folder(Path::new("/link/a/b/c")).unwrap(), made);
        assert_eq!(inside.make_folder(Path::new("/")).unwrap(), folder.path().canonicalize().unwrap());
        assert!(inside.locate(Path::new("/nothing")).unwrap().is_none());
    }
}
