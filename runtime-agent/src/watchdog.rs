//! `wharfd watchdog FLAGS…`: runs the daemon with these flags and starts it again when it dies.
//!
//! For hosts without an init system that would do it. The watchdog ends when it is told to (SIGTERM or SIGINT, passed
//! on to the daemon), when the daemon ends by itself with success, and when the daemon refuses its flags: those do not
//! get better by trying again.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// A daemon that ran this long was healthy; the next start need not wait.
const HEALTHY: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The exit code for flags that make no configuration.
const USAGE: i32 = 2;

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(watch(arguments.into_iter().skip(2).collect()))
    };
    run().unwrap_or_else(|error: io::Error| {
        say(&format!("the watchdog cannot go on: {error}"));
        ExitCode::FAILURE
    })
}

async fn watch(flags: Vec<OsString>) -> io::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let mut daemon = Command::new(&program).args(&flags).spawn()?;
        let status = tokio::select! {
            status = daemon.wait() => status?,
            _ = terminate.recv() => return end(daemon).await,
            _ = interrupt.recv() => return end(daemon).await,
        };
        if status.success() || status.code() == Some(USAGE) {
            return Ok(exit_code(status));
        }
        pause = if started.elapsed() > HEALTHY { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        say(&format!("the daemon ended with {status}; starting it again in {} ms", pause.as_millis()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        }
    }
}

async fn end(mut daemon: tokio::process::Child) -> io::Result<ExitCode> {
    if let Some(id) = daemon.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended just now; waiting tells.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    Ok(exit_code(daemon.wait().await?))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn say(what: &str) {
    // Standard error may be closed; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "wharfd: {what}");
}
