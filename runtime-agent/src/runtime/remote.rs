//! A shim as its daemon sees it: a socket to ask through.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::protocol::{self, Reply, Request};
use super::spec::{self, Grants};
use super::{
    Error, ExecSpec, Executed, Exit, Limits, ProcessFacts, ProcessRef, Result, Shim, Size, Streams, Usage,
    limits, processes, usage,
};

/// How long a shim may take for anything but waiting. Deleting kills and may take some seconds.
const BOUND: Duration = Duration::from_secs(60);

/// The longest name of a socket.
const LONGEST: usize = 107;

/// A shim that answers at a socket.
#[derive(Debug)]
pub(super) struct Remote {
    socket: PathBuf,
    pid: i32,
}

impl Remote {
    /// `state` is the shim's folder, `pid` the container's.
    pub(super) fn new(state: &Path, pid: i32) -> Self {
        Self { socket: state.join("shim.sock"), pid }
    }

    /// Asks, and hands out the connection too: it is the stream for some answers.
    async fn ask(&self, request: &Request) -> Result<(Reply, UnixStream)> {
        let mut stream = connect(&self.socket).await.map_err(gone)?;
        let frame = protocol::encode(request).map_err(|e| Error::system("asking the shim", e))?;
        stream.write_all(&frame).await.map_err(gone)?;
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.map_err(gone)?;
        let mut body = vec![0; protocol::length(head)?];
        stream.read_exact(&mut body).await.map_err(gone)?;
        match protocol::decode(&body)? {
            Reply::Failed(error) => Err(error),
            reply => Ok((reply, stream)),
        }
    }

    async fn ask_bounded(&self, request: &Request) -> Result<(Reply, UnixStream)> {
        match tokio::time::timeout(BOUND, self.ask(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Gone(format!("no answer within {} s", BOUND.as_secs()))),
        }
    }

    /// Looks at the kernel's files, off the async threads; the shim has no part in it.
    fn look<T: Send + 'static>(
        &self,
        doing: &'static str,
        look: impl FnOnce(i32, &str) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let id = self.socket.parent().and_then(Path::file_name).unwrap_or_default();
        let (pid, id) = (self.pid, id.to_string_lossy().into_owned());
        async move {
            let looked = tokio::task::spawn_blocking(move || look(pid, &id)).await;
            looked.map_err(|error| Error::system(doing, error))?.map_err(|error| Error::system(doing, error))
        }
        .boxed()
    }

    fn order(&self, request: Request) -> BoxFuture<'_, Result<()>> {
        async move {
            match self.ask_bounded(&request).await? {
                (Reply::Done, _) => Ok(()),
                (other, _) => Err(unexpected(&other)),
            }
        }
        .boxed()
    }
}

impl Shim for Remote {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn start(&self) -> BoxFuture<'_, Result<()>> {
        self.order(Request::Start)
    }

    fn signal<'a>(&'a self, process: ProcessRef<'a>, signal: i32) -> BoxFuture<'a, Result<()>> {
        self.order(Request::Signal { exec: process.id(), signal })
    }

    fn attach(&self, streams: Streams) -> BoxFuture<'_, Result<UnixStream>> {
        async move {
            match self.ask_bounded(&Request::Attach(streams)).await? {
                (Reply::Attached, stream) => Ok(stream),
                (other, _) => Err(unexpected(&other)),
            }
        }
        .boxed()
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'_, Result<Executed>> {
        async move {
            let ExecSpec { id, mut process, size, streams } = spec;
            spec::fit_process(&mut process, Grants::own()?)?;
            process.set_console_size(size.and_then(spec::console_size));
            let request = Request::Exec { id, process: Box::new(process), size, streams };
            match self.ask_bounded(&request).await? {
                (Reply::Executed { pid }, stream) => {
                    Ok(Executed { pid, stream: streams.any().then_some(stream) })
                }
                (other, _) => Err(unexpected(&other)),
            }
        }
        .boxed()
    }

    fn resize<'a>(&'a self, process: ProcessRef<'a>, size: Size) -> BoxFuture<'a, Result<()>> {
        self.order(Request::Resize { exec: process.id(), size })
    }

    fn wait<'a>(&'a self, process: ProcessRef<'a>) -> BoxFuture<'a, Result<Exit>> {
        async move {
            match self.ask(&Request::Wait { exec: process.id() }).await? {
                (Reply::Exited(exit), _) => Ok(exit),
                (other, _) => Err(unexpected(&other)),
            }
        }
        .boxed()
    }

    fn pause(&self) -> BoxFuture<'_, Result<()>> {
        self.order(Request::Pause)
    }

    fn resume(&self) -> BoxFuture<'_, Result<()>> {
        self.order(Request::Resume)
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage>> {
        self.look("reading what the container uses", usage::of)
    }

    fn processes(&self) -> BoxFuture<'_, Result<Vec<ProcessFacts>>> {
        self.look("reading the container's processes", processes::of)
    }

    fn limit(&self, limits: Limits) -> BoxFuture<'_, Result<()>> {
        self.look("changing limits", move |pid, id| limits::set(pid, id, &limits))
    }

    fn delete(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            match self.order(Request::Delete).await {
                // Deleted before, and its folder with it.
                Err(Error::Gone(_)) if !self.socket.exists() => Ok(()),
                other => other,
            }
        }
        .boxed()
    }
}

impl ProcessRef<'_> {
    fn id(self) -> Option<String> {
        match self {
            Self::Init => None,
            Self::Exec(id) => Some(id.to_owned()),
        }
    }
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let name = ShortName::of(socket)?;
    UnixStream::connect(&name.path).await
}

/// A name for a socket that the kernel takes, however long its path is.
pub(super) struct ShortName {
    pub(super) path: PathBuf,
    _folder: Option<std::fs::File>,
}

impl ShortName {
    pub(super) fn of(socket: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= LONGEST {
            return Ok(Self { path: socket.to_owned(), _folder: None });
        }
        let folder = std::fs::File::open(folder)?;
        let path = Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn gone(error: io::Error) -> Error {
    Error::Gone(error.to_string())
}

fn unexpected(reply: &Reply) -> Error {
    Error::Invalid(format!("the shim answered something else: {reply:?}"))
}
