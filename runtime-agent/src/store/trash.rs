//! Folders that nobody needs any more: out of the way at once, off the disk soon.
//!
//! Taking a tree apart makes the disk write once or more for every file; whoever removes a container need not wait for
//! that. So its folders are renamed into one that is emptied beside other work, and again when the daemon starts: what is
//! in there is gone, whatever happens. When more has been thrown away than the disk keeps up with, whoever throws waits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Error, Mounting, Result, private_folder};

/// Trees that are taken apart in the background at a time.
const AT_A_TIME: usize = 16;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Trash {
    folder: PathBuf,
    /// How many are being taken apart; none ever is in tests, which look at what is left at once.
    under_way: Option<Arc<AtomicUsize>>,
}

impl Trash {
    /// What an earlier daemon left in it goes now.
    pub(super) fn open(root: &Path, mounting: Mounting) -> Result<Self> {
        let folder = root.join("trash");
        private_folder(&folder)?;
        let trash = Self { under_way: (mounting == Mounting::Overlay).then(Arc::default), folder };
        for entry in fs::read_dir(&trash.folder).map_err(Error::io("list", &trash.folder))? {
            trash.empty(entry.map_err(Error::io("list", &trash.folder))?.path());
        }
        Ok(trash)
    }

    /// Takes a folder away with all that is in it. One that isn't there is gone already.
    ///
    /// # Errors
    /// When it stays where it is.
    pub(crate) fn take(&self, folder: &Path) -> Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = self.folder.join(format!("{}-{number}", std::process::id()));
        match fs::rename(folder, &place) {
            Ok(()) => {
                self.empty(place);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Another file system, or a name that a killed daemon of this number left: taken apart where it is.
            Err(_) => match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(Error::io("remove", folder)(error))
                }
                _ => Ok(()),
            },
        }
    }

    fn empty(&self, tree: PathBuf) {
        let Some(under_way) = self.under_way.clone() else { return remove(&tree) };
        if under_way.fetch_add(1, Ordering::Relaxed) >= AT_A_TIME {
            under_way.fetch_sub(1, Ordering::Relaxed);
            return remove(&tree);
        }
        let done = Arc::clone(&under_way);
        let begun = std::thread::Builder::new().name("trash".to_owned()).spawn(move || {
            remove(&tree);
            done.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = begun {
            under_way.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%error, "what was removed stays on the disk until the next start");
        }
    }
}

fn remove(tree: &Path) {
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, tree = %tree.display(), "what was removed stays on the disk");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(at: &Path) {
        fs::create_dir_all(at.join("deep/er")).unwrap();
        fs::File::create(at.join("deep/file")).unwrap();
    }

    fn emptied(trash: &Path) -> bool {
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            fs::read_dir(trash).unwrap().next().is_none()
        })
    }

    #[test]
    fn what_is_taken_is_out_of_the_way_at_once_and_gone_soon() {
        let root = tempfile::tempdir().unwrap();
        let trash = Trash::open(root.path(), Mounting::Overlay).unwrap();
        let folders: Vec<_> = (0..2 * AT_A_TIME).map(|n| root.path().join(n.to_string())).collect();
        for folder in &folders {
            tree(folder);
        }
        for folder in &folders {
            trash.take(folder).unwrap();
            assert!(!folder.exists());
            trash.take(folder).unwrap();
        }
        assert!(emptied(&root.path().join("trash")));
    }

    #[test]
    fn what_a_killed_daemon_left_goes_at_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        tree(&root.path().join("trash/1-0"));
        Trash::open(root.path(), Mounting::Overlay).unwrap();
        assert!(emptied(&root.path().join("trash")));
    }

    #[test]
    fn a_name_that_is_taken_is_no_reason_to_keep_anything() {
        let root = tempfile::tempdir().unwrap();
        let trash = Trash::open(root.path(), Mounting::Pretend).unwrap();
        let folder = root.path().join("one");
        tree(&folder);
        // Not empty, so nothing can be renamed over it.
        for number in 0..100 {
            tree(&root.path().join("trash").join(format!("{}-{number}", std::process::id())));
        }
        trash.take(&folder).unwrap();
        assert!(!folder.exists());
    }
}
