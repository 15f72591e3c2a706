//! A program that is run in our place for a while: it has the terminal, and we end as it ends.

use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use crate::error::{Error, Result};
use crate::interrupt::{Stop, Stops};

/// Runs it to its end. An interrupt at the terminal reaches it by itself, and it decides what comes of that; whoever asks
/// us alone to stop asks it, too.
pub(crate) async fn run(command: &mut Command) -> Result<ExitStatus> {
    // Before it is there: nobody ends us and leaves it behind.
    let mut stops = Stops::listen();
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| cannot_run(&program, &e))?;
    loop {
        let stop = tokio::select! {
            status = child.wait() => return Ok(status?),
            stop = stops.next() => stop,
        };
        if stop == Stop::Terminate {
            terminate(&child);
        }
    }
}

fn cannot_run(program: &str, error: &io::Error) -> Error {
    let hint = "check the spelling, and that it is on PATH";
    Error::failed(format!("cannot run `{program}`")).caused_by(error).hint(hint)
}

/// How a program ended, as shells count it.
#[cfg(unix)]
pub(crate) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// How a program ended.
#[cfg(not(unix))]
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

#[cfg(unix)]
fn terminate(child: &Child) {
    let id = child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
    if let Some(id) = id {
        // It may have ended just now.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
}

#[cfg(not(unix))]
const fn terminate(_: &Child) {}
