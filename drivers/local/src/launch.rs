//! The driver's side of a running machine: starts the supervisor, asks it to stop, and waits for what that does.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::sleep;
use wharf_driver::{Context, Error, Kind, Result};

use crate::folder::{Folder, Phase, Status, name};
use crate::process;
use crate::qemu;
use crate::supervisor::Word;
use crate::virtiofs;

const PACE: Duration = Duration::from_millis(10);

/// Makes the machine run, and waits until its guest says that it answers. Running already is success.
pub(crate) async fn start(folder: &Folder, answers: bool, cx: &Context) -> Result<Status> {
    cx.progress.say("waiting for the guest");
    let mut spawned = false;
    loop {
        check(cx)?;
        let (alive, looked_after) =
            (folder.is_locked(name::QEMU_LOCK), folder.is_locked(name::SUPERVISOR_LOCK));
        let status = status(folder)?;
        match status.phase {
            Phase::Running if alive && looked_after => return healthy(status),
            // A guest that says nothing of itself is ready as far as anybody here can tell.
            Phase::Starting if alive && looked_after && !answers && status.ssh_port != 0 => {
                return Ok(status);
            }
            // On its way up; or down, from a stop that was cut short, and then it is started anew.
            _ if looked_after => sleep(PACE).await,
            _ if spawned => return Err(ended(folder)),
            _ => {
                forget_last_run(folder)?;
                spawn(folder, cx).await?;
                // One that is taken over may be on its way down as well.
                spawned = !alive;
            }
        }
    }
}

/// A guest without its data disk answers SSH, so that the disk can be looked at, and has no engine: nobody should wait
/// for one.
fn healthy(status: Status) -> Result<Status> {
    let about_the_disk = |warning: &&String| warning.contains("data disk");
    let Some(warning) = status.warnings.iter().find(about_the_disk) else { return Ok(status) };
    Err(Error::new(Kind::Failed, format!("the machine runs without its data: {warning}")).hint(
        "the machine answers `wharf ssh`, where `e2fsck /dev/vda` shows what is wrong and repairs what it can; then \
         `wharf restart`",
    ))
}

/// Stops the machine: gently, or at once. Stopped already is success.
pub(crate) async fn stop(folder: &Folder, gently: bool, cx: &Context) -> Result<()> {
    // A supervisor without a QEMU is about to start one, or about to go.
    while folder.is_locked(name::QEMU_LOCK) || folder.is_locked(name::SUPERVISOR_LOCK) {
        check(cx)?;
        if !gently {
            process::kill_qemu(folder);
        } else if folder.is_locked(name::SUPERVISOR_LOCK) {
            process::signal_supervisor(folder, Signal::TERM);
        } else {
            spawn(folder, cx).await?;
        }
        // The signal may come before the supervisor listens, so it is repeated, unhurriedly.
        for _ in 0..50 {
            if !folder.is_locked(name::QEMU_LOCK) && !folder.is_locked(name::SUPERVISOR_LOCK) {
                break;
            }
            sleep(PACE).await;
        }
    }
    let stopped = Status { phase: Phase::Stopped, warnings: Vec::new(), ..status(folder)? };
    folder
        .write(name::STATUS, &stopped)
        .map_err(|error| failed("the machine's state cannot be written", error))
}

/// Ends everything that runs for this machine, at once, and makes sure that nothing of it starts again. The record
/// must be gone already.
pub(crate) async fn end(folder: &Folder, cx: &Context) -> Result<()> {
    let failed = |error: io::Error| failed("the machine's processes cannot be ended", error);
    // Holding the supervisor's lock, nobody starts a QEMU; one that was started last holds its own lock by then.
    let held = loop {
        check(cx)?;
        process::signal_supervisor(folder, Signal::KILL);
        match folder.try_lock(name::SUPERVISOR_LOCK) {
            Ok(Some(lock)) => break lock,
            Ok(None) => sleep(PACE).await,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    };
    while folder.is_locked(name::QEMU_LOCK) {
        check(cx)?;
        process::kill_qemu(folder);
        sleep(PACE).await;
    }
    virtiofs::end_all(folder).await.map_err(failed)?;
    drop(held);
    Ok(())
}

/// What the supervisor last knew; nothing yet is "starting".
pub(crate) fn status(folder: &Folder) -> Result<Status> {
    let read = folder.read(name::STATUS);
    Ok(read.map_err(|error| failed("the machine's state cannot be read", error))?.unwrap_or_default())
}

/// Makes sure that somebody looks after a machine that runs.
pub(crate) async fn look_after(folder: &Folder, cx: &Context) -> Result<()> {
    if folder.is_locked(name::QEMU_LOCK) && !folder.is_locked(name::SUPERVISOR_LOCK) {
        spawn(folder, cx).await?;
    }
    Ok(())
}

/// The phase of the last run must not be taken for this one's; its ports are to be asked for again.
fn forget_last_run(folder: &Folder) -> Result<()> {
    if folder.is_locked(name::QEMU_LOCK) || folder.is_locked(name::SUPERVISOR_LOCK) {
        return Ok(());
    }
    // The supervisor starts a QEMU only when it finds this: one that was to look after a QEMU that died meanwhile
    // must not bring it back.
    let last = status(folder).unwrap_or_default();
    let fresh = Status { phase: Phase::Starting, warnings: Vec::new(), ..last };
    folder.write(name::STATUS, &fresh).map_err(|error| failed("the machine's state cannot be written", error))
}

/// Starts a supervisor and waits for its one word.
async fn spawn(folder: &Folder, cx: &Context) -> Result<()> {
    check(cx)?;
    let cannot = |error: io::Error| failed("the machine's supervisor cannot be started", error);
    let log = qemu::log_file(folder, name::SUPERVISOR_LOG).map_err(cannot)?;
    let mut child = Command::new(&cx.places.program)
        .args(["supervise", "local"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| cannot(error).fact("program", cx.places.program.display().to_string()))?;
    let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
    let word = async {
        match &mut lines {
            Some(lines) => lines.next_line().await,
            None => Ok(None),
        }
    };
    let line = tokio::select! {
        line = word => line.map_err(cannot)?,
        () = cx.cancel.cancelled() => return Err(cancelled()),
        () = tokio::time::sleep_until(cx.deadline.into()) => return Err(late()),
    };
    let word = line.as_deref().and_then(|line| serde_json::from_str(line).ok());
    match word {
        Some(Word::Started { .. } | Word::Unneeded) => Ok(()),
        Some(Word::Failed { why }) => {
            Err(Error::new(Kind::Failed, format!("the machine did not start: {why}")))
        }
        None => {
            let log = crate::folder::tail(&folder.file(name::SUPERVISOR_LOG), 2000).unwrap_or_default();
            Err(Error::new(Kind::Failed, "the machine's supervisor ended without a word").fact("log", log))
        }
    }
}

fn ended(folder: &Folder) -> Error {
    let console = crate::folder::tail(&folder.file(name::CONSOLE), 2000).unwrap_or_default();
    Error::new(Kind::Failed, "the machine ended before its guest answered")
        .fact("qemu", qemu::last_words(folder.path()))
        .fact("console", console)
}

/// Whether there is time left, and nobody interrupted.
pub(crate) fn check(cx: &Context) -> Result<()> {
    if cx.cancel.is_cancelled() {
        return Err(cancelled());
    }
    if std::time::Instant::now() > cx.deadline { Err(late()) } else { Ok(()) }
}

fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "interrupted")
}

fn late() -> Error {
    Error::new(Kind::TimedOut, "the machine did not come this far in time")
}

/// An error of this computer's files or processes.
pub(crate) fn failed(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Failed, format!("{what}: {error}")).caused_by(error)
}
