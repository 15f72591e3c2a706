//! Network namespaces that outlive whoever made them: files that they are bind-mounted on.
//!
//! A thread that has changed its namespace is never used for anything else: everything here happens on threads that
//! end right after.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;

use super::{Error, Result};

/// What a container's namespace is set to at birth, where the kernel knows the setting: as dockerd sets it.
const SETTINGS: &[(&str, &str)] = &[
    // Ports below 1024 are nobody's but the container's own.
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    // Links of networks that have IPv6 are told so; elsewhere a link-local address would only delay things. The loopback
    // keeps its ::1.
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    // Everybody may ping.
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// Makes a namespace with its loopback up, and pins it at `path`. On failure nothing is left there.
pub(crate) async fn create(path: &Path) -> Result<()> {
    let path = path.to_owned();
    let handle = {
        let path = path.clone();
        on_a_thread(move || {
            make(&path)?;
            super::link::Links::here()
        })
        .await
    };
    let up = match handle {
        Ok(links) => links.raise_loopback().await,
        Err(error) => Err(error),
    };
    if up.is_err() {
        remove(&path).await?;
    }
    up
}

/// Unpins the namespace; the kernel ends it with its last process. Being gone already is success.
pub(crate) async fn remove(path: &Path) -> Result<()> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        loop {
            match nix::mount::umount2(&path, MntFlags::MNT_DETACH) {
                // Once more: a daemon that was killed may have mounted twice.
                Ok(()) => {}
                Err(nix::Error::EINVAL | nix::Error::ENOENT) => break,
                Err(error) => return Err(Error::file("unmount", &path)(error)),
            }
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &path)(error)),
            _ => Ok(()),
        }
    })
    .await
    .map_err(|_| Error::Ended)?
}

/// Runs `work` inside the namespace at `path`, on a thread of its own.
pub(crate) async fn within<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let path: PathBuf = path.to_owned();
    on_a_thread(move || {
        let namespace = File::open(&path).map_err(Error::file("open", &path))?;
        nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(Error::file("enter", &path))?;
        work()
    })
    .await
}

fn make(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o711).create(folder).map_err(Error::file("make", folder))?;
    }
    File::create(path).map_err(Error::file("make", path))?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).map_err(Error::kernel("make a network namespace"))?;
    let source = Path::new("/proc/thread-self/ns/net");
    let none: Option<&str> = None;
    nix::mount::mount(Some(source), path, none, MsFlags::MS_BIND, none)
        .map_err(Error::file("mount", path))?;
    for (setting, value) in SETTINGS {
        set(setting, value)?;
    }
    Ok(())
}

/// Sets a kernel parameter of this thread's namespace; one that this kernel lacks is left alone.
pub(super) fn set(setting: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(setting);
    match std::fs::OpenOptions::new().write(true).open(&path) {
        Ok(mut file) => io::Write::write_all(&mut file, value.as_bytes()).map_err(Error::file("set", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("set", path)(error)),
    }
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(move || {
            let _entered = runtime.enter();
            // Whoever asked may have gone; what was made is found by its path.
            let _ = sender.send(work());
        })
        .map_err(Error::kernel("start a thread"))?;
    receiver.await.map_err(|_| Error::Ended)?
}
