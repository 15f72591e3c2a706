//! A runtime without processes, for tests of the engine: the test decides when a "process" writes, reads and ends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::{
    Bundle, Error, ExecSpec, Executed, Exit, Limits, Memory, ProcessFacts, ProcessRef, Result, Runtime, Shim,
    Size, Streams, Usage, exit,
};

/// Shims survive [`FakeRuntime::clone`], as real ones survive the daemon.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeRuntime {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    shims: HashMap<String, Arc<FakeShim>>,
    next_pid: i32,
    create_error: Option<Error>,
    start_error: Option<Error>,
    exec_error: Option<Error>,
}

impl FakeRuntime {
    /// The next create fails so.
    pub(crate) fn fail_create(&self, error: Error) {
        self.state.lock().unwrap().create_error = Some(error);
    }

    /// The next start fails so.
    pub(crate) fn fail_start(&self, error: Error) {
        self.state.lock().unwrap().start_error = Some(error);
    }

    /// The next exec fails so.
    pub(crate) fn fail_exec(&self, error: Error) {
        self.state.lock().unwrap().exec_error = Some(error);
    }

    /// The shim of a container, to play its processes.
    pub(crate) fn shim(&self, id: &str) -> Option<Arc<FakeShim>> {
        self.state.lock().unwrap().shims.get(id).cloned()
    }

    /// The shim dies without a word.
    pub(crate) fn lose(&self, id: &str) {
        self.state.lock().unwrap().shims.remove(id);
    }
}

impl Runtime for FakeRuntime {
    fn create(&self, bundle: Bundle) -> BoxFuture<'_, Result<Arc<dyn Shim>>> {
        let made = (|| {
            let mut state = self.state.lock().unwrap();
            if let Some(error) = state.create_error.take() {
                return Err(error);
            }
            if state.shims.contains_key(&bundle.id) {
                return Err(Error::Invalid(format!("there is a shim already: {}", bundle.id)));
            }
            exit::remove(&bundle.dir).map_err(|e| Error::system("removing the exit record", e))?;
            state.next_pid += 1;
            let shim = Arc::new(FakeShim::new(self.clone(), bundle, 1000 + state.next_pid));
            state.shims.insert(shim.bundle.id.clone(), Arc::clone(&shim));
            Ok(shim as Arc<dyn Shim>)
        })();
        async move { made }.boxed()
    }

    fn find<'a>(&'a self, id: &'a str, _dir: &'a Path) -> BoxFuture<'a, Result<Option<Arc<dyn Shim>>>> {
        async move { Ok(self.shim(id).map(|shim| shim as Arc<dyn Shim>)) }.boxed()
    }

    fn exit_record(&self, dir: &Path) -> Result<Option<Exit>> {
        exit::read(dir).map_err(|e| Error::system("reading the exit record", e))
    }
}

/// One container that isn't there.
#[derive(Debug)]
pub(crate) struct FakeShim {
    runtime: FakeRuntime,
    pub(crate) bundle: Bundle,
    pid: i32,
    inner: Mutex<Inner>,
    exited: watch::Sender<Option<Exit>>,
}

#[derive(Debug, Default)]
struct Inner {
    started: bool,
    paused: bool,
    signals: Vec<i32>,
    sizes: Vec<Size>,
    limits: Vec<Limits>,
    /// The container's ends of the attached streams.
    attached: Vec<UnixStream>,
    execs: HashMap<String, FakeExec>,
}

/// One exec that isn't there.
#[derive(Debug)]
pub(crate) struct FakeExec {
    /// What was asked for.
    pub(crate) spec: ExecSpec,
    /// The process's end of its stream, for a test to take.
    pub(crate) stream: Option<UnixStream>,
    exited: watch::Sender<Option<Exit>>,
}

impl FakeShim {
    fn new(runtime: FakeRuntime, bundle: Bundle, pid: i32) -> Self {
        Self { runtime, bundle, pid, inner: Mutex::default(), exited: watch::Sender::new(None) }
    }

    /// The process ends; recorded before it is told, as the real one does it. Attached streams close.
    pub(crate) fn exit(&self, exit: Exit) {
        exit::write(&self.bundle.dir, &exit).unwrap();
        self.inner.lock().unwrap().attached.clear();
        self.exited.send_replace(Some(exit));
    }

    /// An exec ends.
    pub(crate) fn exit_exec(&self, id: &str, exit: Exit) {
        let mut inner = self.inner.lock().unwrap();
        let exec = inner.execs.get_mut(id).unwrap();
        exec.stream = None;
        exec.exited.send_replace(Some(exit));
    }

    /// Writes to everybody attached; the caller makes the frames.
    pub(crate) async fn write(&self, bytes: &[u8]) {
        let mut attached = std::mem::take(&mut self.inner.lock().unwrap().attached);
        for stream in &mut attached {
            stream.write_all(bytes).await.unwrap();
        }
        self.inner.lock().unwrap().attached.append(&mut attached);
    }

    /// What an exec was asked to be.
    pub(crate) fn exec_spec(&self, id: &str) -> Option<ExecSpec> {
        self.inner.lock().unwrap().execs.get(id).map(|exec| exec.spec.clone())
    }

    /// Limits that were set while it ran.
    pub(crate) fn limits(&self) -> Vec<Limits> {
        self.inner.lock().unwrap().limits.clone()
    }

    /// An exec whose stream nobody has taken yet.
    pub(crate) fn waiting_exec(&self) -> Option<String> {
        let inner = self.inner.lock().unwrap();
        inner.execs.iter().find(|(_, exec)| exec.stream.is_some()).map(|(id, _)| id.clone())
    }

    /// The process's end of an exec's stream, once.
    pub(crate) fn exec_stream(&self, id: &str) -> Option<UnixStream> {
        self.inner.lock().unwrap().execs.get_mut(id)?.stream.take()
    }

    pub(crate) fn paused(&self) -> bool {
        self.inner.lock().unwrap().paused
    }

    fn watch(&self, process: ProcessRef<'_>) -> Result<watch::Receiver<Option<Exit>>> {
        match process {
            ProcessRef::Init => Ok(self.exited.subscribe()),
            ProcessRef::Exec(id) => {
                let inner = self.inner.lock().unwrap();
                let exec = inner.execs.get(id).ok_or_else(|| Error::NotFound(id.to_owned()))?;
                Ok(exec.exited.subscribe())
            }
        }
    }
}

impl Shim for FakeShim {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn start(&self) -> BoxFuture<'_, Result<()>> {
        let failure = self.runtime.state.lock().unwrap().start_error.take();
        let mut inner = self.inner.lock().unwrap();
        let result = match failure {
            Some(error) => Err(error),
            None if inner.started => Err(Error::Invalid("the container was started already".to_owned())),
            None => {
                inner.started = true;
                Ok(())
            }
        };
        async move { result }.boxed()
    }

    /// KILL ends the process at once and TERM does too, since most programs obey it; others are only noted.
    fn signal<'a>(&'a self, process: ProcessRef<'a>, signal: i32) -> BoxFuture<'a, Result<()>> {
        async move {
            if self.watch(process)?.borrow().is_some() {
                return Err(Error::NotRunning);
            }
            self.inner.lock().unwrap().signals.push(signal);
            match process {
                ProcessRef::Init if matches!(signal, 9 | 15) => self.exit(Exit::signalled(signal)),
                ProcessRef::Exec(id) if matches!(signal, 9 | 15) => {
                    self.exit_exec(id, Exit::signalled(signal));
                }
                _ => {}
            }
            Ok(())
        }
        .boxed()
    }

    fn attach(&self, _streams: Streams) -> BoxFuture<'_, Result<UnixStream>> {
        async move {
            let (ours, theirs) = UnixStream::pair().map_err(|e| Error::system("making a socket", e))?;
            if self.exited.borrow().is_none() {
                self.inner.lock().unwrap().attached.push(ours);
            }
            Ok(theirs)
        }
        .boxed()
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'_, Result<Executed>> {
        async move {
            if let Some(error) = self.runtime.state.lock().unwrap().exec_error.take() {
                return Err(error);
            }
            let (ours, theirs) = UnixStream::pair().map_err(|e| Error::system("making a socket", e))?;
            let attached = spec.streams.any();
            let mut inner = self.inner.lock().unwrap();
            let pid = self.pid + 1 + i32::try_from(inner.execs.len()).unwrap();
            let exec = FakeExec {
                stream: attached.then_some(ours),
                exited: watch::Sender::new(None),
                spec: spec.clone(),
            };
            inner.execs.insert(spec.id, exec);
            Ok(Executed { pid, stream: attached.then_some(theirs) })
        }
        .boxed()
    }

    fn resize<'a>(&'a self, _process: ProcessRef<'a>, size: Size) -> BoxFuture<'a, Result<()>> {
        self.inner.lock().unwrap().sizes.push(size);
        async { Ok(()) }.boxed()
    }

    fn wait<'a>(&'a self, process: ProcessRef<'a>) -> BoxFuture<'a, Result<Exit>> {
        let watch = self.watch(process);
        async move {
            let mut watch = watch?;
            let exit =
                watch.wait_for(Option::is_some).await.map_err(|_| Error::Gone("dropped".to_owned()))?;
            exit.clone().ok_or(Error::NotRunning)
        }
        .boxed()
    }

    fn pause(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.lock().unwrap().paused = true;
        async { Ok(()) }.boxed()
    }

    fn resume(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.lock().unwrap().paused = false;
        async { Ok(()) }.boxed()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage>> {
        let memory = Memory { usage: Some(4096), ..Memory::default() };
        let usage = Usage { memory, pids: Some(1), ..Usage::default() };
        async { Ok(usage) }.boxed()
    }

    fn processes(&self) -> BoxFuture<'_, Result<Vec<ProcessFacts>>> {
        let init =
            ProcessFacts { pid: self.pid, state: 'S', name: "sh".to_owned(), ..ProcessFacts::default() };
        async { Ok(vec![init]) }.boxed()
    }

    fn limit(&self, limits: Limits) -> BoxFuture<'_, Result<()>> {
        self.inner.lock().unwrap().limits.push(limits);
        async { Ok(()) }.boxed()
    }

    fn delete(&self) -> BoxFuture<'_, Result<()>> {
        if self.exited.borrow().is_none() {
            self.exit(Exit::signalled(9));
        }
        self.runtime.lose(&self.bundle.id);
        async { Ok(()) }.boxed()
    }
}

/// A bundle for tests that care about little of it.
pub(crate) fn bundle(id: &str, dir: PathBuf) -> Bundle {
    Bundle {
        id: id.to_owned(),
        rootfs: dir.join("rootfs"),
        dir,
        spec: oci_spec::runtime::Spec::default(),
        terminal: false,
        size: None,
        open_stdin: false,
        stdin_once: false,
        log: super::LogTarget::None,
        keep: Vec::new(),
    }
}

#[tokio::test]
async fn a_fake_exit_is_on_record_before_it_is_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = FakeRuntime::default();
    let shim = runtime.create(bundle("a", dir.path().to_owned())).await.unwrap();
    shim.start().await.unwrap();
    shim.signal(ProcessRef::Init, 15).await.unwrap();
    assert_eq!(shim.wait(ProcessRef::Init).await.unwrap().code, 143);
    assert_eq!(runtime.exit_record(dir.path()).unwrap().unwrap().signal, Some(15));
    assert_eq!(shim.signal(ProcessRef::Init, 15).await, Err(Error::NotRunning));
    shim.delete().await.unwrap();
    assert!(runtime.find("a", dir.path()).await.unwrap().is_none());
}
