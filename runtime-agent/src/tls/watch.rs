//! Certificates that follow their files: a swap needs no restart and touches no container.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::{Error, Material};
use crate::config::TlsFiles;

/// The newest material that could be read. Files that do not fit each other leave the last good one in force.
#[derive(Debug, Clone)]
pub(crate) struct Reloading {
    current: Arc<watch::Sender<Material>>,
    files: Arc<TlsFiles>,
}

impl Reloading {
    /// Reads the files now, and again whenever one of their folders changes.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, Error> {
        let current = Arc::new(watch::Sender::new(Material::read(&files)?));
        let this = Self { current, files: Arc::new(files) };
        let watch = this.watch()?;
        tokio::spawn(this.clone().follow(watch));
        Ok(this)
    }

    /// What a new connection is made with.
    pub(crate) fn current(&self) -> Material {
        self.current.borrow().clone()
    }

    /// Tells when there is newer material.
    pub(crate) fn changes(&self) -> watch::Receiver<Material> {
        self.current.subscribe()
    }

    /// Reads the files again, for SIGHUP.
    pub(crate) fn reload(&self) {
        match Material::read(&self.files) {
            Ok(material) => {
                self.current.send_replace(material);
                tracing::info!("certificates are read anew");
            }
            Err(error) => tracing::warn!(%error, "keeping the certificates in force"),
        }
    }

    #[expect(
        deprecated,
        reason = "the replacement is unsafe; `Watch` owns its descriptor and never trades it"
    )]
    fn watch(&self) -> Result<AsyncFd<Watch>, Error> {
        let failed = |path: &Path, source: std::io::Error| Error::Watch { path: path.to_owned(), source };
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .map_err(|e| failed(&self.files.cert, e.into()))?;
        // Folders, not files: a replaced file is another inode.
        let changes = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE;
        for folder in self.files.all().filter_map(Path::parent) {
            inotify.add_watch(folder, changes).map_err(|e| failed(folder, e.into()))?;
        }
        AsyncFd::new(Watch(inotify)).map_err(|e| failed(&self.files.cert, e))
    }

    async fn follow(self, watch: AsyncFd<Watch>) {
        loop {
            let Ok(mut ready) = watch.readable().await else { return };
            let events = watch.get_ref().0.read_events().unwrap_or_default();
            ready.clear_ready();
            let is_ours = |name: Option<&OsStr>| {
                self.files.all().any(|file| name.is_some() && file.file_name() == name)
            };
            if events.iter().any(|event| is_ours(event.name.as_deref())) {
                self.reload();
            }
        }
    }
}

#[derive(Debug)]
struct Watch(Inotify);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
