//! Containers' processes: the OCI runtime in a child of its own, the shim, cgroups and stdio.
//!
//! ```text
//! daemon ── setup, requests (unix socket) ──► shim ── executes ──► runtime create | start | exec | delete
//!                                              │ subreaper of
//!                                              └──► container's processes
//! ```
//! Three roles of one executable. The **daemon** (many threads) never touches a container itself: it asks the
//! **shim** of that container, a small single-threaded process which owns the container's stdio and log, is the
//! parent of all its processes, records how they ended, and outlives the daemon. Whatever must happen inside
//! namespaces is done by a short-lived, single-threaded **runtime** child of the shim that speaks runc's command
//! line, so that any other OCI runtime can take its place.
//!
//! Promises: an exit is on disk before anybody hears of it; a container's output reaches its log whoever else reads
//! it or does not; no process is taken for another one because it has the same pid.
//! Refuses: looking up names of users (ids come in), networks (a namespace's path comes in), mounts of images.

mod error;
mod exit;
#[cfg(test)]
mod fake;

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

pub(crate) use error::{Error, Result};
pub(crate) use exit::Exit;
#[cfg(test)]
pub(crate) use fake::FakeRuntime;

/// Makes shims, and finds those that an earlier daemon made.
pub(crate) trait Runtime: Debug + Send + Sync {
    /// Starts a shim and lets it create the container, up to but not including its program. On failure nothing is
    /// left behind.
    fn create(&self, bundle: Bundle) -> BoxFuture<'_, Result<Arc<dyn Shim>>>;

    /// The living shim of this container. `None` when there is none any more; then whatever it left (processes,
    /// cgroup, mounts, runtime state) has been taken away, and there is an exit record if the container was created.
    fn find<'a>(&'a self, id: &'a str, dir: &'a Path) -> BoxFuture<'a, Result<Option<Arc<dyn Shim>>>>;

    /// How the container's process ended, from `dir` (see [`Bundle::dir`]). `None` while it runs or before the first
    /// start. It stays until the next [`Runtime::create`] in the same folder.
    fn exit_record(&self, dir: &Path) -> Result<Option<Exit>>;
}

/// One container's shim. Every method may be called from anywhere at any time, also at once.
///
/// [`Error::Gone`] from any of them means that the shim died (a crash, the out-of-memory killer);
/// [`Runtime::find`] then cleans up.
pub(crate) trait Shim: Debug + Send + Sync {
    /// The container's process id as the host sees it.
    fn pid(&self) -> i32;

    /// Executes the container's program. [`Error::Executable`] and [`Error::Permission`] say that there is no such
    /// program, or none that may be executed (exit codes 127 and 126 by convention). Once only.
    fn start(&self) -> BoxFuture<'_, Result<()>>;

    /// Sends a signal. [`Error::NotRunning`] when the process has ended.
    fn signal<'a>(&'a self, process: ProcessRef<'a>, signal: i32) -> BoxFuture<'a, Result<()>>;

    /// Joins the container's stdio; allowed from `create` on and any number of times at once. Bytes from the stream
    /// are as a docker client wants them: frames of stdcopy without a terminal, raw with one. Bytes to it are stdin;
    /// shutting down the write half ends stdin if the bundle says `stdin_once`. The stream ends when the process has
    /// ended and all its output was sent. A reader that takes nothing for a minute is cut off.
    fn attach(&self, streams: Streams) -> BoxFuture<'_, Result<UnixStream>>;

    /// Runs a further process inside the container, in its namespaces and cgroup and under its seccomp profile.
    fn exec(&self, spec: ExecSpec) -> BoxFuture<'_, Result<Executed>>;

    /// Sets the size of the process's terminal. [`Error::Invalid`] when it has none.
    fn resize<'a>(&'a self, process: ProcessRef<'a>, size: Size) -> BoxFuture<'a, Result<()>>;

    /// Returns when the process has ended, at once if it already has. Exits of execs are known as long as the shim
    /// lives.
    fn wait<'a>(&'a self, process: ProcessRef<'a>) -> BoxFuture<'a, Result<Exit>>;

    /// Freezes every process of the container.
    fn pause(&self) -> BoxFuture<'_, Result<()>>;

    /// Thaws them.
    fn resume(&self) -> BoxFuture<'_, Result<()>>;

    /// Kills what still runs, removes the runtime's state and the cgroup, and ends the shim. The exit record and the
    /// log stay. Being gone already is success.
    fn delete(&self) -> BoxFuture<'_, Result<()>>;
}

/// What a shim needs to make a container.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) id: String,
    /// Where the exit record is kept: the container's own folder, which survives a reboot.
    pub(crate) dir: PathBuf,
    /// The mounted root file system.
    pub(crate) rootfs: PathBuf,
    /// Users are numbers, `HOME` is set, networks are paths of namespaces. Root path and `terminal` are taken from
    /// this struct; a missing `cgroupsPath` becomes `/wharf/<id>`.
    pub(crate) spec: Spec,
    pub(crate) terminal: bool,
    /// Size of the terminal at the start.
    pub(crate) size: Option<Size>,
    /// Without it stdin is empty.
    pub(crate) open_stdin: bool,
    /// The first client that ends its stdin ends the container's.
    pub(crate) stdin_once: bool,
    pub(crate) log: LogTarget,
    /// Held open as long as the shim lives: sockets that reserve ports.
    pub(crate) keep: Vec<OwnedFd>,
}

/// Where a container's output goes besides those attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogTarget {
    /// Nowhere.
    None,
    /// Docker's json-file: one `{"log","stream","time"}` a line.
    JsonFile {
        path: PathBuf,
        /// Bytes after which a new file is begun; none means never.
        max_size: Option<u64>,
        /// Files kept, the current one included: `path`, `path.1`, `path.2` …
        max_file: u32,
    },
}

/// A further process inside a container.
#[derive(Debug, Clone)]
pub(crate) struct ExecSpec {
    /// Unique in its container.
    pub(crate) id: String,
    /// As in [`Bundle::spec`]; `terminal` is taken from here.
    pub(crate) process: Process,
    pub(crate) size: Option<Size>,
    /// All false means detached: no stream, its output is thrown away.
    pub(crate) streams: Streams,
}

/// A running exec.
#[derive(Debug)]
pub(crate) struct Executed {
    /// As the host sees it.
    pub(crate) pid: i32,
    /// As [`Shim::attach`]'s; shutting down the write half always ends stdin. Absent when detached.
    pub(crate) stream: Option<UnixStream>,
}

/// Which of the three streams a client takes part in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Streams {
    pub(crate) const fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// Of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

/// One of a container's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessRef<'a> {
    /// The container's own.
    Init,
    /// By [`ExecSpec::id`].
    Exec(&'a str),
}
