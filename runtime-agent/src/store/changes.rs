//! What one container changed: its upper folder against the layers below it.
//!
//! Names are looked up beneath each folder and through no link: neither an image nor a container that moves its files
//! about meanwhile makes us tell what the host has.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// One changed path, from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Modified,
    Added,
    Removed,
}

/// All of them, parents before what is in them. `lower` has the topmost layer first; `made` says which paths the
/// engine itself makes: untouched, they are no change of the container's.
pub(crate) fn changes(upper: &Path, lower: &[PathBuf], made: &[&str]) -> io::Result<Vec<Change>> {
    let lower = lower.iter().map(|layer| Layer::open(layer)).collect::<io::Result<Vec<_>>>()?;
    let mut walk = Walk { upper: Layer::open(upper)?, lower, made, found: Vec::new() };
    walk.folder(Path::new(""), false)?;
    Ok(walk.found)
}

/// Those of the paths that the engine makes which are in the upper folder as it made them.
pub(crate) fn untouched(upper: &Path, made: &[&str]) -> io::Result<Vec<PathBuf>> {
    let walk = Walk { upper: Layer::open(upper)?, lower: Vec::new(), made, found: Vec::new() };
    let paths = made.iter().map(|path| PathBuf::from(path.trim_start_matches('/')));
    let is_untouched =
        |path: &PathBuf| walk.upper.stat(path).is_some_and(|now| walk.is_untouched(path, &now));
    Ok(paths.filter(is_untouched).collect())
}

struct Walk<'a> {
    upper: Layer,
    lower: Vec<Layer>,
    made: &'a [&'a str],
    found: Vec<Change>,
}

impl Walk<'_> {
    /// Whether anything in it changed. In a `fresh` folder nothing of the layers shines through.
    fn folder(&mut self, folder: &Path, fresh: bool) -> io::Result<bool> {
        if folder.as_os_str().len() > PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut changed = false;
        for name in self.upper.names(folder)? {
            let path = folder.join(OsStr::from_bytes(name.as_bytes()));
            // A running container goes on meanwhile.
            if let Some(now) = self.upper.stat(&path) {
                changed |= self.entry(&path, &now, fresh)?;
            }
        }
        Ok(changed)
    }

    fn entry(&mut self, path: &Path, now: &Stat, fresh: bool) -> io::Result<bool> {
        let before = if fresh { None } else { self.before(path) };
        if is_whiteout(now) {
            if before.is_some() {
                self.add(path, ChangeKind::Removed);
            }
            return Ok(before.is_some());
        }
        if before.is_none() && self.is_untouched(path, now) {
            return Ok(false);
        }
        let at = self.found.len();
        self.add(path, if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added });
        if !is_folder(now) {
            return Ok(true);
        }
        let fresh = before.as_ref().is_none_or(|before| !is_folder(before)) || self.upper.is_opaque(path);
        let below = self.folder(path, fresh)?;
        if !below && before.is_some_and(|before| is_same_folder(&before, now)) {
            // It was only copied up, for something of ours that was made in it.
            self.found.remove(at);
            return Ok(false);
        }
        Ok(true)
    }

    fn add(&mut self, path: &Path, kind: ChangeKind) {
        self.found.push(Change { path: Path::new("/").join(path), kind });
    }

    /// What the layers have there.
    fn before(&self, path: &Path) -> Option<Stat> {
        for layer in &self.lower {
            match layer.stat(path) {
                Some(stat) => return (!is_whiteout(&stat)).then_some(stat),
                None if layer.hides(path) => return None,
                None => {}
            }
        }
        None
    }

    fn is_untouched(&self, path: &Path, now: &Stat) -> bool {
        if !self.made.iter().any(|made| Path::new(made.trim_start_matches('/')) == path) {
            return false;
        }
        if !is_folder(now) {
            return now.st_size == 0;
        }
        let names = self.upper.names(path).unwrap_or_default();
        names.iter().all(|name| {
            let path = path.join(OsStr::from_bytes(name.as_bytes()));
            self.upper.stat(&path).is_none_or(|now| self.is_untouched(&path, &now))
        })
    }
}

/// One folder of an overlay, held open.
struct Layer(OwnedFd);

impl Layer {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    fn find(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.0, path, flags, Mode::empty(), how)
    }

    fn stat(&self, path: &Path) -> Option<Stat> {
        rustix::fs::fstat(self.find(path, OFlags::PATH).ok()?).ok()
    }

    /// Sorted; none of a folder that is gone.
    fn names(&self, folder: &Path) -> io::Result<BTreeSet<CString>> {
        let folder = match self.find(folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(BTreeSet::new()),
            folder => folder?,
        };
        let mut names = BTreeSet::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            names.insert(entry?.file_name().to_owned());
        }
        names.retain(|name| name.as_c_str() != c"." && name.as_c_str() != c"..");
        Ok(names)
    }

    /// Whether it keeps those below it from being seen there: a folder on the way is opaque, or is none.
    fn hides(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .filter(|above| !above.as_os_str().is_empty())
            .any(|above| self.stat(above).is_some_and(|stat| !is_folder(&stat)) || self.is_opaque(above))
    }

    fn is_opaque(&self, folder: &Path) -> bool {
        let Ok(folder) = self.find(folder, OFlags::RDONLY | OFlags::DIRECTORY) else { return false };
        let mut value = [0; 8];
        let length = rustix::fs::fgetxattr(folder, "trusted.overlay.opaque", &mut value);
        length.is_ok_and(|length| value[..length] == *b"y")
    }
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Times are left out: whatever is made in a folder changes them.
fn is_same_folder(before: &Stat, now: &Stat) -> bool {
    is_folder(before)
        && (before.st_mode, before.st_uid, before.st_gid) == (now.st_mode, now.st_uid, now.st_gid)
}

/// Deeper than any process can name.
const PATH_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    struct Layers {
        folder: tempfile::TempDir,
    }

    impl Layers {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for layer in ["upper", "top", "bottom"] {
                std::fs::create_dir(folder.path().join(layer)).unwrap();
            }
            Self { folder }
        }

        fn file(&self, path: &str, text: &str) -> &Self {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
            self
        }

        fn changes(&self) -> Vec<(String, ChangeKind)> {
            let path = |name: &str| self.folder.path().join(name);
            let made = ["/dev", "/dev/shm", "/etc/hosts", "/.dockerenv"];
            let found = changes(&path("upper"), &[path("top"), path("bottom")], &made).unwrap();
            found.into_iter().map(|change| (change.path.display().to_string(), change.kind)).collect()
        }
    }

    #[test]
    fn additions_and_changes_are_told_with_the_folders_they_are_in() {
        let layers = Layers::new();
        layers.file("bottom/etc/passwd", "x").file("top/data/seed", "y");
        layers.file("upper/etc/passwd", "z").file("upper/etc/new/f", "").file("upper/data/seed", "w");
        use ChangeKind::{Added, Modified};
        let expected = [
            ("/data", Modified),
            ("/data/seed", Modified),
            ("/etc", Modified),
            ("/etc/new", Added),
            ("/etc/new/f", Added),
            ("/etc/passwd", Modified),
        ];
        assert_eq!(layers.changes(), expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn what_the_engine_makes_is_no_change_until_it_is_touched() {
        let layers = Layers::new();
        layers.file("bottom/etc/passwd", "x").file("upper/.dockerenv", "").file("upper/etc/hosts", "");
        std::fs::create_dir_all(layers.folder.path().join("upper/dev/shm")).unwrap();
        assert_eq!(layers.changes(), []);
        layers.file("upper/dev/shm/mine", "");
        let added = |path: &str| (path.to_owned(), ChangeKind::Added);
        assert_eq!(layers.changes(), [added("/dev"), added("/dev/shm"), added("/dev/shm/mine")]);
    }

    #[test]
    fn removals_are_told_only_of_what_was_there() {
        let layers = Layers::new();
        layers.file("bottom/data/seed", "x").file("upper/data/other", "");
        let device = rustix::fs::makedev(0, 0);
        let kind = FileType::CharacterDevice;
        for name in ["data/seed", "data/never"] {
            let path = layers.folder.path().join("upper").join(name);
            let mode = Mode::empty();
            if rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, device).is_err() {
                return;
            }
        }
        let removed = ("/data/seed".to_owned(), ChangeKind::Removed);
        assert!(layers.changes().contains(&removed) && layers.changes().len() == 3, "{:?}", layers.changes());
    }
}
