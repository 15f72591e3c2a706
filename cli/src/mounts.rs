//! What is mounted on this computer, as the system tells it: by its file on Linux, by `mount` elsewhere.
//!
//! A place is looked up by its name alone, since a mount whose other end is gone answers nothing that is asked of it.

use std::io;
use std::path::{Path, PathBuf};

/// One thing that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) at: PathBuf,
    /// What the system calls it: a device, or what the one who mounted it said.
    pub(crate) what: String,
    /// Its kind of file system.
    pub(crate) kind: String,
}

/// What is mounted at this place, whose name is a resolved one: the last, where there are several.
pub(crate) async fn at(place: &Path) -> io::Result<Option<Mounted>> {
    Ok(table().await?.into_iter().rfind(|mounted| mounted.at == place))
}

/// The place as the system lists it: without links, even where what is mounted there is dead.
pub(crate) fn resolved(place: &Path) -> PathBuf {
    place.canonicalize().unwrap_or_else(|_| match (place.parent(), place.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize().unwrap_or_else(|_| parent.into()).join(name),
        _ => place.to_owned(),
    })
}

#[cfg(target_os = "linux")]
async fn table() -> io::Result<Vec<Mounted>> {
    Ok(tokio::fs::read_to_string("/proc/self/mountinfo").await?.lines().filter_map(of_linux).collect())
}

#[cfg(not(target_os = "linux"))]
async fn table() -> io::Result<Vec<Mounted>> {
    let listed = tokio::process::Command::new("mount").kill_on_drop(true).output().await?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().filter_map(of_bsd).collect())
}

/// A line of proc(5)'s mountinfo.
#[cfg(any(target_os = "linux", test))]
fn of_linux(line: &str) -> Option<Mounted> {
    let (mount, system) = line.split_once(" - ")?;
    let at = plain(mount.split(' ').nth(4)?);
    let mut system = system.split(' ');
    let kind = system.next()?.to_owned();
    Some(Mounted { at: at.into(), what: plain(system.next()?), kind })
}

/// White space and backslashes are octal there.
#[cfg(any(target_os = "linux", test))]
fn plain(escaped: &str) -> String {
    let octal = [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")];
    octal.iter().fold(escaped.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// A line of what macOS' `mount` prints.
#[cfg(any(not(target_os = "linux"), test))]
fn of_bsd(line: &str) -> Option<Mounted> {
    let (names, flags) = line.rsplit_once(" (")?;
    let (what, at) = names.split_once(" on ")?;
    let kind = flags.split([',', ')']).next()?;
    Some(Mounted { at: at.into(), what: what.into(), kind: kind.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(at: &str, what: &str, kind: &str) -> Option<Mounted> {
        Some(Mounted { at: at.into(), what: what.into(), kind: kind.into() })
    }

    #[test]
    fn both_lists_are_read() {
        let line = r"61 29 0:48 / /home/ann/my\040site rw,nosuid,nodev shared:9 - fuse.sshfs web:/srv/a\040b rw,user_id=0";
        assert_eq!(of_linux(line), mounted("/home/ann/my site", "web:/srv/a b", "fuse.sshfs"));
        let line = "web:/srv on /Users/ann/my site (macfuse, nodev, nosuid, synchronous, mounted by ann)";
        assert_eq!(of_bsd(line), mounted("/Users/ann/my site", "web:/srv", "macfuse"));
        assert_eq!((of_linux("nonsense"), of_bsd("nonsense")), (None, None));
    }

    #[tokio::test]
    async fn what_is_mounted_here_is_found_through_links() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        let root = resolved(&folder.path().join("link"));
        assert_eq!(root, Path::new("/"));
        assert!(at(&root).await.unwrap().is_some());
        assert_eq!(at(&resolved(folder.path())).await.unwrap(), None);
        assert_eq!(resolved(&folder.path().join("gone")), resolved(folder.path()).join("gone"));
    }
}
