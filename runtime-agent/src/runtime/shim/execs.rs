//! Further processes in the container. The runtime takes some milliseconds for each, and the shim goes on meanwhile.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;

use oci_spec::runtime::Process as Spec;

use super::process::{Process, StdinEnd};
use super::requests::{answer, join};
use super::runtime::{Call, Outcome};
use super::stdio::{Ends, Stdio};
use super::{Shim, container};
use crate::runtime::error::{Doing as _, Error, Result};
use crate::runtime::protocol::Reply;
use crate::runtime::{Size, Streams};

/// What the daemon asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) process: Box<Spec>,
    pub(super) size: Option<Size>,
    pub(super) streams: Streams,
}

/// An exec that the runtime is at.
#[derive(Debug)]
pub(super) struct Pending {
    wanted: Wanted,
    socket: UnixStream,
    begun: Begun,
}

/// A call of the runtime, and the shim's side of what it makes.
#[derive(Debug)]
struct Begun {
    runtime: Child,
    outcome: Outcome,
    stdio: Stdio,
    console: Option<UnixListener>,
    files: Files,
}

impl Pending {
    /// The runtime's pid.
    pub(super) fn runtime(&self) -> i32 {
        self.begun.runtime.id().try_into().unwrap_or_default()
    }
}

/// What an exec leaves in the shim's folder for a moment.
#[derive(Debug)]
struct Files {
    process: PathBuf,
    pid: PathBuf,
    console: PathBuf,
    name: String,
}

impl Files {
    fn new(number: u64) -> Self {
        let name = format!("exec-{number}");
        let file = |kind: &str| PathBuf::from(format!("{name}.{kind}"));
        Self { process: file("json"), pid: file("pid"), console: file("sock"), name }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in [&self.process, &self.pid, &self.console] {
            // Most are gone already, or never were.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Shim {
    /// Has the runtime start it; the answer follows when the runtime is done.
    pub(super) fn begin_exec(&mut self, socket: UnixStream, wanted: Wanted) {
        match self.call_exec(&wanted) {
            Ok(begun) => self.pending.push(Pending { wanted, socket, begun }),
            Err(error) => answer(&socket, &Reply::Failed(error)),
        }
    }

    fn call_exec(&mut self, wanted: &Wanted) -> Result<Begun> {
        if self.knows_exec(&wanted.id) {
            return Err(Error::Invalid(format!("there is an exec of this id already: {}", wanted.id)));
        }
        if !self.init().runs() || !self.started {
            return Err(Error::NotRunning);
        }
        self.execs_made += 1;
        let files = Files::new(self.execs_made);
        write(&files.process, &wanted.process)?;
        let terminal = wanted.process.terminal() == Some(true);
        let console = terminal.then(|| UnixListener::bind(&files.console)).transpose();
        let console = console.doing(|| "listening for the terminal".to_owned())?;
        let (stdio, ends) = ends(&wanted.process, wanted.streams)?;
        let mut call = Call::new(&self.setup, &files.name, "exec").stdio(ends).argument("--detach");
        call = call.option("--process", &files.process).option("--pid-file", &files.pid);
        if console.is_some() {
            call = call.option("--console-socket", &files.console);
        }
        let (runtime, outcome) = call.argument(&self.setup.id).spawn()?;
        Ok(Begun { runtime, outcome, stdio, console, files })
    }

    fn knows_exec(&self, id: &str) -> bool {
        self.processes.iter().any(|(other, _)| other.as_deref() == Some(id))
            || self.pending.iter().any(|pending| pending.wanted.id == id)
            || self.ended.iter().any(|(other, _)| other == id)
    }

    /// The runtime is done with it.
    pub(super) fn finish_exec(&mut self, pending: Pending, success: bool) {
        let Pending { wanted, socket, begun } = pending;
        let Begun { outcome, mut stdio, console, files, .. } = begun;
        let done = outcome.of(success).and_then(|()| {
            if let Some(console) = console {
                let accepted = Stdio::accept(&console, wanted.process.user().uid(), wanted.size);
                stdio = accepted.doing(|| "taking the terminal".to_owned())?;
            }
            container::pid_from(&files.pid.to_string_lossy())
        });
        let pid = match done {
            Ok(pid) => pid,
            Err(error) => return answer(&socket, &Reply::Failed(error)),
        };
        let mut process = Process::new(pid, stdio, StdinEnd::Passed, None);
        if let Some(exit) = self.unclaimed.remove(&pid) {
            process.reap(exit);
        }
        let reply = Reply::Executed { pid };
        if wanted.streams.any() {
            join(&mut process, socket, wanted.streams, &reply);
        } else {
            answer(&socket, &reply);
        }
        self.processes.push((Some(wanted.id), process));
    }
}

fn write(path: &Path, spec: &Spec) -> Result<()> {
    let bytes = serde_json::to_vec(spec).doing(|| "describing the process".to_owned())?;
    let file = std::fs::File::create(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, &bytes))
        .doing(|| "describing the process".to_owned())
}

/// A detached process gets no pipes: nobody would read what it keeps writing.
fn ends(spec: &Spec, streams: Streams) -> Result<(Stdio, Ends)> {
    if spec.terminal() == Some(true) || !streams.any() {
        return Ok(Stdio::none());
    }
    Stdio::pipes(spec.user().uid(), streams.stdin).doing(|| "making pipes".to_owned())
}
