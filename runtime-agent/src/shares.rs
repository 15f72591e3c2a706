//! Folders of the computer that this host is a virtual machine of, seen here at the same paths.
//!
//! On such a host a path in a client's `-v` mostly means the client's own computer. A source that is there is used,
//! whether it is in a share or the host's own, such as its socket or a volume's folder. One that is not there is made, as
//! dockerd does it, only in a share that is mounted and may be written to, which makes it on that computer; anywhere else
//! it is refused with what to do, where dockerd would make an empty folder that nobody looks into. A host that was told
//! nothing of shares is its client's business alone, and follows dockerd.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All folders that this host was told of; none at all is something that it was told, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares(Vec<Share>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    path: PathBuf,
    writable: bool,
}

impl Shares {
    /// What a file says: `ro PATH` or `rw PATH` a line. Lines that say neither are for other readers.
    pub(crate) fn read(text: &str) -> Self {
        let share = |line: &str| {
            let (mode, path) = line.trim_end_matches(['\r', '\n']).split_once(' ')?;
            let writable = match mode {
                "rw" => true,
                "ro" => false,
                _ => return None,
            };
            let path = PathBuf::from(path);
            path.is_absolute().then_some(Share { path, writable })
        };
        Self(text.lines().filter_map(share).collect())
    }

    /// Whether a source that is not there may be made, or why not.
    ///
    /// # Errors
    /// A sentence that goes on after "it does not exist", with what to do.
    pub(crate) fn may_make(&self, path: &Path) -> Result<(), String> {
        let holder = self.0.iter().filter(|share| path.starts_with(&share.path));
        let Some(share) = holder.max_by_key(|share| share.path.components().count()) else {
            return Err(format!(
                "this machine is a virtual one, and sees of your computer {}; make the machine with --local-mount \
                 and a folder that this is in",
                self.listed()
            ));
        };
        let shown = share.path.display();
        if !is_mounted(&share.path) {
            return Err(format!(
                "it is in {shown}, a folder of your computer that this machine could not mount; `wharf status` says why"
            ));
        }
        if !share.writable {
            return Err(format!(
                "it is in {shown}, which this machine only reads on your computer; make it there first, or make the \
                 machine with --local-mount {shown}:rw"
            ));
        }
        Ok(())
    }

    fn listed(&self) -> String {
        let paths: Vec<String> = self.0.iter().map(|share| share.path.display().to_string()).collect();
        if paths.is_empty() { "no folder".to_owned() } else { format!("only {}", paths.join(", ")) }
    }
}

/// Whether another file system begins there.
fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|data| data.dev()).ok();
    let Some(parent) = path.parent() else { return true };
    device(path).is_some_and(|own| device(parent) != Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_shares_a_line() {
        let shares =
            Shares::read("# written at boot\nro /home/ann\nrw /home/ann/my src\nxx /a\nrw relative\n");
        assert_eq!(shares.listed(), "only /home/ann, /home/ann/my src");
        assert_eq!(Shares::read("").listed(), "no folder");
    }

    #[test]
    fn only_a_mounted_share_that_may_be_written_to_takes_new_folders() {
        // A mount point that every Linux has, and one that is none.
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().display();
        let shares = Shares::read(&format!("ro /proc\nrw /proc/self\nrw {plain}\nrw /dev\n"));
        let refusal = |path: &str| shares.may_make(Path::new(path)).unwrap_err();
        assert!(refusal("/home/ann/src").contains("--local-mount and a folder"));
        assert!(refusal("/homeless").contains("only /proc"));
        assert!(refusal("/proc/new").contains("--local-mount /proc:rw"));
        assert!(refusal(&format!("{plain}/new")).contains("could not mount"));
        assert!(refusal("/processor").contains("a virtual one"), "a name that only begins alike");
        assert_eq!(shares.may_make(Path::new("/dev/new")), Ok(()));
        assert!(refusal("/proc/self/x").contains("could not mount"), "the innermost share decides");
    }
}
