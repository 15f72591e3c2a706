//! Layers unpacked as they should be, and archives that try to leave theirs.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::super::archive::Reader;
use super::super::tree::Tree;
use super::super::{Error, Result};
use super::{OPAQUE, unpack};

/// A tar under construction, with names that no honest program writes.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn header(name: &str, kind: EntryType, link: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        // Past the crate's own checks: raw bytes.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o750 } else { 0o640 });
        header.set_uid(1000);
        header.set_gid(1001);
        header.set_mtime(1_000_000);
        header.set_size(size);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_cksum();
        header
    }

    fn file(mut self, name: &str, text: &str) -> Self {
        let header = Self::header(name, EntryType::Regular, "", text.len() as u64);
        self.0.append(&header, text.as_bytes()).unwrap();
        self
    }

    fn entry(mut self, name: &str, kind: EntryType, link: &str) -> Self {
        self.0.append(&Self::header(name, kind, link, 0), std::io::empty()).unwrap();
        self
    }

    fn folder(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, "")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, target)
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, target)
    }

    fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        let records = records.iter().map(|(key, value)| (*key, *value));
        self.0.append_pax_extensions(records).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A folder with a layer's root in it, and beside it what must never change.
struct World {
    folder: tempfile::TempDir,
    kernel: bool,
}

impl World {
    fn new(kernel: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        let mut secret = std::fs::File::create(folder.path().join("outside/secret")).unwrap();
        secret.write_all(b"untouched").unwrap();
        Self { folder, kernel }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn unpack(&self, tar: &[u8]) -> Result<u64> {
        let tree = Tree::open(&self.root())?;
        unpack(&mut Reader::new(tar), if self.kernel { tree } else { tree.without_kernel() })
    }

    /// Whatever happened inside, outside is as it was.
    fn assert_outside_untouched(&self) {
        let outside = self.folder.path().join("outside");
        let names: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "untouched");
        assert_eq!(std::fs::metadata(outside.join("secret")).unwrap().nlink(), 1);
        assert_eq!(std::fs::read_dir(self.folder.path()).unwrap().count(), 2);
    }
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn is_whiteout(path: impl AsRef<Path>) -> bool {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(path: impl AsRef<Path>) -> bool {
    let mut value = [0; 8];
    rustix::fs::getxattr(path.as_ref(), OPAQUE, &mut value).is_ok_and(|length| value[..length] == *b"y")
}

/// The archives of every escape that container engines were caught with.
fn escapes(outside: &str) -> Vec<(&'static str, Vec<u8>)> {
    let climb = "../outside/secret";
    vec![
        ("a name that climbs", Tar::new().file(climb, "x").bytes()),
        ("a name that climbs later", Tar::new().file("a/../../outside/secret", "x").bytes()),
        ("an absolute name", Tar::new().file(&format!("{outside}/secret"), "x").bytes()),
        ("through an absolute link", Tar::new().symlink("l", outside).file("l/secret", "x").bytes()),
        ("through a climbing link", Tar::new().symlink("l", "../outside").file("l/secret", "x").bytes()),
        (
            "through a link in a link",
            Tar::new().symlink("a", "..").symlink("b", "a/outside").file("b/secret", "x").bytes(),
        ),
        (
            "over a link to a file",
            Tar::new().symlink("f", &format!("{outside}/secret")).file("f", "x").bytes(),
        ),
        ("a hard link that climbs", Tar::new().hardlink("h", climb).file("h", "x").bytes()),
        ("a hard link that is absolute", Tar::new().hardlink("h", &format!("{outside}/secret")).bytes()),
        (
            "a hard link through a link",
            Tar::new().symlink("l", outside).hardlink("h", "l/secret").file("h", "x").bytes(),
        ),
        ("a folder over a link", Tar::new().symlink("l", outside).folder("l").file("l/new", "x").bytes()),
        ("a folder through a link", Tar::new().symlink("l", "../outside").folder("l/new").bytes()),
        ("a whiteout that climbs", Tar::new().file("../outside/.wh.secret", "").bytes()),
        ("a whiteout through a link", Tar::new().symlink("l", outside).file("l/.wh.secret", "").bytes()),
        ("a whiteout of the parent", Tar::new().file(".wh...", "").bytes()),
        (
            "an opaque mark through a link",
            Tar::new().symlink("l", outside).file("l/.wh..wh..opq", "").bytes(),
        ),
        (
            "a folder that becomes a link",
            Tar::new().folder("d").file("d/a", "x").symlink("d", outside).file("d/secret", "x").bytes(),
        ),
        (
            "a link removed through a link",
            Tar::new().symlink("d", outside).file("d", "x").symlink("d", outside).folder("d/secret").bytes(),
        ),
        (
            "a name that climbs in an extended header",
            Tar::new().pax(&[("path", climb.as_bytes())]).file("ok", "x").bytes(),
        ),
        (
            "a link that climbs in an extended header",
            Tar::new().pax(&[("linkpath", climb.as_bytes())]).hardlink("h", "ok").bytes(),
        ),
        (
            "a sparse name that climbs",
            Tar::new()
                .pax(&[
                    ("GNU.sparse.name", climb.as_bytes()),
                    ("GNU.sparse.realsize", b"1"),
                    ("GNU.sparse.map", b"0,1"),
                ])
                .file("ok", "x")
                .bytes(),
        ),
        ("a link through proc", Tar::new().symlink("p", "/proc/self/cwd").file("p/new", "x").bytes()),
    ]
}

#[test]
fn no_archive_reaches_outside_its_folder() {
    for kernel in [true, false] {
        let outside = World::new(kernel);
        let path = outside.folder.path().join("outside");
        for (what, tar) in escapes(path.to_str().unwrap()) {
            let world = World::new(kernel);
            // Refused or confined, both are fine; touching anything is not.
            let result = world.unpack(&tar);
            world.assert_outside_untouched();
            outside.assert_outside_untouched();
            if what.contains("that climbs") && !what.contains("a link that") {
                assert!(result.is_err(), "{what} was accepted");
            }
        }
    }
}

#[test]
fn links_are_followed_as_inside_a_container() {
    for kernel in [true, false] {
        let world = World::new(kernel);
        let tar = Tar::new()
            .folder("usr")
            .folder("usr/lib")
            .symlink("lib", "/usr/lib")
            .symlink("deep", "../../../usr")
            .file("lib/a", "a")
            .file("deep/lib/b", "b")
            .bytes();
        world.unpack(&tar).unwrap();
        assert_eq!(text(world.root().join("usr/lib/a")), "a", "kernel: {kernel}");
        assert_eq!(text(world.root().join("usr/lib/b")), "b", "kernel: {kernel}");
    }
}

#[test]
fn a_ring_of_links_is_an_error() {
    for kernel in [true, false] {
        let world = World::new(kernel);
        let tar = Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", "x").bytes();
        assert!(world.unpack(&tar).is_err());
    }
}

#[test]
fn owner_mode_times_and_attributes_are_kept() {
    let world = World::new(true);
    let tar = Tar::new()
        .folder("d")
        .pax(&[
            ("mtime", b"12.5"),
            ("SCHILY.xattr.user.note", b"hello"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ])
        .file("d/f", "four")
        .symlink("d/l", "f")
        .hardlink("d/h", "d/f")
        .entry("d/p", EntryType::Fifo, "")
        .bytes();
    assert_eq!(world.unpack(&tar).unwrap(), 4);
    let file = std::fs::metadata(world.root().join("d/f")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.permissions().mode() & 0o7777), (1000, 1001, 0o640));
    assert_eq!((file.mtime(), file.mtime_nsec(), file.nlink()), (12, 500_000_000, 2));
    let folder = std::fs::metadata(world.root().join("d")).unwrap();
    assert_eq!((folder.mtime(), folder.permissions().mode() & 0o7777), (1_000_000, 0o750));
    assert!(std::fs::symlink_metadata(world.root().join("d/p")).unwrap().file_type().is_fifo());
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(world.root().join("d/f"), "user.note", &mut value);
    // A temporary folder may be on a filesystem without user attributes.
    assert!(length.is_err() || value[..length.unwrap()] == *b"hello");
    assert!(!is_opaque(world.root().join("d/f")), "an image gave overlayfs an order");
}

#[test]
fn removals_become_what_overlayfs_knows() {
    let world = World::new(true);
    let tar = Tar::new()
        .file("gone/.wh.file", "")
        .folder("emptied")
        .file("emptied/.wh..wh..opq", "")
        .file("emptied/new", "n")
        .file(".wh..wh.plnk", "")
        .file(".wh.again", "")
        .folder("again")
        .file("again/x", "x")
        .folder("before")
        .file("before/x", "x")
        .file(".wh.before", "")
        .file("kept", "k")
        .file(".wh.kept", "")
        .bytes();
    world.unpack(&tar).unwrap();
    let root = world.root();
    assert!(is_whiteout(root.join("gone/file")));
    assert!(is_opaque(root.join("emptied")) && text(root.join("emptied/new")) == "n");
    assert!(is_opaque(root.join("again")) && text(root.join("again/x")) == "x");
    assert!(is_opaque(root.join("before")) && text(root.join("before/x")) == "x");
    assert_eq!(text(root.join("kept")), "k");
    let names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".wh.")), "{names:?}");
}

#[test]
fn later_entries_replace_earlier_ones() {
    let world = World::new(true);
    let tar = Tar::new()
        .folder("a")
        .file("a/deep/er", "1")
        .file("a", "file now")
        .file("b", "1")
        .folder("b")
        .file("b/c", "2")
        .symlink("l", "b")
        .file("l", "3")
        .bytes();
    world.unpack(&tar).unwrap();
    assert_eq!(text(world.root().join("a")), "file now");
    assert_eq!(text(world.root().join("b/c")), "2");
    assert!(std::fs::symlink_metadata(world.root().join("l")).unwrap().is_file());
}

#[test]
fn sparse_files_keep_their_holes() {
    let world = World::new(true);
    let records: [(&str, &[u8]); 3] =
        [("GNU.sparse.name", b"s"), ("GNU.sparse.size", b"1048580"), ("GNU.sparse.map", b"0,2,1048576,4")];
    world.unpack(&Tar::new().pax(&records).file("ignored", "abcdef").bytes()).unwrap();
    let mut contents = Vec::new();
    std::fs::File::open(world.root().join("s")).unwrap().read_to_end(&mut contents).unwrap();
    assert_eq!(contents.len(), 1_048_580);
    assert_eq!((&contents[..3], &contents[1_048_576..]), (&b"ab\0"[..], &b"cdef"[..]));
    assert!(std::fs::metadata(world.root().join("s")).unwrap().blocks() < 100);
    for map in ["4,2,0,4", "0,2,1,4", "0,2,1048577,4", "0,6,6,6", "0,2"] {
        let records: [(&str, &[u8]); 2] =
            [("GNU.sparse.size", b"1048580"), ("GNU.sparse.map", map.as_bytes())];
        let result = World::new(true).unpack(&Tar::new().pax(&records).file("s", "abcdef").bytes());
        assert!(matches!(result, Err(Error::InvalidArchive(_))), "{map}");
    }
}

#[test]
fn damage_is_an_error_wherever_it_is() {
    let whole = Tar::new().folder("d").file("d/f", &"x".repeat(2000)).symlink("l", "d").bytes();
    World::new(true).unpack(&whole).unwrap();
    // Cut inside a header, inside data, inside padding.
    for cut in [100, 600, 1100, 3000, 3100] {
        let result = World::new(true).unpack(&whole[..cut]);
        assert!(matches!(result, Err(Error::ArchiveBroke(_))), "cut at {cut}: {result:?}");
    }
    for flipped in [0, 124, 150, 512 + 3] {
        let mut damaged = whole.clone();
        damaged[flipped] ^= 0x55;
        assert!(World::new(true).unpack(&damaged).is_err(), "flipped {flipped}");
    }
}

#[test]
fn what_an_archive_makes_us_remember_is_bounded() {
    for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::GNULongLink] {
        let mut header = Tar::header("x", kind, "", 1 << 40);
        header.set_cksum();
        let result = World::new(true).unpack(header.as_bytes());
        assert!(matches!(result, Err(Error::InvalidArchive(_))), "{kind:?}");
    }
}

#[test]
fn a_hard_link_needs_its_original() {
    let world = World::new(true);
    assert!(world.unpack(&Tar::new().hardlink("h", "nowhere").bytes()).is_err());
    assert!(world.unpack(&Tar::new().folder("d").hardlink("h", "d").bytes()).is_err());
    assert!(world.unpack(&Tar::new().hardlink("h", "/").bytes()).is_err());
    // To itself, as some builders write.
    world.unpack(&Tar::new().file("f", "x").hardlink("f", "f").bytes()).unwrap();
    assert_eq!(text(world.root().join("f")), "x");
}

#[test]
fn folders_too_deep_to_remove_again_are_refused() {
    let world = World::new(true);
    let part = "d".repeat(90);
    let mut tar = Tar::new().folder(&part);
    // Each link leads one folder further than a name could.
    let mut at = part.clone();
    for step in 0..80 {
        let link = format!("l{step}");
        tar = tar.symlink(&link, &at).folder(&format!("{link}/{}", &part[..80]));
        at = format!("{link}/{}", &part[..80]);
    }
    assert!(world.unpack(&tar.bytes()).is_err());
    std::fs::remove_dir_all(world.root()).unwrap();
}
