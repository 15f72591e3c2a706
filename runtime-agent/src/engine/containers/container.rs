//! A handle on one container: its verbs as callers know them, made of commands to its task and of waiting.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::record::ContainerRecord;
use super::signal;
use super::task::{Command, Reply, Snapshot, Task, not_running};
use super::world::World;
use crate::engine::error::{Error, Kind, Result};
use crate::runtime::{ProcessRef, Shim, Size, Streams};

/// Cheap to clone; works as long as anybody holds one, also after the removal.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    NotRunning,
    NextExit,
    Removed,
}

impl Container {
    /// Gives a container its task.
    pub(crate) fn spawn(world: &Arc<World>, snapshot: Snapshot) -> Self {
        let id = snapshot.record.id.clone();
        let (commands, snapshots) = Task::spawn(Arc::clone(world), snapshot);
        Self { id, commands, snapshots }
    }

    /// What it is now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    pub(crate) async fn start(&self) -> Result<()> {
        self.ask(Command::Start).await
    }

    /// Asks it to end, and after `timeout` seconds makes it; negative waits for ever.
    pub(crate) async fn stop(&self, wanted: Option<&str>, timeout: Option<i64>) -> Result<()> {
        let snapshot = self.snapshot();
        let config = &snapshot.record.config;
        if !snapshot.record.state.status.is_running() {
            return Err(Error::not_modified());
        }
        let name = wanted.filter(|name| !name.is_empty()).unwrap_or(&config.stop_signal);
        let number = if name.is_empty() { signal::TERM } else { signal::parse(name)? };
        let seconds = timeout.or(config.stop_timeout).unwrap_or(DEFAULT_STOP_SECONDS);
        let runs = snapshot.exits;
        self.end(number).await?;
        let ended = self.ended(runs);
        match u64::try_from(seconds) {
            Err(_) => ended.await,
            Ok(seconds) => {
                if tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_err() {
                    self.end(signal::KILL).await?;
                    self.ended_soon(runs).await?;
                }
            }
        }
        self.tell("stop").await;
        Ok(())
    }

    pub(crate) async fn restart(&self, wanted: Option<&str>, timeout: Option<i64>) -> Result<()> {
        match self.stop(wanted, timeout).await {
            Err(error) if error.kind() != Kind::NotModified => return Err(error),
            _ => {}
        }
        match self.start().await {
            Err(error) if error.kind() != Kind::NotModified => return Err(error),
            _ => {}
        }
        self.tell("restart").await;
        Ok(())
    }

    /// Sends a signal. After SIGKILL it has ended when this returns.
    pub(crate) async fn kill(&self, wanted: Option<&str>) -> Result<()> {
        let number = match wanted.filter(|name| !name.is_empty()) {
            Some(name) => signal::parse(name)?,
            None => signal::KILL,
        };
        let snapshot = self.snapshot();
        let stop = signal::parse(&snapshot.record.config.stop_signal).unwrap_or(signal::TERM);
        let by_hand = number == signal::KILL || number == stop;
        self.ask(|reply| Command::Signal { signal: number, by_hand, reply }).await?;
        if number == signal::KILL {
            self.ended_soon(snapshot.exits).await?;
        }
        Ok(())
    }

    pub(crate) async fn pause(&self) -> Result<()> {
        self.ask(Command::Pause).await
    }

    pub(crate) async fn unpause(&self) -> Result<()> {
        self.ask(Command::Unpause).await
    }

    /// Registers a client for the stdio. The stream comes when the container runs; an error when it never will.
    pub(crate) async fn attach(&self, streams: Streams) -> Result<oneshot::Receiver<Result<UnixStream>>> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Attach(streams, reply)).await?;
        Ok(answer)
    }

    pub(crate) async fn resize(&self, size: Size) -> Result<()> {
        let shim = self.shim()?;
        shim.resize(ProcessRef::Init, size).await.map_err(|e| Error::internal("resizing the terminal", e))
    }

    /// Subscribes at once; the future yields the exit code.
    pub(crate) fn wait(&self, until: Until) -> impl Future<Output = Result<i64>> + Send + use<> {
        let mut snapshots = self.snapshots.clone();
        let exits = snapshots.borrow_and_update().exits;
        async move {
            let done = |now: &Arc<Snapshot>| match until {
                Until::NotRunning => now.removed || !now.record.state.status.is_running(),
                Until::NextExit => now.removed || now.exits > exits,
                Until::Removed => now.removed,
            };
            let code = snapshots.wait_for(done).await.map(|now| i64::from(now.record.state.exit_code));
            // The task ends after its last word, which is `removed`.
            code.map_err(|_| Error::unavailable("the engine is shutting down"))
        }
    }

    /// Takes it away; `force` ends it first.
    pub(crate) async fn remove(&self, force: bool, volumes: bool) -> Result<()> {
        let snapshot = self.snapshot();
        if force && snapshot.record.state.status.is_running() {
            match self.end(signal::KILL).await {
                Ok(()) => self.ended_soon(snapshot.exits).await?,
                // It ended by itself, or was removed by itself.
                Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        match self.ask(|reply| Command::Remove { volumes, reply }).await {
            // One that removes itself got there first.
            Err(error) if error.kind() == Kind::NotFound && force => Ok(()),
            other => other,
        }
    }

    pub(crate) async fn rename(&self, name: String) -> Result<()> {
        self.ask(|reply| Command::Rename(name, reply)).await
    }

    pub(crate) async fn update(
        &self,
        change: impl FnOnce(&mut ContainerRecord) + Send + 'static,
    ) -> Result<()> {
        self.ask(|reply| Command::Update(super::task::Change(Box::new(change)), reply)).await
    }

    /// An edit that is not an update of the client's.
    pub(super) async fn note(
        &self,
        change: impl FnOnce(&mut ContainerRecord) + Send + 'static,
    ) -> Result<()> {
        self.ask(|reply| Command::Note(super::task::Change(Box::new(change)), reply)).await
    }

    /// Ends the wait of a container that an earlier daemon was to restart.
    pub(crate) async fn restart_is_due(&self) {
        // A container that is gone has nothing to restart.
        let _ = self.commands.send(Command::Due(0)).await;
    }

    /// The shim of a container that runs.
    pub(crate) fn shim(&self) -> Result<Arc<dyn Shim>> {
        let snapshot = self.snapshot();
        let running = snapshot.record.state.status.has_process();
        snapshot.shim.clone().filter(|_| running).ok_or_else(|| not_running(&self.id))
    }

    /// A receiver that sees every state from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    async fn end(&self, number: i32) -> Result<()> {
        match self.ask(|reply| Command::Signal { signal: number, by_hand: true, reply }).await {
            // Ended in between.
            Err(error) if error.kind() == Kind::Conflict => Ok(()),
            other => other,
        }
    }

    /// Until the run that was on when `exits` was read is over, and no other one is on.
    async fn ended(&self, exits: u64) {
        let over =
            |now: &Arc<Snapshot>| now.removed || now.exits > exits || !now.record.state.status.is_running();
        // An error means that the task is gone, and its container with it.
        drop(self.snapshots.clone().wait_for(over).await);
    }

    async fn ended_soon(&self, exits: u64) -> Result<()> {
        tokio::time::timeout(KILL_PATIENCE, self.ended(exits)).await.map_err(|_| {
            Error::internal(
                &format!("cannot kill container {}", self.id),
                std::io::Error::other("tried to kill container, but did not receive an exit event"),
            )
        })
    }

    /// A client left by its keys.
    pub(crate) async fn detached(&self) {
        self.tell("detach").await;
    }

    async fn tell(&self, action: &'static str) {
        // A container that is gone tells nothing more.
        let _ = self.commands.send(Command::Tell(action)).await;
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| self.gone())?
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| self.gone())
    }

    fn gone(&self) -> Error {
        Error::not_found(format!("No such container: {}", self.id))
    }
}

/// As dockerd.
const DEFAULT_STOP_SECONDS: i64 = 10;
/// SIGKILL cannot be refused, but a process in the kernel may take its time.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
