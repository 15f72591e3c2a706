//! Packing folders into archives: what `docker cp` and `docker export` send, and the difference that a commit keeps.
//!
//! Everything is opened by its name in an open folder and never through a link, so that a container that moves its
//! files about meanwhile gets an archive of them in some state, and never one of anything else. What vanishes meanwhile
//! is left out; sockets have no place in an archive.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::archive::write::Writer;
use super::archive::{Entry, EntryKind};

/// What is taken for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Files as they are.
    Plain,
    /// The upper folder of an overlay: removals become `.wh.` entries.
    Difference,
}

/// An archive in the making.
#[derive(Debug)]
pub(crate) struct Packer<W> {
    writer: Writer<W>,
    manner: Manner,
    /// Files with several names, by device and number: the first name counts.
    linked: BTreeMap<(u64, u64), Vec<u8>>,
    /// Paths from the folder that is packed, which stay out.
    left_out: Vec<Vec<u8>>,
}

/// A folder whose entries are being packed.
struct Level {
    folder: OwnedFd,
    names: std::vec::IntoIter<CString>,
    /// Its name in the archive.
    path: Vec<u8>,
}

impl<W: Write> Packer<W> {
    pub(crate) fn new(to: W, manner: Manner) -> Self {
        Self { writer: Writer::new(to), manner, linked: BTreeMap::new(), left_out: Vec::new() }
    }

    /// Names of entries that are not packed.
    pub(crate) fn leave_out(mut self, paths: Vec<Vec<u8>>) -> Self {
        self.left_out = paths;
        self
    }

    /// Packs everything in a folder, and the folder itself if it has a name in the archive.
    pub(crate) fn folder(&mut self, folder: OwnedFd, path: &[u8]) -> io::Result<()> {
        if !path.is_empty() {
            let stat = rustix::fs::fstat(&folder)?;
            self.write_folder(&folder, path, &stat)?;
        }
        self.contents(folder, path)
    }

    /// Packs everything in a folder as if it were in the one called `path`, which is not packed itself.
    pub(crate) fn contents(&mut self, folder: OwnedFd, path: &[u8]) -> io::Result<()> {
        let mut levels = vec![Level::open(folder, path.to_vec())?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, name.to_bytes());
            if self.left_out.contains(&path) {
                continue;
            }
            if path.len() > PATH_MAX {
                return Err(Errno::NAMETOOLONG.into());
            }
            match self.entry(&level.folder, &name, &path) {
                Ok(Some(below)) => levels.push(Level::open(below, path)?),
                Ok(None) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Packs one thing of a folder; the folder that it is, for its entries to follow.
    pub(crate) fn entry(
        &mut self,
        folder: impl AsFd,
        name: &CStr,
        path: &[u8],
    ) -> io::Result<Option<OwnedFd>> {
        let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.subfolder(folder, name, path).map(Some),
            FileType::CharacterDevice if device == (0, 0) && self.manner == Manner::Difference => {
                return self.removal(path, &stat).map(|()| None);
            }
            FileType::RegularFile => return self.file(folder, name, path).map(|()| None),
            FileType::Symlink => {
                EntryKind::Symlink(rustix::fs::readlinkat(&folder, name, Vec::new())?.into_bytes())
            }
            FileType::CharacterDevice => EntryKind::Character(device.0, device.1),
            FileType::BlockDevice => EntryKind::Block(device.0, device.1),
            FileType::Fifo => EntryKind::Fifo,
            _ => return Ok(None),
        };
        let kind = self.link_or(kind, path, &stat);
        self.writer.entry(&describe(path, kind, &stat, 0, Vec::new())).map(|()| None)
    }

    /// Packs an open file under a name.
    pub(crate) fn file_as(&mut self, file: impl AsFd, path: &[u8]) -> io::Result<()> {
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no regular file"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let xattrs = attributes(&file)?;
        self.writer.entry(&describe(path, EntryKind::File, &stat, size, xattrs))?;
        self.writer.data(File::from(file.as_fd().try_clone_to_owned()?), size)
    }

    /// Ends the archive.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.writer.finish()
    }

    fn subfolder(&mut self, folder: impl AsFd, name: &CStr, path: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&folder)?;
        self.write_folder(&folder, path, &stat)?;
        Ok(folder)
    }

    fn write_folder(&mut self, folder: &OwnedFd, path: &[u8], stat: &Stat) -> io::Result<()> {
        let mut named = path.to_vec();
        if !named.ends_with(b"/") {
            named.push(b'/');
        }
        let xattrs = attributes(folder)?;
        self.writer.entry(&describe(&named, EntryKind::Directory, stat, 0, xattrs))?;
        if self.manner == Manner::Difference && has_orders(folder) {
            return Err(io::Error::other(
                "a renamed folder is kept as a reference by this kernel (overlayfs's redirect_dir)",
            ));
        }
        if self.manner == Manner::Difference && is_opaque(folder) {
            let mark = join(path, b".wh..wh..opq");
            self.writer.entry(&describe(&mark, EntryKind::File, stat, 0, Vec::new()))?;
        }
        Ok(())
    }

    fn file(&mut self, folder: impl AsFd, name: &CStr, path: &[u8]) -> io::Result<()> {
        // Nothing that took its place meanwhile may keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        match self.link_or(EntryKind::File, path, &stat) {
            EntryKind::File => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                let xattrs = attributes(&file)?;
                self.writer.entry(&describe(path, EntryKind::File, &stat, size, xattrs))?;
                self.writer.data(file, size)
            }
            link => self.writer.entry(&describe(path, link, &stat, 0, Vec::new())),
        }
    }

    fn removal(&mut self, path: &[u8], stat: &Stat) -> io::Result<()> {
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b""[..], path),
        };
        let mark = join(above, &[b".wh.", name].concat());
        self.writer.entry(&describe(&mark, EntryKind::File, stat, 0, Vec::new()))
    }

    /// A file's further names are links to its first one.
    fn link_or(&mut self, kind: EntryKind, path: &[u8], stat: &Stat) -> EntryKind {
        if stat.st_nlink < 2 {
            return kind;
        }
        match self.linked.entry((stat.st_dev, stat.st_ino)) {
            std::collections::btree_map::Entry::Occupied(first) => EntryKind::Hardlink(first.get().clone()),
            std::collections::btree_map::Entry::Vacant(first) => {
                first.insert(path.to_vec());
                kind
            }
        }
    }
}

impl Level {
    fn open(folder: OwnedFd, path: Vec<u8>) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let name = entry?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(Self { folder, names: names.into_iter(), path })
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => name.to_vec(),
        path if path.ends_with(b"/") => [path, name].concat(),
        path => [path, b"/", name].concat(),
    }
}

fn describe(path: &[u8], kind: EntryKind, stat: &Stat, size: u64, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Entry {
    Entry {
        path: path.to_vec(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, 0),
        size,
        xattrs,
    }
}

/// The attributes that are a file's own: capabilities, and what users attached.
fn attributes(file: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; NAMES_MAX];
    let length = match rustix::fs::flistxattr(&file, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::RANGE) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let kept = name == b"security.capability"
            || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
        if !kept {
            continue;
        }
        let mut value = vec![0; VALUE_MAX];
        if let Ok(length) = rustix::fs::fgetxattr(&file, name, &mut value) {
            value.truncate(length);
            found.push((name.to_vec(), value));
        }
    }
    Ok(found)
}

/// Whether overlayfs takes its content from elsewhere: then what is here is not all of it.
fn has_orders(folder: &OwnedFd) -> bool {
    rustix::fs::fgetxattr(folder, "trusted.overlay.redirect", &mut [0_u8; 4096]).is_ok()
}

fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0; 8];
    rustix::fs::fgetxattr(folder, "trusted.overlay.opaque", &mut value)
        .is_ok_and(|length| value[..length] == *b"y")
}

/// It was there a moment ago, or is something else now.
fn is_gone(error: &io::Error) -> bool {
    let codes = [Errno::NOENT, Errno::LOOP, Errno::NOTDIR, Errno::NXIO].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// As the kernel's.
const PATH_MAX: usize = 4096;
const NAMES_MAX: usize = 64 << 10;
const VALUE_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::archive::Reader;

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    fn packed(root: &Path, path: &[u8], manner: Manner) -> Vec<(String, EntryKind)> {
        let mut packer = Packer::new(Vec::new(), manner).leave_out(vec![b"secret".to_vec()]);
        packer.folder(open(root), path).unwrap();
        let archive = packer.finish().unwrap();
        let mut reader = Reader::new(archive.as_slice());
        let mut found = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            found.push((String::from_utf8(entry.path).unwrap(), entry.kind));
        }
        found
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("b/c")).unwrap();
        for name in ["a", "secret", "b/f"] {
            File::create(root.path().join(name)).unwrap();
        }
        std::fs::hard_link(root.path().join("a"), root.path().join("b/z")).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", root.path().join("b/link")).unwrap();
        std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        root
    }

    #[test]
    fn everything_is_packed_in_order_and_links_are_not_followed() {
        let root = tree();
        let names: Vec<_> = packed(root.path(), b"", Manner::Plain);
        let expected = [
            ("a", EntryKind::File),
            ("b/", EntryKind::Directory),
            ("b/c/", EntryKind::Directory),
            ("b/f", EntryKind::File),
            ("b/link", EntryKind::Symlink(b"/etc/shadow".to_vec())),
            ("b/z", EntryKind::Hardlink(b"a".to_vec())),
        ];
        assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_folder_may_have_any_name_in_the_archive() {
        let root = tree();
        let first = |path: &[u8]| {
            packed(root.path(), path, Manner::Plain).into_iter().take(2).map(|e| e.0).collect::<Vec<_>>()
        };
        assert_eq!(first(b"etc"), ["etc/", "etc/a"]);
        assert_eq!(first(b"."), ["./", "./a"]);
        assert_eq!(first(b"/"), ["/", "/a"]);
    }

    #[test]
    fn a_difference_says_what_was_removed_and_what_hides_everything() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = tree();
        let device = rustix::fs::makedev(0, 0);
        let place = root.path().join("b/gone");
        let made =
            rustix::fs::mknodat(rustix::fs::CWD, place, FileType::CharacterDevice, Mode::empty(), device);
        let flags = rustix::fs::XattrFlags::empty();
        let marked = rustix::fs::setxattr(root.path().join("b/c"), "trusted.overlay.opaque", b"y", flags);
        if made.is_err() || marked.is_err() {
            return;
        }
        let names: Vec<_> =
            packed(root.path(), b"", Manner::Difference).into_iter().map(|entry| entry.0).collect();
        assert!(
            names.contains(&"b/.wh.gone".to_owned()) && names.contains(&"b/c/.wh..wh..opq".to_owned()),
            "{names:?}"
        );
    }
}
