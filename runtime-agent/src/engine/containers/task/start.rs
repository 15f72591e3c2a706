//! From a record to a running process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Task;
use crate::engine::containers::health::{Check, Health};
use crate::engine::containers::moment::Moment;
use crate::engine::containers::place;
use crate::engine::containers::record::Status;
use crate::engine::containers::seams::Wired;
use crate::engine::containers::spec::Namespace;
use crate::engine::containers::{links, logging};
use crate::engine::error::{Error, Result};
use crate::runtime::{Bundle, LogTarget, Shim, Size};

impl Task {
    /// A start that somebody asked for: it counts restarts anew.
    pub(super) async fn start_by_hand(&mut self) -> Result<()> {
        match self.status() {
            Status::Running => return Err(Error::not_modified()),
            Status::Paused => {
                return Err(Error::conflict("cannot start a paused container, try unpause instead"));
            }
            Status::Removing | Status::Dead => {
                return Err(Error::conflict("container is marked for removal and cannot be started"));
            }
            Status::Created | Status::Exited | Status::Restarting => {}
        }
        self.now.record.state.restarts = 0;
        self.failures = 0;
        let started = self.start().await;
        if started.is_err() && self.now.record.host.auto_remove {
            self.remove(true).await?;
        }
        started
    }

    /// A start by the restart policy. One that fails is tried again, as a run that ended at once.
    pub(super) async fn restart_now(&mut self) {
        if self.status() != Status::Restarting {
            return;
        }
        self.now.record.state.restarts += 1;
        if let Err(error) = self.start().await {
            tracing::warn!(%error, container = self.now.record.id, "cannot restart");
            self.now.record.state.status = Status::Restarting;
            if let Err(error) = self.commit().await {
                tracing::error!(%error, container = self.now.record.id, "a restart is not on disk");
            }
            self.schedule_restart();
        }
    }

    async fn start(&mut self) -> Result<()> {
        self.run += 1;
        self.now.record.state.stopped_by_hand = false;
        match self.bring_up().await {
            Ok(()) => {
                let state = &mut self.now.record.state;
                let checked = Check::of(&self.now.record.config).is_some();
                state.health = checked.then(|| Health::starting(state.health.take()));
                self.commit().await?;
                self.tell("start", []);
                links::follow(&self.world, &self.now.record).await;
                self.watch_health();
                Ok(())
            }
            Err(error) => {
                self.clean_up().await;
                // Whoever attached hears that there is nothing to come.
                self.waiting.clear();
                let state = &mut self.now.record.state;
                state.exit_code = failure_code(&error);
                state.error = error.to_string();
                // A container that never ran stays `created`, as with dockerd.
                if state.status != Status::Created {
                    state.status = Status::Exited;
                }
                self.now.exits += 1;
                self.commit().await?;
                Err(error.into())
            }
        }
    }

    async fn bring_up(&mut self) -> Result<(), Failure> {
        let id = self.now.record.id.clone();
        let world = Arc::clone(&self.world);
        world.runtime.expect();
        let rootfs = world.ground.filesystems.mount(&id).await?;
        for volume in self.now.record.mounts.iter().filter_map(|mount| mount.volume.as_ref()) {
            world.ground.volumes.mount(volume).await?;
        }
        let (network, wired) = place::network::connect(&world, &self.now.record).await?;
        self.now.record.state.connected = wired.endpoints.clone();
        self.now.record.state.ports = wired.ports.clone();
        let bundle = self.bundle(rootfs.clone(), network, wired).await?;
        let shim = world.runtime.create(bundle).await?;
        self.now.shim = Some(Arc::clone(&shim));
        self.now.rootfs = Some(rootfs);
        self.tell_of_volumes(true);
        self.hand_over(&*shim).await;
        shim.start().await?;
        self.watch_exit(Arc::clone(&shim));
        let state = &mut self.now.record.state;
        state.status = Status::Running;
        state.pid = shim.pid();
        state.started = Some(Moment::now());
        state.boot.clone_from(&world.boot);
        (state.exit_code, state.oom_killed) = (0, false);
        state.error.clear();
        Ok(())
    }

    async fn bundle(&self, rootfs: PathBuf, network: Namespace, wired: Wired) -> Result<Bundle> {
        let record = &self.now.record;
        let folder = self.world.folder_of(&record.id);
        let told = links::told(&self.world, record)?;
        let files = place::files::write(&self.world, record, &folder, &network, &wired, &told.hosts).await?;
        let held = place::held::prepare(&self.world, record).await?;
        let spec =
            place::specification(&self.world, record, &rootfs, network, files, &held, told.environment)
                .await?;
        let [rows, columns] = record.host.console_size;
        Ok(Bundle {
            id: record.id.clone(),
            rootfs,
            spec,
            terminal: record.config.tty,
            size: (rows > 0 && columns > 0).then_some(Size { rows, columns }),
            open_stdin: record.config.open_stdin,
            // A terminal has no end of input: whoever leaves may come back.
            stdin_once: record.config.stdin_once && !record.config.tty,
            log: log_target(record, &folder),
            keep: wired.reserved,
            dir: folder,
        })
    }

    /// Joins those who attached before the start, so that they miss nothing.
    async fn hand_over(&mut self, shim: &dyn Shim) {
        for (streams, reply) in std::mem::take(&mut self.waiting) {
            if reply.is_closed() {
                continue;
            }
            let attached = shim.attach(streams).await.map_err(|e| Error::internal("attaching", e));
            drop(reply.send(attached));
            self.tell("attach", []);
        }
    }
}

/// Why a container did not start.
#[derive(Debug)]
enum Failure {
    Engine(Error),
    Runtime(crate::runtime::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<crate::runtime::Error> for Failure {
    fn from(error: crate::runtime::Error) -> Self {
        Self::Runtime(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        use crate::runtime::Error as Runtime;
        const DOING: &str = "failed to create task for container";
        match failure {
            Failure::Engine(error) => error,
            // The client reads exit codes out of these texts.
            Failure::Runtime(
                error @ (Runtime::Executable(_) | Runtime::Permission(_) | Runtime::Invalid(_)),
            ) => Self::invalid(format!("{DOING}: {error}")).caused_by(error),
            Failure::Runtime(error) => Self::internal(DOING, error),
        }
    }
}

/// What `$?` of a container is that never ran.
const fn failure_code(failure: &Failure) -> i32 {
    match failure {
        Failure::Runtime(crate::runtime::Error::Executable(_)) => 127,
        Failure::Runtime(crate::runtime::Error::Permission(_)) => 126,
        _ => 128,
    }
}

fn log_target(record: &crate::engine::containers::record::ContainerRecord, folder: &Path) -> LogTarget {
    let Some(path) = record.log_path(folder) else { return LogTarget::None };
    let (max_size, max_file) = record.log_bounds();
    let compress = logging::compresses(&record.host.log_config.config);
    LogTarget::JsonFile { path, max_size, max_file, compress, attributes: logging::attributes(record) }
}
