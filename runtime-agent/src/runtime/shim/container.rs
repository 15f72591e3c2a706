//! The container that a shim is for: creating, starting and taking it away with the OCI runtime.

use std::os::unix::net::UnixListener;
use std::path::Path;

use super::log::Log;
use super::process::{Process, StdinEnd};
use super::runtime::Call;
use super::stdio::{Ends, Stdio};
use crate::runtime::cgroup::{self, Group};
use crate::runtime::error::{Doing as _, Error, Result};
use crate::runtime::identity::Identity;
use crate::runtime::protocol::{Record, Setup, VERSION};
use crate::runtime::{exit, oci, record};

/// Has the container made, all but its program. On failure nothing of it is left.
pub(super) fn create(setup: &Setup) -> Result<(Process, Vec<Group>)> {
    exit::remove(&setup.dir).doing(|| "removing the last exit record".to_owned())?;
    let log = Log::open(&setup.log).doing(|| "opening the log".to_owned())?;
    made(setup, log).inspect_err(|_| {
        // The first failure is the one to tell.
        let _ = delete(setup);
    })
}

fn made(setup: &Setup, log: Option<Log>) -> Result<(Process, Vec<Group>)> {
    let console = setup.terminal.then(|| UnixListener::bind("console.sock")).transpose();
    let console = console.doing(|| "listening for the terminal".to_owned())?;
    let (mut stdio, ends) = stdio(setup)?;
    let mut call = Call::new(setup, "create", "create").stdio(ends);
    call = call.option("--bundle", &setup.state).option("--pid-file", Path::new("container.pid"));
    if console.is_some() {
        call = call.option("--console-socket", &setup.state.join("console.sock"));
    }
    call.argument(&setup.id).run()?;
    if let Some(console) = console {
        let accepted = Stdio::accept(&console, setup.owner, setup.size);
        stdio = accepted.doing(|| "taking the terminal".to_owned())?;
        let _ = std::fs::remove_file("console.sock");
    }
    let pid = pid_from("container.pid")?;
    let groups = cgroup::at(&setup.cgroup).doing(|| "finding the container's cgroup".to_owned())?;
    let identify = |pid| Identity::of(pid).doing(|| format!("identifying process {pid}"));
    let shim = identify(std::process::id().try_into().unwrap_or_default())?;
    record::write(Path::new("."), &Record { version: VERSION, shim, container: identify(pid)? })
        .doing(|| "writing the shim's record".to_owned())?;
    let end = if setup.stdin_once { StdinEnd::Passed } else { StdinEnd::Ignored };
    Ok((Process::new(pid, stdio, end, log), groups))
}

/// The pid that the runtime left in a file.
pub(super) fn pid_from(file: &str) -> Result<i32> {
    let text = std::fs::read_to_string(file).doing(|| format!("reading {file}"))?;
    let _ = std::fs::remove_file(file);
    text.trim().parse().doing(|| format!("reading {file}"))
}

/// Executes the program.
pub(super) fn start(setup: &Setup) -> Result<()> {
    match setup.runtime {
        None => oci::start(&setup.runtime_root, &setup.id).map_err(Error::Runtime),
        Some(_) => Call::new(setup, "start", "start").argument(&setup.id).run(),
    }
}

/// Takes it away, whatever state it is in.
pub(super) fn delete(setup: &Setup) -> Result<()> {
    match setup.runtime {
        None => oci::delete(&setup.runtime_root, &setup.id, true).map_err(Error::Runtime),
        Some(_) => Call::new(setup, "delete", "delete").argument("--force").argument(&setup.id).run(),
    }
}

fn stdio(setup: &Setup) -> Result<(Stdio, Ends)> {
    if setup.terminal {
        return Ok(Stdio::none());
    }
    Stdio::pipes(setup.owner, setup.open_stdin).doing(|| "making pipes".to_owned())
}
