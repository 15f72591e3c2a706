//! The machine's folder: what lies where, records that are replaced and never rewritten, and the locks that say who
//! is alive.
//!
//! - `vm.json` and `disk.json` say what belongs to whom; a resource exists as long as its record does.
//! - `supervisor.lock` is held by the supervisor, and contains its process id.
//! - `qemu.lock` is held by QEMU itself, which inherits it at birth: it is free exactly when no QEMU of this machine
//!   is alive, however its parent ended.
//! - `share0.lock` and so on likewise by the servers of its folders (`virtiofs.rs`), and contain their process ids.
//!
//! The order that makes removal safe at any moment: a supervisor takes its lock *before* it reads `vm.json`; whoever
//! removes the machine removes `vm.json` *before* it waits for that lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wharf_driver::{ActionKey, OwnerTag};

use crate::action;

/// The folder of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

/// `disk.json`: whose the disk is, and by which action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskRecord {
    pub(crate) version: u32,
    pub(crate) key: ActionKey,
    pub(crate) owner: OwnerTag,
    pub(crate) disk: action::Disk,
}

/// `vm.json`: whose the machine is, by which action, and all that the supervisor needs to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VmRecord {
    pub(crate) version: u32,
    pub(crate) key: ActionKey,
    pub(crate) owner: OwnerTag,
    pub(crate) vm: action::Vm,
    /// Who signs in over SSH.
    pub(crate) user: String,
}

/// `state.json`: what the supervisor last knew. Only to be believed together with the locks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Where the SSH server is reached on 127.0.0.1; zero before QEMU has picked it. Asked for at the next start.
    pub(crate) ssh_port: u16,
    /// Likewise the engine.
    pub(crate) engine_port: u16,
    /// How far the machine is.
    pub(crate) phase: Phase,
    /// What is wrong though it runs.
    pub(crate) warnings: Vec<String>,
}

/// How far a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// QEMU is on its way, or the guest is.
    #[default]
    Starting,
    /// The guest said that it answers.
    Running,
    /// It was asked to stop.
    Stopping,
    /// QEMU is gone.
    Stopped,
}

impl Folder {
    /// The folder at `path`, which need not exist.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes it, readable by its owner only.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// Reads a record; `None` when it is not there.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a record.
    pub(crate) fn write<T: Serialize>(&self, name: &str, record: &T) -> io::Result<()> {
        self.replace(name, &serde_json::to_vec_pretty(record)?)
    }

    /// Replaces a file as a whole, mode 0600: after a crash there is the old one or the new one.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.file(&format!(".{name}.{}", std::process::id()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.file(name))?;
        self.sync()
    }

    /// Removes a file; being gone already is success.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the folder and everything in it; being gone already is success.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes renames and removals last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Takes a lock, or says that somebody has it. A lock file that was replaced meanwhile does not count.
    pub(crate) fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        let path = self.file(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) if is_still(&file, &path) => Ok(Some(Lock(file))),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether somebody holds this lock.
    pub(crate) fn is_locked(&self, name: &str) -> bool {
        File::open(self.file(name))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// What the holder of a lock wrote into it.
    pub(crate) fn lock_holder(&self, name: &str) -> Option<i32> {
        fs::read_to_string(self.file(name)).ok()?.trim().parse().ok()
    }
}

/// A lock that is held until this is dropped, or for as long as a child has inherited it.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Writes our process id into it.
    pub(crate) fn sign(&mut self) -> io::Result<()> {
        self.sign_for(std::process::id())
    }

    /// Writes the id of a process that has inherited it.
    pub(crate) fn sign_for(&mut self, pid: u32) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        write!(self.0, "{pid}")
    }

    /// The file, to be inherited.
    pub(crate) const fn file(&self) -> &File {
        &self.0
    }
}

/// The last part of a text file, as much of it as is text.
pub(crate) fn tail(path: &Path, longest: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(longest)))?;
    let mut bytes = Vec::new();
    file.take(longest).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The names of the files.
pub(crate) mod name {
    pub(crate) const DISK_RECORD: &str = "disk.json";
    pub(crate) const VM_RECORD: &str = "vm.json";
    pub(crate) const STATUS: &str = "state.json";
    pub(crate) const SUPERVISOR_LOCK: &str = "supervisor.lock";
    pub(crate) const SUPERVISOR_LOG: &str = "supervisor.log";
    pub(crate) const QEMU_LOCK: &str = "qemu.lock";
    pub(crate) const QEMU_PID: &str = "qemu.pid";
    pub(crate) const QEMU_LOG: &str = "qemu.log";
    pub(crate) const QMP: &str = "qmp.sock";
    pub(crate) const SHARE: &str = "share.sock";
    pub(crate) const VIRTIOFSD_LOG: &str = "virtiofsd.log";
    pub(crate) const CONSOLE: &str = "console.log";
    pub(crate) const DISK: &str = "disk.img";
    pub(crate) const KERNEL: &str = "kernel";
    pub(crate) const INITRAMFS: &str = "initramfs";
    pub(crate) const SEED_HOST_NAME: &str = "seed-hostname";
    pub(crate) const SEED_AUTHORIZED_KEY: &str = "seed-authorized-key";
    pub(crate) const SEED_HOST_KEY: &str = "seed-host-key";
    pub(crate) const SEED_SHARES: &str = "seed-shares";
    pub(crate) const SEED_FOLDER: &str = "seed";

    /// What goes with the machine; the disk and the locks stay until the disk goes.
    pub(crate) const OF_VM: [&str; 14] = [
        STATUS,
        SUPERVISOR_LOG,
        QEMU_PID,
        QEMU_LOG,
        QMP,
        SHARE,
        VIRTIOFSD_LOG,
        CONSOLE,
        KERNEL,
        INITRAMFS,
        SEED_HOST_NAME,
        SEED_AUTHORIZED_KEY,
        SEED_HOST_KEY,
        SEED_SHARES,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().join("driver"));
        folder.create().unwrap();
        (temporary, folder)
    }

    #[test]
    fn a_lock_is_held_by_one_and_freed_by_its_end() {
        let (_temporary, folder) = folder();
        assert!(!folder.is_locked("x"));
        let mut lock = folder.try_lock("x").unwrap().unwrap();
        lock.sign().unwrap();
        assert!(folder.is_locked("x"));
        assert!(folder.try_lock("x").unwrap().is_none());
        assert_eq!(folder.lock_holder("x"), Some(i32::try_from(std::process::id()).unwrap()));
        drop(lock);
        assert!(!folder.is_locked("x"));
    }

    #[test]
    fn records_are_private_and_read_back() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_temporary, folder) = folder();
        assert_eq!(folder.read::<Status>("s").unwrap(), None);
        let status = Status { ssh_port: 7, ..Status::default() };
        folder.write("s", &status).unwrap();
        assert_eq!(folder.read("s").unwrap(), Some(status));
        assert_eq!(fs::metadata(folder.file("s")).unwrap().permissions().mode() & 0o777, 0o600);
        folder.remove("s").unwrap();
        folder.remove("s").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_tail_is_the_end() {
        let (_temporary, folder) = folder();
        folder.replace("t", b"abcdef").unwrap();
        assert_eq!(tail(&folder.file("t"), 3).unwrap(), "def");
    }
}
