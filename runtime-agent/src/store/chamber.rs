//! Work on somebody's files, done by a thread that can reach nothing else.
//!
//! The thread has a mount namespace of its own whose root is the container's filesystem, with its volumes in their
//! places; the host's files are not in it. Whatever a running container does to its names meanwhile (a link swapped
//! between two of our calls, CVE-2018-15664; a library loaded from inside, CVE-2019-14271), it meets its own files.
//! Devices cannot be opened in there.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::holding;

/// Something of the host's that appears inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    /// Only this part of the source, looked up within it.
    pub(crate) part: Option<PathBuf>,
    pub(crate) inside: PathBuf,
}

/// Where the thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walls {
    /// A mount namespace of its own.
    Namespace,
    /// None: for tests without privileges.
    #[cfg(test)]
    Pretend,
}

/// Runs `work` with an open root; returns when it is done. Blocking.
pub(crate) fn enter<T: Send>(
    walls: Walls,
    root: &Path,
    binds: &[Bind],
    work: impl FnOnce(&OwnedFd) -> T + Send,
) -> io::Result<T> {
    let body = || -> io::Result<T> {
        let root = match walls {
            Walls::Namespace => wall_in(root, binds)?,
            #[cfg(test)]
            Walls::Pretend => open_root(root)?,
        };
        Ok(work(&root))
    };
    // Never one of a pool's: it does not come back from its namespace.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chamber".to_owned()).stack_size(STACK);
        let stopped = |_| io::Error::other("the thread that works on the container's files stopped");
        thread.spawn_scoped(scope, body)?.join().map_err(stopped)?
    })
}

/// Leaves the host: afterwards `/` is the container's, and nothing else is mounted.
fn wall_in(root: &Path, binds: &[Bind]) -> io::Result<OwnedFd> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some(root), root, none, MsFlags::MS_BIND, none)?;
    let held_back = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    mount(none, root, none, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | held_back, none)?;
    let inside = open_root(root)?;
    for bind in binds {
        furnish(&inside, bind)?;
    }
    nix::unistd::fchdir(inside.as_raw_fd())?;
    nix::unistd::pivot_root(".", ".")?;
    // The host's root lies on ours now.
    umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    Ok(inside)
}

/// The target is an open descriptor, so it cannot turn into another place.
fn furnish(root: &OwnedFd, bind: &Bind) -> io::Result<()> {
    let found = match &bind.part {
        Some(part) => holding::find(&bind.source, part),
        None => {
            rustix::fs::open(&bind.source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(Into::into)
        }
    };
    let source = match found {
        // It has been removed since: what lies below shows.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        source => source?,
    };
    let is_folder = FileType::from_raw_mode(rustix::fs::fstat(&source)?.st_mode) == FileType::Directory;
    let target = match find(root, &bind.inside, OFlags::PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(root, &bind.inside, is_folder)?;
            find(root, &bind.inside, OFlags::PATH)?
        }
        found => found?,
    };
    let by_number = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let (source, at) = (by_number(&source), by_number(&target));
    mount(
        Some(source.as_str()),
        at.as_str(),
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )?;
    Ok(())
}

/// What the runtime would make at the start: folders on the way, and a folder or an empty file.
fn make(root: &OwnedFd, path: &Path, folder: bool) -> io::Result<()> {
    let names: Vec<_> =
        path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    let Some((last, above)) = names.split_last() else { return Ok(()) };
    let mut so_far = PathBuf::from("/");
    let mut parent = find(root, &so_far, OFlags::PATH | OFlags::DIRECTORY)?;
    for name in above {
        so_far.push(name);
        parent = match find(root, &so_far, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                rustix::fs::mkdirat(&parent, name.as_os_str(), Mode::from_raw_mode(0o755))?;
                find(root, &so_far, OFlags::PATH | OFlags::DIRECTORY)?
            }
            found => found?,
        };
    }
    if folder {
        rustix::fs::mkdirat(&parent, last.as_os_str(), Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, last.as_os_str(), flags, Mode::from_raw_mode(0o755))?;
    }
    Ok(())
}

fn find(root: &OwnedFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how)?)
}

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

/// Folders may be nested as deep as a path is long.
const STACK: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A container's files, a volume, and a link that leads out of the former.
    fn world() -> (tempfile::TempDir, PathBuf, Bind) {
        let folder = tempfile::tempdir().unwrap();
        let (root, volume) = (folder.path().join("root"), folder.path().join("volume"));
        for path in [&root, &volume] {
            std::fs::create_dir(path).unwrap();
        }
        std::fs::File::create(volume.join("kept")).unwrap();
        std::os::unix::fs::symlink("/", root.join("host")).unwrap();
        let bind = Bind { source: volume, part: None, inside: "/host/deep/inside".into() };
        (folder, root, bind)
    }

    #[test]
    fn nothing_of_the_host_is_in_there_and_volumes_are_in_their_places() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (folder, root, bind) = world();
        let mounted = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let before = mounted();
        let (names, kept) = enter(Walls::Namespace, &root, &[bind], |root| {
            let names = std::fs::read_dir("/").unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            (names, find(root, Path::new("/deep/inside/kept"), OFlags::RDONLY).is_ok())
        })
        .unwrap();
        assert_eq!((names, kept), (vec!["deep".to_owned(), "host".to_owned()], true));
        assert_eq!(mounted(), before, "nothing of it is left outside");
        assert!(!Path::new("/deep").exists() && folder.path().join("root/deep/inside").is_dir());
        assert!(!folder.path().join("root/deep/inside/kept").exists());
    }

    #[test]
    fn devices_cannot_be_opened_in_there() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_folder, root, _) = world();
        let device = rustix::fs::makedev(1, 3);
        let kind = FileType::CharacterDevice;
        let made = rustix::fs::mknodat(rustix::fs::CWD, root.join("null"), kind, Mode::RUSR, device);
        if made.is_err() {
            return;
        }
        let opened = enter(Walls::Namespace, &root, &[], |root| {
            find(root, Path::new("/null"), OFlags::RDONLY).is_ok()
        });
        assert!(!opened.unwrap());
    }
}
