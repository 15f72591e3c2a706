//! The real runtime: a shim for each container, executed from one sealed copy of this program.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::error::{Doing as _, Error, Result};
use super::executable::Executable;
use super::protocol::{self, OLDEST, Reply, Request, Setup, VERSION};
use super::remote::{Remote, ShortName};
use super::spec::{self, Grants};
use super::{Bundle, Exit, Runtime, Shim, cgroup, exit, oci, record};

/// How long a container may take to be created.
const BOUND: Duration = Duration::from_secs(120);

/// How long a shim that was killed may take to be gone.
const DYING: Duration = Duration::from_secs(10);

/// Makes and finds shims below one folder.
#[derive(Debug, Clone)]
pub struct Shims(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// A folder for each shim.
    shims: PathBuf,
    /// The OCI runtime's state.
    runtime_root: PathBuf,
    executable: Executable,
    /// Another OCI runtime's path.
    other: Option<PathBuf>,
    hierarchies: cgroup::Hierarchies,
}

impl Shims {
    /// `program` is this executable (`/proc/self/exe`), `other` an OCI runtime to use instead of the built-in one.
    ///
    /// # Errors
    /// When a folder cannot be made, or the program neither be copied nor mounted.
    pub fn open(exec_root: &Path, program: &Path, other: Option<PathBuf>) -> Result<Self> {
        let (shims, runtime_root) = (exec_root.join("shim"), exec_root.join("runtime"));
        for folder in [&shims, &runtime_root] {
            make_private(folder).doing(|| format!("making {}", folder.display()))?;
        }
        let executable = Executable::protect(program, &exec_root.join("wharfd"))
            .doing(|| "protecting the executable".to_owned())?;
        let hierarchies = cgroup::Hierarchies::mounted().doing(|| "finding the control groups".to_owned())?;
        Ok(Self(Arc::new(Inner { shims, runtime_root, executable, other, hierarchies })))
    }

    /// Does blocking work where that does no harm.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.map_err(|error| Error::system("working on a shim", error))?
    }
}

impl Runtime for Shims {
    fn expect(&self) {
        let inner = Arc::clone(&self.0);
        // What is wrong with control groups is found out, and told, when the container starts.
        drop(tokio::task::spawn_blocking(move || inner.hierarchies.stir()));
    }

    fn create(&self, bundle: Bundle) -> BoxFuture<'_, Result<Arc<dyn Shim>>> {
        async move {
            let remote = self.blocking(move |inner| inner.create(bundle)).await?;
            Ok(Arc::new(remote) as Arc<dyn Shim>)
        }
        .boxed()
    }

    fn find<'a>(&'a self, id: &'a str, dir: &'a Path) -> BoxFuture<'a, Result<Option<Arc<dyn Shim>>>> {
        let (id, dir) = (id.to_owned(), dir.to_owned());
        async move {
            let found = self.blocking(move |inner| inner.find(&id, &dir)).await?;
            Ok(found.map(|remote| Arc::new(remote) as Arc<dyn Shim>))
        }
        .boxed()
    }

    fn exit_record(&self, dir: &Path) -> Result<Option<Exit>> {
        exit::read(dir).doing(|| "reading the exit record".to_owned())
    }
}

impl Inner {
    fn create(&self, bundle: Bundle) -> Result<Remote> {
        let state = self.shims.join(&bundle.id);
        if record::read(&state).is_ok_and(|record| record.is_some_and(|record| record.shim.lives())) {
            return Err(Error::Invalid(format!("the container has a shim already: {}", bundle.id)));
        }
        self.clear(&bundle.id)?;
        make_private(&state).doing(|| format!("making {}", state.display()))?;
        self.spawn(bundle, &state).inspect_err(|_| {
            // What the shim itself couldn't take away.
            let _ = std::fs::remove_dir_all(&state);
        })
    }

    fn spawn(&self, bundle: Bundle, state: &Path) -> Result<Remote> {
        let mut spec = spec::fit(&bundle, Grants::own()?)?;
        if self.other.is_none() {
            let confinement = oci::Confinement::take(&mut spec);
            confinement.save(state).doing(|| "writing the bundle".to_owned())?;
        }
        spec.save(state.join("config.json")).doing(|| "writing the bundle".to_owned())?;
        let owner = spec.process().as_ref().map_or(0, |process| process.user().uid());
        let cgroup = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone()).unwrap_or_default();
        let (socket, theirs) = UnixStream::pair().doing(|| "making a socket".to_owned())?;
        let mut command = Command::new(self.executable.path());
        command.arg("shim").arg(&bundle.id).env_clear().current_dir("/");
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        // Dropped, it is reaped in the background as long as the daemon lives, and by init after that.
        let child = command.spawn().doing(|| "executing the shim".to_owned())?;
        drop(command);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let created = self.introduce(bundle, state, (owner, cgroup), &socket);
        if let (Err(Error::Gone(_)), Some(pid)) = (&created, pid) {
            // It hangs, or died; either way it is ours and not reaped yet.
            let _ = super::sys::kill(pid, libc::SIGKILL);
            let _ = self.clear_runtime(state);
        }
        created
    }

    fn introduce(
        &self,
        bundle: Bundle,
        state: &Path,
        (owner, cgroup): (u32, PathBuf),
        socket: &UnixStream,
    ) -> Result<Remote> {
        let setup = Setup {
            id: bundle.id,
            dir: bundle.dir,
            state: state.to_owned(),
            runtime: self.other.clone(),
            runtime_root: self.runtime_root.clone(),
            cgroup,
            owner,
            terminal: bundle.terminal,
            size: bundle.size,
            open_stdin: bundle.open_stdin,
            stdin_once: bundle.stdin_once,
            log: bundle.log,
        };
        let gone = |error: io::Error| Error::Gone(error.to_string());
        socket.set_read_timeout(Some(BOUND)).map_err(gone)?;
        send_with(socket, &protocol::encode(&setup).map_err(gone)?, &bundle.keep).map_err(gone)?;
        match protocol::receive(socket)? {
            Reply::Created { pid } => Ok(Remote::new(state, pid)),
            Reply::Failed(error) => Err(error),
            other => Err(Error::Invalid(format!("the shim answered something else: {other:?}"))),
        }
    }

    fn find(&self, id: &str, dir: &Path) -> Result<Option<Remote>> {
        let state = self.shims.join(id);
        if !state.exists() {
            return Ok(None);
        }
        let mut found = read_record(&state)?;
        if found.is_none() {
            wait_while_it_answers(&state);
            found = read_record(&state)?;
        }
        match found {
            Some(record) if !(OLDEST..=VERSION).contains(&record.version) => {
                Err(Error::Version(record.version))
            }
            Some(record) if answers(&state, &record)? => Ok(Some(Remote::new(&state, record.container.pid))),
            lost => {
                self.clear(id)?;
                if lost.is_some() && exit_is_unknown(dir)? {
                    exit::write(dir, &Exit::unknown()).doing(|| "writing the exit record".to_owned())?;
                }
                Ok(None)
            }
        }
    }

    /// Takes away what a dead shim left.
    fn clear(&self, id: &str) -> Result<()> {
        let state = self.shims.join(id);
        if !state.exists() && !self.runtime_root.join(id).exists() {
            return Ok(());
        }
        self.clear_runtime(&state)?;
        match std::fs::remove_dir_all(&state) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::system("removing the shim's folder", error))
            }
            _ => Ok(()),
        }
    }

    fn clear_runtime(&self, state: &Path) -> Result<()> {
        let Some(id) = state.file_name().and_then(|id| id.to_str()) else { return Ok(()) };
        let Some(other) = &self.other else {
            return oci::delete(&self.runtime_root, id, true).map_err(Error::Runtime);
        };
        let mut command = Command::new(other);
        command.arg("--root").arg(&self.runtime_root).args(["delete", "--force", id]).env_clear();
        let done = command.stdin(Stdio::null()).output().doing(|| "executing the OCI runtime".to_owned())?;
        if done.status.success() {
            return Ok(());
        }
        Err(Error::Runtime(format!("cannot take away what a lost shim left: {id}")))
    }
}

fn exit_is_unknown(dir: &Path) -> Result<bool> {
    Ok(exit::read(dir).doing(|| "reading the exit record".to_owned())?.is_none())
}

fn read_record(state: &Path) -> Result<Option<protocol::Record>> {
    record::read(state).doing(|| "reading the shim's record".to_owned())
}

/// Whether a shim is there to be asked. One that is just dying doesn't answer any more but still is a process.
fn answers(state: &Path, record: &protocol::Record) -> Result<bool> {
    let deadline = Instant::now() + DYING;
    while record.shim.lives() {
        if ping(state).is_ok() {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Err(Error::Gone("it lives but does not answer".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(false)
}

/// A shim that was creating its container when its daemon died finds out, and takes everything away itself.
fn wait_while_it_answers(state: &Path) {
    let deadline = Instant::now() + BOUND;
    while Instant::now() < deadline && !state.join("shim.json").exists() && listens(state) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listens(state: &Path) -> bool {
    connect(state).is_ok()
}

fn ping(state: &Path) -> Result<Reply> {
    let gone = |error: io::Error| Error::Gone(error.to_string());
    let socket = connect(state).map_err(gone)?;
    socket.set_read_timeout(Some(DYING)).map_err(gone)?;
    protocol::send(&socket, &Request::Ping).map_err(gone)?;
    protocol::receive(&socket)
}

pub(super) fn connect(state: &Path) -> io::Result<UnixStream> {
    let name = ShortName::of(&state.join("shim.sock"))?;
    UnixStream::connect(&name.path)
}

/// Descriptors travel with the first byte.
fn send_with(socket: &UnixStream, bytes: &[u8], keep: &[OwnedFd]) -> io::Result<()> {
    let raw: Vec<_> = keep.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
    let sent =
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None)?;
    let mut socket = socket;
    io::Write::write_all(&mut socket, &bytes[sent..])
}

fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
