//! Unpacking one layer: a tar of differences becomes an overlayfs lower folder. And unpacking plain files into a
//! container's filesystem ([`copy`]), where a name that begins with `.wh.` is a name like others.
//!
//! Promises that nothing outside the folder is read or written, whatever the archive says ([`super::tree`]); that
//! removals become overlayfs whiteouts (character device 0:0) and opaque marks (`trusted.overlay.opaque`), also when
//! one archive removes something and brings it again; and that owner, mode, times and extended attributes are kept.
//! Refuses names and hard links that climb out, more entries than [`ENTRIES_MAX`], and to fill the disk's last reserve.

use std::io::{BufRead, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, makedev};
use rustix::io::Errno;

use super::archive::{Data, Entry, EntryKind, Reader, Segment};
use super::tree::{Place, Tree};
use super::{Error, Result};

/// Far above any real layer (a large one has 200 000), far below what would exhaust a disk's inodes unnoticed.
const ENTRIES_MAX: u64 = 5_000_000;
/// How often free space is looked at, in bytes written.
const LOOK_EVERY: u64 = 64 * 1024 * 1024;
/// What stays free for records and logs: this, or a hundredth of a small disk.
const RESERVE: u64 = 256 * 1024 * 1024;

const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_META: &[u8] = b".wh..wh.";
const WHITEOUT_OPAQUE: &[u8] = b".wh..wh..opq";
const OPAQUE: &str = "trusted.overlay.opaque";

/// Unpacks all of `archive` into the tree and returns the bytes of its files.
pub(super) fn unpack<R: BufRead>(archive: &mut Reader<R>, tree: Tree) -> Result<u64> {
    let mut unpacking = Unpacking { tree, copying: None, written: 0, look_at: 0, times: Vec::new() };
    let mut entries = 0;
    while let Some(entry) = archive.next()? {
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(Error::archive(&entry.path, "the layer has too many entries"));
        }
        unpacking.entry(&entry, archive.data())?;
    }
    unpacking.finish()
}

/// How files are copied into a container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copying {
    /// The folder they go into, which exists.
    pub(crate) folder: Vec<u8>,
    /// Whom all of it shall belong to, instead of whom the archive names.
    pub(crate) owner: Option<(u32, u32)>,
    /// Refuses to put a folder in the place of something else, and something else in the place of a folder.
    pub(crate) keep_kinds: bool,
}

/// Unpacks all of `archive` into a folder of the tree.
pub(crate) fn copy<R: BufRead>(archive: &mut Reader<R>, tree: Tree, copying: &Copying) -> Result<()> {
    let mut unpacking = Unpacking { tree, copying: None, written: 0, look_at: 0, times: Vec::new() };
    unpacking.copying = Some(copying.clone());
    while let Some(entry) = archive.next()? {
        if let Some(entry) = copying.place(entry)? {
            unpacking.entry(&entry, archive.data())?;
        }
    }
    unpacking.finish().map(drop)
}

impl Copying {
    /// The entry under its name from the root; `None` for the folder itself, which is there.
    fn place(&self, mut entry: Entry) -> Result<Option<Entry>> {
        let Some(path) = self.below(&entry.path)? else { return Ok(None) };
        if let EntryKind::Hardlink(target) = &entry.kind {
            let target =
                self.below(target)?.ok_or_else(|| Error::archive(&entry.path, "it links to a folder"))?;
            entry.kind = EntryKind::Hardlink(target);
        }
        (entry.uid, entry.gid) = self.owner.unwrap_or((entry.uid, entry.gid));
        entry.path = path;
        Ok(Some(entry))
    }

    fn below(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let names = super::tree::names(path)
            .map_err(|_| Error::Outside { path: text(path), folder: self.folder_text() })?;
        Ok((!names.is_empty()).then(|| [&self.folder, &b"/"[..], &names.join(&b'/')].concat()))
    }

    fn folder_text(&self) -> String {
        if self.folder.is_empty() { "/".to_owned() } else { text(&self.folder) }
    }

    fn check(&self, entry: &Entry, place: &Place) -> Result<()> {
        let existing = place.existing().map_err(Error::entry("examine", &entry.path))?;
        let Some(existing) = existing.filter(|_| self.keep_kinds) else { return Ok(()) };
        let (was, is) = (is_folder(&existing), entry.kind == EntryKind::Directory);
        if was == is {
            return Ok(());
        }
        let other = |is_folder| if is_folder { "" } else { "non-" };
        let (path, folder) = (text(&entry.path), self.folder_text());
        Err(Error::OtherKind { path, folder, what: other(was), with: other(is) })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Unpacking {
    tree: Tree,
    copying: Option<Copying>,
    written: u64,
    look_at: u64,
    /// Folders' times, set last: every entry made in them changes them.
    times: Vec<(Vec<u8>, Timestamps)>,
}

impl Unpacking {
    fn entry<R: BufRead>(&mut self, entry: &Entry, data: Data<'_, R>) -> Result<()> {
        let failed = |doing| Error::entry(doing, &entry.path);
        let Some(place) = self.tree.place(&entry.path)? else {
            // The layer's own root: only its attributes can be meant.
            let root = self.tree.root();
            describe(root, entry).map_err(failed("set the attributes of"))?;
            self.times.push((entry.path.clone(), timestamps(entry)));
            return Ok(());
        };
        if let Some(copying) = &self.copying {
            copying.check(entry, &place)?;
        } else if place.name.as_bytes().starts_with(WHITEOUT) {
            return whiteout(&place)
                .map_err(failed("white out"))?
                .then_some(())
                .ok_or_else(|| Error::archive(&entry.path, "it removes nothing that has a name"));
        }
        match &entry.kind {
            EntryKind::Directory => self.directory(&place, entry).map_err(failed("make")),
            EntryKind::Hardlink(target) => self.hardlink(&place, target, entry),
            kind => {
                self.tree_changes(&place).map_err(failed("replace"))?;
                match kind {
                    EntryKind::File => self.file(&place, entry, data, None),
                    EntryKind::Sparse(length, segments) => {
                        self.file(&place, entry, data, Some((*length, segments)))
                    }
                    _ => node(&place, entry, self.copying.is_none()).map_err(failed("make")),
                }
            }
        }
    }

    fn directory(&mut self, place: &Place, entry: &Entry) -> rustix::io::Result<()> {
        let mut opaque = false;
        match place.existing()? {
            Some(stat) if is_folder(&stat) => {}
            existing => {
                // Removed and brought again by one layer: what lies below must not shine through.
                opaque = self.copying.is_none() && existing.as_ref().is_some_and(is_whiteout);
                self.tree_changes(place)?;
                rustix::fs::mkdirat(&place.folder, &place.name, Mode::RWXU)?;
            }
        }
        let folder = open_folder(place)?;
        if opaque {
            set_opaque(&folder)?;
        }
        describe(&folder, entry)?;
        self.times.push((entry.path.clone(), timestamps(entry)));
        Ok(())
    }

    fn hardlink(&mut self, place: &Place, target: &[u8], entry: &Entry) -> Result<()> {
        let failed = |doing| Error::entry(doing, &entry.path);
        let Some(source) = self.tree.place(target)? else {
            return Err(Error::archive(&entry.path, "it links to the root of the layer"));
        };
        let original = source.existing().map_err(failed("link"))?;
        let Some(original) = original.filter(|stat| !is_folder(stat)) else {
            return Err(Error::archive(&entry.path, "it links to something that is not in the layer"));
        };
        let here = place.existing().map_err(failed("link"))?;
        if here.is_some_and(|here| (here.st_dev, here.st_ino) == (original.st_dev, original.st_ino)) {
            return Ok(());
        }
        self.tree_changes(place).map_err(failed("replace"))?;
        let flags = AtFlags::empty();
        rustix::fs::linkat(&source.folder, &source.name, &place.folder, &place.name, flags)
            .map_err(failed("link"))
    }

    fn file<R: BufRead>(
        &mut self,
        place: &Place,
        entry: &Entry,
        mut data: Data<'_, R>,
        sparse: Option<(u64, &[Segment])>,
    ) -> Result<()> {
        let failed = |doing| Error::entry(doing, &entry.path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.folder, &place.name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = std::fs::File::from(file.map_err(failed("create"))?);
        match sparse {
            None => self.copy(&mut file, entry, &mut data, entry.size)?,
            Some((length, segments)) => {
                rustix::fs::ftruncate(&file, length).map_err(failed("extend"))?;
                for segment in segments {
                    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(segment.offset))
                        .map_err(failed("write"))?;
                    self.copy(&mut file, entry, &mut data, segment.length)?;
                }
            }
        }
        describe(&file, entry).map_err(failed("set the attributes of"))?;
        rustix::fs::futimens(&file, &timestamps(entry)).map_err(failed("set the times of"))
    }

    /// Straight from the reader's buffer.
    fn copy<R: BufRead>(
        &mut self,
        file: &mut std::fs::File,
        entry: &Entry,
        data: &mut Data<'_, R>,
        mut length: u64,
    ) -> Result<()> {
        while length > 0 {
            let buffer = data.fill_buf().map_err(Error::ArchiveBroke)?;
            let part = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            file.write_all(&buffer[..part]).map_err(|source| Error::Entry {
                doing: "write",
                path: String::from_utf8_lossy(&entry.path).into_owned(),
                source,
            })?;
            data.consume(part);
            length -= part as u64;
            self.written += part as u64;
            if self.written >= self.look_at {
                self.look_at = self.written + LOOK_EVERY;
                leave_a_reserve(self.tree.root())?;
            }
        }
        Ok(())
    }

    /// Clears the place for something new.
    fn tree_changes(&mut self, place: &Place) -> rustix::io::Result<()> {
        if place.existing()?.is_none() {
            return Ok(());
        }
        self.tree.forget();
        place.clear()
    }

    fn finish(self) -> Result<u64> {
        for (path, times) in self.times.iter().rev() {
            // One that a later entry replaced has no times to set.
            if let Ok(folder) = self.tree.existing(path) {
                rustix::fs::futimens(&folder, times).map_err(Error::entry("set the times of", path))?;
            }
        }
        Ok(self.written)
    }
}

/// Refuses to fill the last part of the disk that `root` is on.
pub(super) fn leave_a_reserve(root: impl AsFd) -> Result<()> {
    let Ok(disk) = rustix::fs::fstatvfs(root) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserve = RESERVE.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 100);
    if free < reserve { Err(Error::Reserve(free)) } else { Ok(()) }
}

/// Marks what lower layers hold as removed. `false` when the mark names nothing.
fn whiteout(place: &Place) -> rustix::io::Result<bool> {
    let name = place.name.as_bytes();
    if name == WHITEOUT_OPAQUE {
        return set_opaque(&place.folder).map(|()| true);
    }
    if name.starts_with(WHITEOUT_META) {
        // Bookkeeping of aufs, of no meaning here.
        return Ok(true);
    }
    let hidden = &name[WHITEOUT.len()..];
    if matches!(hidden, b"" | b"." | b"..") {
        return Ok(false);
    }
    let Ok(name) = std::ffi::CString::new(hidden) else { return Ok(false) };
    let place = Place { folder: place.folder.clone(), name };
    match place.existing()? {
        // Brought by this same layer, which only means to hide what lies below.
        Some(stat) if is_folder(&stat) => set_opaque(&open_folder(&place)?)?,
        Some(_) => {}
        None => {
            let mode = Mode::empty();
            rustix::fs::mknodat(&place.folder, &place.name, FileType::CharacterDevice, mode, makedev(0, 0))?;
        }
    }
    Ok(true)
}

/// Everything that has no data: links, devices and pipes. Attributes only where nobody else writes meanwhile: there is
/// no call for them that needs no path.
fn node(place: &Place, entry: &Entry, attributes: bool) -> rustix::io::Result<()> {
    let (folder, name) = (&place.folder, &place.name);
    let mode = Mode::from_raw_mode(entry.mode);
    let device = |kind, major, minor| rustix::fs::mknodat(folder, name, kind, mode, makedev(major, minor));
    let made = match &entry.kind {
        EntryKind::Symlink(target) => rustix::fs::symlinkat(target.as_slice(), folder, name),
        EntryKind::Character(major, minor) => device(FileType::CharacterDevice, *major, *minor),
        EntryKind::Block(major, minor) => device(FileType::BlockDevice, *major, *minor),
        _ => rustix::fs::mkfifoat(folder, name, mode),
    };
    match made {
        // A host that forbids device nodes; containers get their devices otherwise.
        Err(Errno::PERM) if matches!(entry.kind, EntryKind::Character(..) | EntryKind::Block(..)) => {
            tracing::warn!(path = %String::from_utf8_lossy(&entry.path), "this host makes no device nodes: left out");
            return Ok(());
        }
        made => made?,
    }
    let (uid, gid) = owner(entry);
    rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !matches!(entry.kind, EntryKind::Symlink(_)) {
        // It was made just now and is no link, so following none is the same as following any.
        rustix::fs::chmodat(folder, name, mode, AtFlags::empty())?;
    }
    let path = place.through_descriptor();
    for (name, value) in wanted_xattrs(entry).filter(|_| attributes) {
        tolerate(name, rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()))?;
    }
    rustix::fs::utimensat(folder, name, &timestamps(entry), AtFlags::SYMLINK_NOFOLLOW)
}

/// Owner, mode and extended attributes, in the order in which none undoes another.
fn describe(file: impl AsFd, entry: &Entry) -> rustix::io::Result<()> {
    let (uid, gid) = owner(entry);
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))?;
    for (name, value) in wanted_xattrs(entry) {
        tolerate(name, rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()))?;
    }
    Ok(())
}

/// overlayfs takes orders through attributes (redirects, opaque marks); an image has no business giving any.
fn wanted_xattrs(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ours = |name: &[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    entry
        .xattrs
        .iter()
        .filter(move |(name, _)| !ours(name))
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
}

/// A filesystem without labels or user attributes can't keep them; a lost capability would break a program.
fn tolerate(name: &[u8], set: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match set {
        Err(Errno::NOTSUP | Errno::PERM | Errno::INVAL) if name != b"security.capability" => Ok(()),
        set => set,
    }
}

fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))
}

fn timestamps(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn open_folder(place: &Place) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.folder, &place.name, flags, Mode::empty())
}

fn set_opaque(folder: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(folder, OPAQUE, b"y", XattrFlags::empty())
}

fn is_folder(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(0, 0)
}

#[cfg(test)]
mod tests;
