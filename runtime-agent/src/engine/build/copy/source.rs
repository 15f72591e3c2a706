//! What is copied: looked up beneath a root, and known by a digest of everything but times.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::engine::dockerfile::clean;
use crate::engine::download::Download;
use crate::engine::error::{Error, Result};
use crate::engine::glob;

/// One file or folder to copy.
pub(super) struct Source {
    pub(super) content: Content,
    /// What it is called where it goes into a folder.
    pub(super) name: String,
    /// `file:` or `dir:`, and a digest.
    hash: String,
}

pub(super) enum Content {
    /// Something below a root, by its path from there.
    Below(Arc<OwnedFd>, String),
    Downloaded(Download),
}

impl Source {
    pub(super) fn downloaded(url: &str, destination: &str, fetched: Download) -> Result<Self> {
        let name = match &fetched.name {
            Some(name) => name.clone(),
            None if destination.ends_with('/') => {
                return Err(Error::invalid(format!(
                    "ADD failed: cannot determine filename for source {url}"
                )));
            }
            None => "__unnamed__".to_owned(),
        };
        let failed = |e| Error::internal("reading a download", e);
        let mut hasher = Sha256::new();
        let mut file = fetched.file.reopen().map_err(failed)?;
        io::copy(&mut file, &mut Hashing(&mut hasher)).map_err(failed)?;
        let hash = format!("file:{}", hex::encode(hasher.finalize()));
        Ok(Self { content: Content::Downloaded(fetched), name, hash })
    }
}

/// What the step is known by: the digest of its only source, or one of all of theirs.
pub(super) fn known_as(sources: &[Source]) -> String {
    if let [only] = sources {
        return only.hash.clone();
    }
    let all: Vec<_> = sources.iter().map(|source| source.hash.as_str()).collect();
    format!("multi:{}", hex::encode(Sha256::digest(all.join(","))))
}

/// Everything that a source means: one thing, or what its pattern fits. The error is the client's text.
pub(super) fn find(
    root: &Arc<OwnedFd>,
    wanted: &str,
    from_image: bool,
    counts_owners: bool,
) -> std::result::Result<Vec<Source>, String> {
    let path = clean(wanted)[1..].to_owned();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound if from_image => format!("stat {wanted}: file does not exist"),
        io::ErrorKind::NotFound => {
            format!(
                "file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
            )
        }
        _ => format!("{wanted}: {error}"),
    };
    if !glob::is_pattern(wanted) {
        return source(root, &path, counts_owners).map(|source| vec![source]).map_err(failed);
    }
    let mut matching = Vec::new();
    walk(root, "", &mut |name, _| {
        if glob::matches(&path, name) {
            matching.push(name.to_owned());
        }
        Ok(())
    })
    .map_err(failed)?;
    matching.iter().map(|name| source(root, name, counts_owners).map_err(failed)).collect()
}

/// Links on the way and at the end are followed, within the root.
fn source(root: &Arc<OwnedFd>, path: &str, counts_owners: bool) -> io::Result<Source> {
    let found = open(root, path, OFlags::PATH)?;
    let stat = rustix::fs::fstat(&found)?;
    let mut hasher = Sha256::new();
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            walk(root, path, &mut |name, stat| {
                let within = name.strip_prefix(path).unwrap_or(name).trim_start_matches('/');
                hash(&mut hasher, root, name, within, stat, counts_owners)
            })?;
            "dir"
        }
        FileType::RegularFile => {
            hash(&mut hasher, root, path, "", &stat, counts_owners)?;
            "file"
        }
        _ => return Err(io::Error::other("it is neither a file nor a folder")),
    };
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let hash = format!("{kind}:{}", hex::encode(hasher.finalize()));
    Ok(Source { content: Content::Below(Arc::clone(root), path.to_owned()), name, hash })
}

/// Name, kind, mode, content, and where a link leads. Every part is told from the next by its length.
fn hash(
    hasher: &mut Sha256,
    root: &OwnedFd,
    path: &str,
    shown: &str,
    stat: &Stat,
    counts_owners: bool,
) -> io::Result<()> {
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    part(shown.as_bytes());
    part(&stat.st_mode.to_be_bytes());
    if counts_owners {
        part(&stat.st_uid.to_be_bytes());
        part(&stat.st_gid.to_be_bytes());
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let (folder, name) = parent(root, path)?;
            part(rustix::fs::readlinkat(&folder, &name, Vec::new())?.as_bytes());
        }
        FileType::RegularFile => {
            let file = File::from(open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?);
            let mut capability = [0; 64];
            let length =
                rustix::fs::fgetxattr(&file, "security.capability", &mut capability).unwrap_or_default();
            part(&capability[..length]);
            let length = u64::try_from(stat.st_size).unwrap_or(0);
            hasher.update(length.to_be_bytes());
            io::copy(&mut file.take(length), &mut Hashing(hasher))?;
        }
        FileType::CharacterDevice | FileType::BlockDevice => part(&stat.st_rdev.to_be_bytes()),
        _ => {}
    }
    Ok(())
}

/// Calls `each` for everything below a folder, in the order of names, folders before what is in them.
fn walk(root: &OwnedFd, folder: &str, each: &mut dyn FnMut(&str, &Stat) -> io::Result<()>) -> io::Result<()> {
    let mut ahead = vec![folder.to_owned()];
    let mut first = true;
    while let Some(path) = ahead.pop() {
        if !std::mem::take(&mut first) {
            let (folder, name) = parent(root, &path)?;
            let stat = rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            each(&path, &stat)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                continue;
            }
        }
        let open = open(root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&open)? {
            // What is no text cannot be named by a Dockerfile, but is copied with its folder all the same.
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(if path.is_empty() { name } else { format!("{path}/{name}") });
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        ahead.extend(names);
    }
    Ok(())
}

fn parent(root: &OwnedFd, path: &str) -> io::Result<(OwnedFd, CString)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    Ok((open(root, folder, OFlags::PATH | OFlags::DIRECTORY)?, CString::new(name)?))
}

/// Opens what is at a path within a root.
pub(super) fn open(root: &OwnedFd, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { "." } else { path };
    match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
        Err(Errno::NOTDIR) => Err(io::ErrorKind::NotFound.into()),
        opened => Ok(opened?),
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &std::path::Path, text: &str) {
        io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
    }

    fn world() -> (tempfile::TempDir, Arc<OwnedFd>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("d/e")).unwrap();
        for (name, text) in [("a.txt", "1"), ("b.txt", "2"), ("d/c.txt", "3")] {
            write(&folder.path().join(name), text);
        }
        symlink("/a.txt", folder.path().join("link")).unwrap();
        symlink("../../../../etc/hostname", folder.path().join("out")).unwrap();
        let root = rustix::fs::open(folder.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        (folder, Arc::new(root))
    }

    fn hash_of(root: &Arc<OwnedFd>, path: &str) -> String {
        known_as(&find(root, path, false, false).unwrap())
    }

    #[test]
    fn sources_are_found_by_name_and_by_pattern_and_only_inside() {
        let (_folder, root) = world();
        let names = |pattern: &str| -> Vec<String> {
            find(&root, pattern, false, false).unwrap().into_iter().map(|source| source.name).collect()
        };
        assert_eq!(
            (names("*.txt"), names("d/*.txt")),
            (vec!["a.txt".into(), "b.txt".into()], vec!["c.txt".into()])
        );
        assert_eq!(
            (names("./d/"), names("../../d"), names("x*")),
            (vec!["d".into()], vec!["d".into()], vec![])
        );
        assert_eq!(hash_of(&root, "link"), hash_of(&root, "a.txt"));
        let missing = find(&root, "out", false, false).err().unwrap();
        assert!(
            missing.contains("file not found in build context"),
            "the host's file is not seen: {missing}"
        );
        assert!(find(&root, "a.txt/x", false, false).err().unwrap().contains("not found"));
    }

    #[test]
    fn the_hash_knows_contents_names_and_modes_and_no_times() {
        let (folder, root) = world();
        let before = hash_of(&root, "d");
        assert!(before.starts_with("dir:") && hash_of(&root, "a.txt").starts_with("file:"));
        let path = folder.path().join("d/c.txt");
        File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(hash_of(&root, "d"), before);
        write(&path, "4");
        let changed = hash_of(&root, "d");
        assert_ne!(changed, before);
        std::fs::rename(&path, folder.path().join("d/f.txt")).unwrap();
        assert_ne!(hash_of(&root, "d"), changed);
        assert!(hash_of(&root, "*.txt").starts_with("multi:"));
    }
}
