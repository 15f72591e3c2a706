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

pub(crate) mod apparmor;
mod cgroup;
mod error;
mod executable;
mod exit;
#[cfg(test)]
mod fake;
mod identity;
mod init;
mod limits;
mod oci;
mod processes;
mod protocol;
mod purge;
mod record;
mod remote;
mod shim;
mod shims;
mod spec;
mod sys;
mod usage;

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

pub use error::{Error, Result};
pub use exit::Exit;
#[cfg(test)]
pub(crate) use fake::FakeRuntime;
pub(crate) use identity::Identity;
pub(crate) use init::{INIT, INIT_WANTED, main as init_main};
pub use limits::Limits;
pub(crate) use oci::main as runtime_main;
pub use processes::ProcessFacts;
pub(crate) use purge::{end_all, remove_groups};
pub(crate) use shim::main as shim_main;
pub use shims::Shims;
pub use usage::{Devices, Interface, Memory, Processors, Transfer, Usage};

/// Makes shims, and finds those that an earlier daemon made.
pub trait Runtime: Debug + Send + Sync {
    /// Starts a shim and lets it create the container, up to but not including its program. On failure nothing is
    /// left behind. [`Error::Executable`] and [`Error::Permission`] say that there is no such program, or none that
    /// may be executed (exit codes 127 and 126 by convention).
    fn create(&self, bundle: Bundle) -> BoxFuture<'_, Result<Arc<dyn Shim>>>;

    /// A container is likely to be made soon: what takes the kernel a while may begin now. Nobody waits for it.
    fn expect(&self) {}

    /// The living shim of this container. `None` when there is none any more; then whatever it left (processes,
    /// cgroup, runtime state) has been taken away. If it died before its container did, the exit record says
    /// [`Exit::unknown`]; after a reboot there is none, and the caller knows whether the container ran.
    fn find<'a>(&'a self, id: &'a str, dir: &'a Path) -> BoxFuture<'a, Result<Option<Arc<dyn Shim>>>>;

    /// How the container's process ended, from `dir` (see [`Bundle::dir`]). `None` while it runs or before the first
    /// start. It stays until the next [`Runtime::create`] in the same folder.
    fn exit_record(&self, dir: &Path) -> Result<Option<Exit>>;
}

/// One container's shim. Every method may be called from anywhere at any time, also at once.
///
/// [`Error::Gone`] from any of them means that the shim died (a crash, the out-of-memory killer);
/// [`Runtime::find`] then cleans up.
pub trait Shim: Debug + Send + Sync {
    /// The container's process id as the host sees it.
    fn pid(&self) -> i32;

    /// Executes the container's program. Once only.
    fn start(&self) -> BoxFuture<'_, Result<()>>;

    /// Sends a signal. [`Error::NotRunning`] when the process has ended.
    fn signal<'a>(&'a self, process: ProcessRef<'a>, signal: i32) -> BoxFuture<'a, Result<()>>;

    /// Joins the container's stdio; allowed from `create` on and any number of times at once. Bytes from the stream
    /// are as a docker client wants them: frames of stdcopy without a terminal, raw with one. Bytes to it are stdin;
    /// shutting down the write half ends stdin if the bundle says `stdin_once`. The stream ends when the process has
    /// ended and all its output was sent. A reader that takes nothing for a minute is cut off.
    fn attach(&self, streams: Streams) -> BoxFuture<'_, Result<UnixStream>>;

    /// Runs a further process inside the container, in its namespaces and cgroup and under its seccomp profile.
    /// [`Error::Executable`] and [`Error::Permission`] as with [`Runtime::create`].
    fn exec(&self, spec: ExecSpec) -> BoxFuture<'_, Result<Executed>>;

    /// Sets the size of the process's terminal. [`Error::Invalid`] when it has none.
    fn resize<'a>(&'a self, process: ProcessRef<'a>, size: Size) -> BoxFuture<'a, Result<()>>;

    /// Returns when the process has ended, at once if it already has. Of execs the last few hundred exits are
    /// known. Dropping the future gives up waiting and nothing else.
    fn wait<'a>(&'a self, process: ProcessRef<'a>) -> BoxFuture<'a, Result<Exit>>;

    /// Freezes every process of the container.
    fn pause(&self) -> BoxFuture<'_, Result<()>>;

    /// Thaws them.
    fn resume(&self) -> BoxFuture<'_, Result<()>>;

    /// What the container uses now.
    fn usage(&self) -> BoxFuture<'_, Result<Usage>>;

    /// Its processes, by pid.
    fn processes(&self) -> BoxFuture<'_, Result<Vec<ProcessFacts>>>;

    /// Changes limits while it runs. What the control groups refuse is an error, and what was before stays.
    fn limit(&self, limits: Limits) -> BoxFuture<'_, Result<()>>;

    /// Kills what still runs, removes the runtime's state and the cgroup, and ends the shim. The exit record and the
    /// log stay. Being gone already is success.
    fn delete(&self) -> BoxFuture<'_, Result<()>>;
}

/// What a shim needs to make a container.
#[derive(Debug)]
pub struct Bundle {
    /// Sixty-four hexadecimal digits, or anything else that is a file's name.
    pub id: String,
    /// Where the exit record is kept: the container's own folder, which survives a reboot.
    pub dir: PathBuf,
    /// The mounted root file system.
    pub rootfs: PathBuf,
    /// Users are numbers, `HOME` is set, networks are paths of namespaces. Root path and `terminal` are taken from
    /// this struct; a missing `cgroupsPath` becomes `/wharf/<id>`.
    pub spec: Spec,
    /// Stdio is a terminal instead of pipes.
    pub terminal: bool,
    /// Size of the terminal at the start.
    pub size: Option<Size>,
    /// Without it stdin is empty.
    pub open_stdin: bool,
    /// The first client that ends its stdin ends the container's.
    pub stdin_once: bool,
    /// Where output goes besides those attached.
    pub log: LogTarget,
    /// Held open as long as the shim lives: sockets that reserve ports.
    pub keep: Vec<OwnedFd>,
}

/// Where a container's output goes besides those attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    /// Nowhere.
    None,
    /// Docker's json-file: one `{"log","stream","time"}` a line.
    JsonFile {
        /// The current file.
        path: PathBuf,
        /// Bytes after which a new file is begun; none means never.
        max_size: Option<u64>,
        /// Files kept, the current one included: `path`, `path.1`, `path.2` …
        max_file: u32,
        /// Whether all but the current one are packed: `path.1.gz`, `path.2.gz` …
        #[serde(default)]
        compress: bool,
        /// What stands beside each line, as `attrs`.
        #[serde(default)]
        attributes: std::collections::BTreeMap<String, String>,
    },
}

/// A further process inside a container.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    /// Unique in its container.
    pub id: String,
    /// As in [`Bundle::spec`]; `terminal` is taken from here.
    pub process: Process,
    /// Size of its terminal at the start.
    pub size: Option<Size>,
    /// All false means detached: no stream, its output is thrown away.
    pub streams: Streams,
}

/// A running exec.
#[derive(Debug)]
pub struct Executed {
    /// As the host sees it.
    pub pid: i32,
    /// As [`Shim::attach`]'s; shutting down the write half always ends stdin. Absent when detached.
    pub stream: Option<UnixStream>,
}

/// Which of the three streams a client takes part in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// Writes to it.
    pub stdin: bool,
    /// Reads it; with a terminal, everything is here.
    pub stdout: bool,
    /// Reads it.
    pub stderr: bool,
}

impl Streams {
    /// Whether there is anything to take part in.
    #[must_use]
    pub const fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// Of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// From top to bottom.
    pub rows: u16,
    /// From left to right.
    pub columns: u16,
}

/// One of a container's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessRef<'a> {
    /// The container's own.
    Init,
    /// By [`ExecSpec::id`].
    Exec(&'a str),
}
