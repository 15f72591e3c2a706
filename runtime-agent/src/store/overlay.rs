//! Mounting overlayfs over any number of layers.
//!
//! `mount(2)` takes one page of options. Where absolute paths would not fit, a thread of its own leaves the process's
//! shared working folder (`unshare(CLONE_FS)`), stands in `/proc/thread-self/fd`, and names every layer by the number of
//! a descriptor: five bytes a layer instead of ninety.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Error, Result};

/// What makes up one mount.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    /// Topmost first, as overlayfs wants them.
    pub(crate) lower: Vec<PathBuf>,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
}

/// One page, with its terminating zero.
const OPTIONS_MAX: usize = 4095;

/// Mounts at `target`.
pub(crate) fn mount(overlay: &Overlay, target: &Path) -> Result<()> {
    let options = options(&overlay.lower, &overlay.upper, &overlay.work);
    if options.len() <= OPTIONS_MAX && !overlay.names_need_escapes() {
        return mount_with(&options, target).map_err(Error::os("mount overlayfs at", target));
    }
    let overlay = overlay.clone();
    let at = target.to_owned();
    std::thread::spawn(move || mount_by_descriptors(&overlay, &at))
        .join()
        .map_err(|_| Error::Stopped)?
        .map_err(Error::os("mount overlayfs at", target))
}

/// Takes the mount away; one that isn't there is gone already.
pub(crate) fn unmount(target: &Path) -> Result<()> {
    match rustix::mount::unmount(target, UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        // Somebody still stands in it, such as a shell in another mount namespace: it goes when they leave.
        Err(rustix::io::Errno::BUSY) => {
            rustix::mount::unmount(target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                .map_err(Error::os("unmount", target))
        }
        Err(errno) => Err(Error::os("unmount", target)(errno)),
    }
}

/// Whether something is mounted exactly here: a mount is another device than the folder that holds it.
pub(crate) fn is_mounted(target: &Path) -> Result<bool> {
    let device = |path: &Path| match rustix::fs::lstat(path) {
        Ok(stat) => Ok(Some(stat.st_dev)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::os("examine", path)(errno)),
    };
    let holder = target.parent().unwrap_or(Path::new("/"));
    let here = device(target)?;
    Ok(here.is_some() && here != device(holder)?)
}

impl Overlay {
    /// Overlayfs splits its options at these; a data root may contain them.
    fn names_need_escapes(&self) -> bool {
        let special = |path: &PathBuf| path.as_os_str().as_bytes().iter().any(|byte| b":,\\".contains(byte));
        special(&self.upper) || special(&self.work) || self.lower.iter().any(special)
    }
}

fn options(lower: &[PathBuf], upper: &Path, work: &Path) -> Vec<u8> {
    let mut options = b"lowerdir=".to_vec();
    for (at, path) in lower.iter().enumerate() {
        if at > 0 {
            options.push(b':');
        }
        options.extend_from_slice(path.as_os_str().as_bytes());
    }
    options.extend_from_slice(b",upperdir=");
    options.extend_from_slice(upper.as_os_str().as_bytes());
    options.extend_from_slice(b",workdir=");
    options.extend_from_slice(work.as_os_str().as_bytes());
    options
}

fn mount_with(options: &[u8], target: &Path) -> rustix::io::Result<()> {
    let options = CString::new(options).map_err(|_| rustix::io::Errno::INVAL)?;
    rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str())
}

/// Runs on a thread that ends afterwards, since it no longer shares the process's working folder.
fn mount_by_descriptors(overlay: &Overlay, target: &Path) -> rustix::io::Result<()> {
    let open = |path: &PathBuf| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let lower = overlay.lower.iter().map(open).collect::<rustix::io::Result<Vec<OwnedFd>>>()?;
    let (upper, work) = (open(&overlay.upper)?, open(&overlay.work)?);
    let number = |fd: &OwnedFd| PathBuf::from(fd.as_raw_fd().to_string());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).map_err(to_rustix)?;
    rustix::process::chdir("/proc/thread-self/fd")?;
    let options = options(&lower.iter().map(number).collect::<Vec<_>>(), &number(&upper), &number(&work));
    if options.len() > OPTIONS_MAX {
        return Err(rustix::io::Errno::TOOBIG);
    }
    mount_with(&options, target)
}

fn to_rustix(errno: nix::errno::Errno) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(&io::Error::from(errno)).unwrap_or(rustix::io::Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn overlay(root: &Path, layers: usize) -> (Overlay, PathBuf) {
        let folder = |name: String| {
            let path = root.join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        // Names as long as a real store's.
        let lower: Vec<_> = (0..layers).map(|at| folder(format!("layers/{at:064}/fs"))).collect();
        for (at, layer) in lower.iter().enumerate() {
            File::create(layer.join(format!("file-{at}"))).unwrap();
        }
        let overlay = Overlay { lower, upper: folder("upper".into()), work: folder("work".into()) };
        (overlay, folder("merged".into()))
    }

    /// In a mount namespace of its own; `None` without the privilege to make one.
    fn alone<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let thread = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).ok()?;
            let private =
                rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private).ok()?;
            Some(work())
        });
        thread.join().unwrap()
    }

    #[test]
    fn mounts_few_layers_and_more_than_a_page_can_name() {
        for layers in [1, 2, 40, 200, 480] {
            let ran = alone(move || {
                let root = tempfile::tempdir().unwrap();
                let (overlay, merged) = overlay(root.path(), layers);
                assert!(!is_mounted(&merged).unwrap());
                mount(&overlay, &merged).unwrap_or_else(|error| panic!("{layers} layers: {error:?}"));
                assert!(is_mounted(&merged).unwrap());
                assert_eq!(std::fs::read_dir(&merged).unwrap().count(), layers);
                File::create(merged.join("new")).unwrap();
                unmount(&merged).unwrap();
                unmount(&merged).unwrap();
                assert!(overlay.upper.join("new").is_file() && !is_mounted(&merged).unwrap());
            });
            if ran.is_none() {
                // Every machine that runs the whole suite is root; there it counts.
                assert!(!rustix::process::geteuid().is_root(), "root could not make a mount namespace");
            }
        }
    }

    #[test]
    fn a_data_root_may_have_any_name() {
        alone(|| {
            let root = tempfile::tempdir().unwrap();
            let (overlay, merged) = overlay(&root.path().join("with:colon,comma\\and more"), 3);
            mount(&overlay, &merged).unwrap();
            assert_eq!(std::fs::read_dir(&merged).unwrap().count(), 3);
            unmount(&merged).unwrap();
        });
    }
}
