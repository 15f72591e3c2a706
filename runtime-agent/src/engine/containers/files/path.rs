//! Paths as clients name them: cleaned as Go cleans them, looked up inside, described in Go's words.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use serde::Serialize;

use crate::engine::containers::moment::Moment;

/// What `X-Docker-Container-Path-Stat` says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathStat {
    /// The last name of the path as it was asked for.
    pub(crate) name: String,
    pub(crate) size: i64,
    /// Go's `os.FileMode`.
    pub(crate) mode: u32,
    pub(crate) mtime: String,
    /// Where a link leads in the end, from the container's root.
    pub(crate) link_target: String,
}

/// A path that is there.
#[derive(Debug)]
pub(super) struct Found {
    /// The folder that it is in, or that it is.
    pub(super) folder: OwnedFd,
    /// `None` when it is a folder that was named as such.
    pub(super) name: Option<CString>,
    /// As the client reads it.
    pub(super) shown: Vec<u8>,
    pub(super) stat: Stat,
}

/// Looks a path up. Its last name is not followed if it is a link, unless it ends in `/` or `/.`.
pub(super) fn find(root: &OwnedFd, path: &str) -> rustix::io::Result<Found> {
    let clean = clean(path);
    let shown = match clean.rsplit('/').next() {
        _ if path.ends_with("/.") || path == "." => b".".to_vec(),
        Some("") | None => b"/".to_vec(),
        Some(name) => name.as_bytes().to_vec(),
    };
    let as_folder = clean == "/" || path.ends_with('/') || shown == b".";
    if as_folder {
        let folder = open_folder(root, &clean)?;
        let stat = rustix::fs::fstat(&folder)?;
        return Ok(Found { folder, name: None, shown, stat });
    }
    let (above, name) = clean.rsplit_once('/').unwrap_or(("", &clean));
    let folder = open_folder(root, if above.is_empty() { "/" } else { above })?;
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let stat = rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Found { folder, name: Some(name), shown, stat })
}

/// A folder, following every link inside the root.
pub(super) fn open_folder(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), how)
}

/// A folder's entry, if it is a folder itself.
pub(super) fn open_entry(folder: &OwnedFd, name: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Absolute, without `.` and `..`.
pub(super) fn clean(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

impl Found {
    pub(super) fn describe(&self, root: &OwnedFd, path: &str) -> PathStat {
        let is_link = FileType::from_raw_mode(self.stat.st_mode) == FileType::Symlink;
        let nanoseconds =
            i128::from(self.stat.st_mtime) * 1_000_000_000 + i128::from(self.stat.st_mtime_nsec);
        PathStat {
            name: String::from_utf8_lossy(&self.shown).into_owned(),
            size: self.stat.st_size,
            mode: go_mode(self.stat.st_mode),
            mtime: Moment::from_nanoseconds(nanoseconds).map(go_time).unwrap_or_default(),
            link_target: if is_link { destination(root, &clean(path)) } else { String::new() },
        }
    }
}

/// Go leaves the zeros at a fraction's end out, and an empty fraction too.
fn go_time(moment: Moment) -> String {
    let text = moment.to_string();
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{text}Z")
}

/// Where a path leads in the end, whether anything is there or not.
fn destination(root: &OwnedFd, path: &str) -> String {
    let mut ahead: VecDeque<Vec<u8>> = path.split('/').map(|name| name.as_bytes().to_vec()).collect();
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                done.pop();
                continue;
            }
            _ => {}
        }
        let above = [b"/", done.join(&b'/').as_slice()].concat();
        let folder = open_folder(root, &String::from_utf8_lossy(&above));
        let target = folder.and_then(|folder| rustix::fs::readlinkat(folder, name.as_slice(), Vec::new()));
        match target {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                let target = target.into_bytes();
                if target.starts_with(b"/") {
                    done.clear();
                }
                for name in target.split(|byte| *byte == b'/').rev() {
                    ahead.push_front(name.to_vec());
                }
            }
            _ => done.push(name),
        }
    }
    format!("/{}", String::from_utf8_lossy(&done.join(&b'/')))
}

/// The kind of a file stands in other bits than the kernel's.
fn go_mode(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special = special.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| go).sum::<u32>();
    kind | special | (mode & 0o777)
}

/// As in Go's evaluation.
const LINKS_MAX: u32 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/sub")).unwrap();
        for (target, name) in
            [("/data", "link"), ("/nowhere/x", "dangling"), ("loop", "loop"), ("../../link/sub", "up")]
        {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        }
        let root = rustix::fs::open(folder.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        (folder, root)
    }

    #[test]
    fn the_last_link_is_followed_only_as_a_folder() {
        let (_folder, root) = root();
        let shown = |path: &str| {
            let found = find(&root, path).unwrap().describe(&root, path);
            (found.name, found.link_target, found.mode >> 27)
        };
        assert_eq!(shown("link"), ("link".into(), "/data".into(), 1));
        assert_eq!(shown("/link/"), ("link".into(), String::new(), 16));
        assert_eq!(shown("/link/."), (".".into(), String::new(), 16));
        assert_eq!(shown("/data/../up"), ("up".into(), "/data/sub".into(), 1));
        assert_eq!(shown("dangling").1, "/nowhere/x");
        assert_eq!(shown("/"), ("/".into(), String::new(), 16));
        assert_eq!(find(&root, "/nope").unwrap_err(), Errno::NOENT);
        assert!(shown("loop").1.ends_with("/loop"));
    }

    #[test]
    fn modes_and_times_are_gos() {
        assert_eq!(go_mode(0o040_755), 2_147_484_141);
        assert_eq!(go_mode(0o120_777), 134_218_239);
        assert_eq!(go_mode(0o104_755), 1 << 23 | 0o755);
        let moment = |nanoseconds| go_time(Moment::from_nanoseconds(nanoseconds).unwrap());
        assert_eq!(moment(1_700_000_000_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(moment(1_700_000_000_120_000_000), "2023-11-14T22:13:20.12Z");
    }
}
