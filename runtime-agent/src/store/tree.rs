//! A folder that strangers' names are looked up in, and nothing outside it.
//!
//! Symbolic links are followed as a process would that has this folder as its root: an absolute target starts here, and
//! `..` stops here. The kernel does it (`openat2`, `RESOLVE_IN_ROOT`); before Linux 5.6 we walk name by name, which is
//! sound because nobody else writes here meanwhile.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Error, Result};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// As in the kernel.
const LINKS_MAX: u32 = 40;
/// How deep a folder may be under the root, in bytes of its name; deeper ones could not be removed again.
const DEPTH_MAX: usize = 3500;

/// An open root.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    kernel_resolves: bool,
    /// The folder that was asked for last: archives list a folder's entries one after the other.
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

/// A place for an entry: an open folder inside the root, and a name in it that is no `.`, no `..`, and has no slash.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: Arc<OwnedFd>,
    pub(crate) name: CString,
}

impl Tree {
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root_fd = rustix::fs::open(root, FOLDER, Mode::empty()).map_err(Error::os("open", root))?;
        Ok(Self { root: root_fd, kernel_resolves: true, last: None })
    }

    /// The same over a root that is open already.
    pub(crate) const fn over(root: OwnedFd) -> Self {
        Self { root, kernel_resolves: true, last: None }
    }

    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Never asks the kernel, as if it were old.
    #[cfg(test)]
    pub(crate) fn without_kernel(mut self) -> Self {
        self.kernel_resolves = false;
        self
    }

    /// Where an entry called `path` goes, its folders made when they are missing. `None` for the root itself.
    pub(crate) fn place(&mut self, path: &[u8]) -> Result<Option<Place>> {
        let names = names(path)?;
        let Some((name, folders)) = names.split_last() else { return Ok(None) };
        let name = CString::new(*name).map_err(|_| Error::archive(path, "it contains a zero byte"))?;
        let folder = self.folder(folders).map_err(|errno| Error::entry("make the folder of", path)(errno))?;
        Ok(Some(Place { folder, name }))
    }

    /// Makes a folder and those above it, as far as they are missing.
    pub(crate) fn make_folders(&mut self, path: &[u8]) -> Result<()> {
        self.folder(&names(path)?).map(drop).map_err(Error::entry("make", path))
    }

    /// An existing folder by its whole path.
    pub(crate) fn existing(&self, path: &[u8]) -> Result<OwnedFd> {
        let names = names(path)?;
        self.resolve(&names.join(&b'/')).map_err(Error::entry("open", path))
    }

    /// Must be called when a folder or link that may have been looked up is removed.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    fn folder(&mut self, names: &[&[u8]]) -> rustix::io::Result<Arc<OwnedFd>> {
        let path = names.join(&b'/');
        if let Some((_, folder)) = self.last.as_ref().filter(|(last, _)| *last == path) {
            return Ok(Arc::clone(folder));
        }
        let folder = match self.resolve(&path) {
            Err(Errno::NOENT) => self.make(names)?,
            resolved => resolved?,
        };
        not_too_deep(&folder)?;
        let folder = Arc::new(folder);
        self.last = Some((path, Arc::clone(&folder)));
        Ok(folder)
    }

    /// Goes as far as there are folders, then makes them.
    fn make(&self, names: &[&[u8]]) -> rustix::io::Result<OwnedFd> {
        let mut folder = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        for upto in 1..=names.len() {
            folder = match self.resolve(&names[..upto].join(&b'/')) {
                Err(Errno::NOENT) => make_folder(&folder, names[upto - 1])?,
                resolved => resolved?,
            };
        }
        Ok(folder)
    }

    fn resolve(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        if self.kernel_resolves {
            let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&self.root, path, FOLDER, Mode::empty(), how) {
                // No such call, or a filter that doesn't know it.
                Err(Errno::NOSYS | Errno::PERM) => {}
                resolved => return resolved,
            }
        }
        self.walk(path)
    }

    fn walk(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let mut stack = vec![rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?];
        let mut ahead: VecDeque<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    stack.truncate((stack.len() - 1).max(1));
                    continue;
                }
                _ => {}
            }
            let here = &stack[stack.len() - 1];
            match rustix::fs::openat(here, name.as_slice(), FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(next) => stack.push(next),
                Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                    let Ok(target) = rustix::fs::readlinkat(here, name.as_slice(), Vec::new()) else {
                        return Err(error);
                    };
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP);
                    }
                    let target = target.into_bytes();
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    for name in target.split(|byte| *byte == b'/').rev() {
                        ahead.push_front(name.to_vec());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        stack.pop().ok_or(Errno::NOENT)
    }
}

impl Place {
    /// What is there now, links not followed.
    pub(crate) fn existing(&self) -> rustix::io::Result<Option<rustix::fs::Stat>> {
        match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Removes whatever is there, folders with all they hold, links not followed.
    pub(crate) fn clear(&self) -> rustix::io::Result<()> {
        match self.existing()? {
            None => Ok(()),
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                remove_folder(&self.folder, &self.name, 0)
            }
            Some(_) => rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()),
        }
    }

    /// A path to it for the few calls that have no `*at` form: through our own descriptor, so nothing is looked up
    /// but the name.
    pub(crate) fn through_descriptor(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let name = std::ffi::OsStr::from_bytes(self.name.as_bytes());
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd())).join(name)
    }
}

/// The names on the way to `path`. `..` goes up, but never above the root: an archive that tries is refused.
pub(super) fn names(path: &[u8]) -> Result<Vec<&[u8]>> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop().ok_or_else(|| Error::archive(path, "its name climbs out of the layer"))?;
            }
            name => names.push(name),
        }
    }
    Ok(names)
}

fn make_folder(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    let folder = rustix::fs::openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    // The daemon's umask has no say in images.
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?;
    Ok(folder)
}

fn not_too_deep(folder: &OwnedFd) -> rustix::io::Result<()> {
    let link = format!("/proc/self/fd/{}", folder.as_raw_fd());
    match rustix::fs::readlink(link, Vec::new()) {
        Ok(path) if path.as_bytes().len() > DEPTH_MAX => Err(Errno::NAMETOOLONG),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Depth is bounded, so recursion and open descriptors are too: a container may have made deeper ones than archives can.
fn remove_folder(parent: impl AsFd, name: &CString, depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH_MAX / 2 {
        return Err(Errno::NAMETOOLONG);
    }
    let folder = rustix::fs::openat(&parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => remove_folder(&folder, &name.to_owned(), depth + 1)?,
            removed => removed?,
        }
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}
