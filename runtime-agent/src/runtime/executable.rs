//! The one sealed copy of this executable that every shim and runtime child is executed from.
//!
//! A container's root that reaches `/proc/self/exe` of a runtime child could otherwise write to the engine's own file
//! on the host (CVE-2019-5736). The copy is made once a daemon, not once a container.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{MemfdFlags, SealFlags};

/// Something to execute that nobody can change.
#[derive(Debug)]
pub(super) struct Executable {
    path: PathBuf,
    /// What the path points to, for a copy in memory; without one the path is a mount.
    copy: Option<File>,
}

impl Executable {
    /// A copy in memory; where executing those is forbidden, a read-only mount of the file at `mount_point`.
    pub(super) fn protect(file: &Path, mount_point: &Path) -> io::Result<Self> {
        match sealed_copy(file) {
            Ok(copy) => {
                let path = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
                if runs(&path) {
                    return Ok(Self { path, copy: Some(copy) });
                }
                tracing::warn!("executing from memory is forbidden here; using a read-only mount");
            }
            Err(error) => tracing::warn!(%error, "cannot copy the executable; using a read-only mount"),
        }
        mount_read_only(file, mount_point)?;
        Ok(Self { path: mount_point.to_owned(), copy: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// What still runs keeps what it executes.
impl Drop for Executable {
    fn drop(&mut self) {
        if self.copy.is_none() {
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        }
    }
}

fn sealed_copy(file: &Path) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Newer kernels may want to be told that it is to be executed, older ones don't know the word.
    let memory = rustix::fs::memfd_create("wharfd", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("wharfd", flags))?;
    let mut memory = File::from(memory);
    io::copy(&mut File::open(file)?, &mut memory)?;
    rustix::fs::fcntl_add_seals(
        &memory,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(memory)
}

/// Whether it may be executed at all; what it says to that is of no concern.
fn runs(path: &Path) -> bool {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

fn mount_read_only(file: &Path, at: &Path) -> io::Result<()> {
    // An earlier daemon's; its shims keep what they execute.
    let _ = umount2(at, MntFlags::MNT_DETACH);
    File::create(at)?;
    let none = None::<&str>;
    mount(Some(file), at, none, MsFlags::MS_BIND, none)?;
    mount(none, at, none, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, none)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_sealed_copy_runs_and_cannot_be_written() {
        let copy = sealed_copy(Path::new("/bin/true")).unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
        assert!(runs(&path));
        let written = File::options().write(true).open(&path).and_then(|mut f| f.write_all(b"x"));
        assert!(written.is_err());
    }

    #[test]
    fn a_read_only_mount_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("true");
        // By another process: what this one has open for writing, a child of another thread could not run.
        assert!(Command::new("cp").arg("/bin/true").arg(&file).status().unwrap().success());
        let at = dir.path().join("mounted");
        if let Err(error) = mount_read_only(&file, &at) {
            println!("skipped: mounting needs root: {error}");
            return;
        }
        let (works, writable) = (runs(&at), File::options().write(true).open(&at).is_ok());
        umount2(&at, MntFlags::MNT_DETACH).unwrap();
        assert!(works && !writable);
    }

    #[test]
    fn a_mount_goes_with_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("mounted");
        let file = dir.path().join("text");
        File::create(&file).unwrap().write_all(b"nothing to execute").unwrap();
        let Ok(executable) = Executable::protect(&file, &at) else {
            println!("skipped: mounting needs root");
            return;
        };
        let mounted =
            || std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(at.to_str().unwrap());
        assert!(mounted());
        drop(executable);
        assert!(!mounted());
    }
}
