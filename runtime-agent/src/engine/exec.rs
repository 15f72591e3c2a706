//! Further processes in running containers: created, started once, and remembered until their container is gone.
//!
//! An exec belongs to one run of its container. Its exit code is known before its stream is closed, so that a client
//! that asks right after the end gets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::watch;
use wharfd_api_types::exec::{ExecCreateRequest, ExecInspect, ExecProcess};

use super::containers::record::Status;
use super::containers::task::{attributes, not_running};
use super::containers::{Container, Containers, place};
use super::error::{Error, Result};
use super::events::EventKind;
use crate::runtime::{self, ExecSpec, ProcessRef, Shim, Size, Streams};

/// All execs, by id.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    by_id: Mutex<BTreeMap<String, Arc<Exec>>>,
}

/// One exec.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) request: ExecCreateRequest,
    pub(crate) container: Container,
    progress: watch::Sender<Progress>,
    shim: Mutex<Option<Arc<dyn Shim>>>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { pid: i32, code: i32 },
}

impl Execs {
    /// The ids of those that run in a container; `None` when there are none, as dockerd says it.
    pub(crate) fn running_in(&self, container: &str) -> Option<Vec<String>> {
        let execs = self.lock();
        let running = execs.values().filter(|exec| exec.container.id == container && exec.is_running());
        let ids: Vec<_> = running.map(|exec| exec.id.clone()).collect();
        (!ids.is_empty()).then_some(ids)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Exec>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Containers {
    /// Remembers what is to run.
    pub(crate) fn create_exec(&self, container: &Container, request: ExecCreateRequest) -> Result<String> {
        if request.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        let snapshot = container.snapshot();
        match snapshot.record.state.status {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::conflict(format!(
                    "container {} is paused, unpause the container before exec",
                    container.id
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {} is restarting, wait until the container is running",
                    container.id
                )));
            }
            _ => return Err(not_running(&container.id)),
        }
        let id = super::containers::new_id()?;
        let exec = Exec {
            id: id.clone(),
            container: container.clone(),
            progress: watch::Sender::new(Progress::Created),
            shim: Mutex::default(),
            request,
        };
        self.tell(&exec, &format!("exec_create: {}", exec.command_line()), None);
        let mut execs = self.execs.lock();
        // Those of removed containers are of no use to anybody.
        execs.retain(|_, exec| !exec.container.snapshot().removed);
        execs.insert(id.clone(), Arc::new(exec));
        Ok(id)
    }

    pub(crate) fn exec(&self, id: &str) -> Result<Arc<Exec>> {
        self.execs
            .lock()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Whether it could start now; asked before a connection is taken over, when an error still has a status.
    pub(crate) fn check_exec(&self, exec: &Exec) -> Result<()> {
        match *exec.progress.borrow() {
            Progress::Created => exec.container.shim().map(drop),
            Progress::Ended { .. } => {
                Err(Error::conflict(format!("exec command {} has already run", exec.id)))
            }
            _ => Err(Error::conflict(format!("exec command {} is already running", exec.id))),
        }
    }

    /// Starts it, once; the stream is absent when detached.
    pub(crate) async fn start_exec(
        &self,
        exec: &Arc<Exec>,
        detach: bool,
        size: Option<Size>,
    ) -> Result<Option<UnixStream>> {
        self.check_exec(exec)?;
        let first = exec.progress.send_if_modified(|now| {
            let first = *now == Progress::Created;
            if first {
                *now = Progress::Starting;
            }
            first
        });
        if !first {
            return Err(Error::conflict(format!("exec command {} is already running", exec.id)));
        }
        match self.run_exec(exec, detach, size).await {
            Ok(stream) => Ok(stream),
            Err((code, error)) => {
                exec.progress.send_replace(Progress::Ended { pid: 0, code });
                Err(error)
            }
        }
    }

    async fn run_exec(
        &self,
        exec: &Arc<Exec>,
        detach: bool,
        size: Option<Size>,
    ) -> Result<Option<UnixStream>, (i32, Error)> {
        let failed = |error| (128, error);
        let snapshot = exec.container.snapshot();
        let shim = exec.container.shim().map_err(failed)?;
        let rootfs = snapshot.rootfs.clone().ok_or_else(|| failed(not_running(&exec.container.id)))?;
        let process = place::exec_process(&self.world, &snapshot.record, &rootfs, &exec.request)
            .await
            .map_err(|error| (REFUSED, error))?;
        let streams = Streams {
            stdin: exec.request.attach_stdin,
            stdout: exec.request.attach_stdout,
            stderr: exec.request.attach_stderr,
        };
        let streams = if detach { Streams::default() } else { streams };
        let console = exec.request.console_size.map(|[rows, columns]| Size { rows, columns });
        let size = size.or(console).filter(|size| size.rows > 0 && size.columns > 0);
        let spec = ExecSpec { id: exec.id.clone(), process, size, streams };
        let executed = shim.exec(spec).await.map_err(|error| (exit_code(&error), refusal(error)))?;
        *exec.shim.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shim));
        exec.progress.send_replace(Progress::Running { pid: executed.pid });
        self.tell(exec, &format!("exec_start: {}", exec.command_line()), None);
        tokio::spawn(self.clone().watch_exec(Arc::clone(exec), shim, executed.pid));
        Ok(executed.stream)
    }

    async fn watch_exec(self, exec: Arc<Exec>, shim: Arc<dyn Shim>, pid: i32) {
        let code = match shim.wait(ProcessRef::Exec(&exec.id)).await {
            Ok(exit) => exit.code,
            // The container ended first and took it along.
            Err(_) => KILLED,
        };
        exec.progress.send_replace(Progress::Ended { pid, code });
        self.tell(&exec, "exec_die", Some(code));
    }

    fn tell(&self, exec: &Exec, action: &str, code: Option<i32>) {
        let mut attributes = attributes(&exec.container.snapshot().record);
        attributes.insert("execID".to_owned(), exec.id.clone());
        attributes.extend(code.map(|code| ("exitCode".to_owned(), code.to_string())));
        self.world.events.publish(EventKind::Container, action, exec.container.id.clone(), attributes);
    }
}

impl Exec {
    /// `GET /exec/{id}/json`.
    pub(crate) fn inspect(&self) -> ExecInspect {
        let (running, exit_code, pid) = match *self.progress.borrow() {
            Progress::Created | Progress::Starting => (false, None, 0),
            Progress::Running { pid } => (true, None, pid),
            Progress::Ended { pid, code } => (false, Some(i64::from(code)), pid),
        };
        let mut command = self.request.cmd.iter().flatten().cloned();
        ExecInspect {
            id: self.id.clone(),
            running,
            exit_code,
            process_config: ExecProcess {
                tty: self.request.tty,
                entrypoint: command.next().unwrap_or_default(),
                arguments: command.collect(),
                privileged: Some(self.request.privileged),
                user: self.request.user.clone(),
            },
            open_stdin: self.request.attach_stdin,
            open_stderr: self.request.attach_stderr,
            open_stdout: self.request.attach_stdout,
            can_remove: false,
            container_id: self.container.id.clone(),
            detach_keys: self.request.detach_keys.clone(),
            pid: u32::try_from(pid).unwrap_or(0),
        }
    }

    pub(crate) async fn resize(&self, size: Size) -> Result<()> {
        let shim = self.shim.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(shim) = shim.filter(|_| self.is_running()) else {
            return Err(Error::conflict(format!("exec {} is not running", self.id)));
        };
        shim.resize(ProcessRef::Exec(&self.id), size)
            .await
            .map_err(|e| Error::internal("resizing the terminal", e))
    }

    /// Returns when the end is known.
    pub(crate) async fn ended(&self) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as we do.
        let _ = progress.wait_for(|now| matches!(now, Progress::Ended { .. })).await;
    }

    fn is_running(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Running { .. })
    }

    fn command_line(&self) -> String {
        // With a space behind the program, also when nothing follows: clients split there.
        let words: Vec<&str> = self.request.cmd.iter().flatten().map(String::as_str).collect();
        let (program, arguments) = words.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
        format!("{program} {}", arguments.join(" "))
    }
}

/// The client reads exit codes out of these texts.
fn refusal(error: runtime::Error) -> Error {
    use runtime::Error as Runtime;
    const DOING: &str = "OCI runtime exec failed: exec failed";
    match error {
        Runtime::Executable(_) | Runtime::Permission(_) | Runtime::Invalid(_) => {
            Error::invalid(format!("{DOING}: {error}")).caused_by(error)
        }
        Runtime::NotRunning | Runtime::Gone(_) => {
            Error::conflict(format!("{DOING}: {error}")).caused_by(error)
        }
        error => Error::internal(DOING, error),
    }
}

const fn exit_code(error: &runtime::Error) -> i32 {
    match error {
        runtime::Error::Executable(_) => 127,
        runtime::Error::Permission(_) => 126,
        _ => 128,
    }
}

/// As a shell has it for what is there and cannot be run.
const REFUSED: i32 = 126;
/// 128 + SIGKILL.
const KILLED: i32 = 137;
