//! The task that owns one container's state.
//!
//! ```text
//!            start                 pause
//!  created ────────► running ◄──────────────► paused
//!     │                │ ▲        unpause        │
//!     │           exit │ │ due                   │ exit
//!     │                ▼ │                       ▼
//!     │            restarting ── stopped ──► exited ──┐
//!     │                ▲   policy says so ───┘  ▲     │ start: running again
//!     │                └────────────────────────┘     │
//!     └──────────── remove ──► removing ◄─── remove ──┘
//!                                 │ failed: dead, and remove may be tried again
//!                                 ▼
//!                              (gone)
//! ```
//! Requests are commands, answered one after another, so no two verbs ever meet. Every transition is written to disk,
//! then published to readers, then told as an event: who hears of it finds it so. Waiting is never done here: `stop`
//! waits outside, and the end of a process comes in as a command like the others.

mod exit;
mod health;
mod remove;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::health::{Monitor, Probe};
use super::record::{ContainerRecord, Status};
use super::signal;
use super::world::World;
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::runtime::{Exit, ProcessRef, Shim, Streams};

pub(crate) type Reply<T = ()> = oneshot::Sender<Result<T>>;

/// What a container is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Reply),
    /// `by_hand` says that the restart policy shall not undo it.
    Signal {
        signal: i32,
        by_hand: bool,
        reply: Reply,
    },
    Pause(Reply),
    Unpause(Reply),
    /// Joins the stdio, now or when it starts.
    Attach(Streams, Reply<UnixStream>),
    Rename(String, Reply),
    Update(Change, Reply),
    /// The same, without telling: whoever asked tells it in its own words.
    Note(Change, Reply),
    Remove {
        volumes: bool,
        reply: Reply,
    },
    /// A verb made of others is done: tell it.
    Tell(&'static str),
    /// The process of this run ended.
    Exited(u64, Exit),
    /// A health check of this run is over.
    Probed(u64, Probe),
    /// The wait before the restart of this run is over.
    Due(u64),
}

/// An edit of the record.
pub(crate) struct Change(pub(crate) Box<dyn FnOnce(&mut ContainerRecord) + Send>);

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

/// What readers see: always whole, never half a transition.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) record: ContainerRecord,
    /// While there is a process.
    pub(crate) shim: Option<Arc<dyn Shim>>,
    /// The mounted root filesystem, while there is a process.
    pub(crate) rootfs: Option<PathBuf>,
    /// How many runs have ended since the daemon started.
    pub(crate) exits: u64,
    /// Gone for good.
    pub(crate) removed: bool,
}

/// The owner.
pub(crate) struct Task {
    world: Arc<World>,
    now: Snapshot,
    published: watch::Sender<Arc<Snapshot>>,
    inbox: mpsc::Receiver<Command>,
    /// For what comes back later: exits and timers.
    own: mpsc::WeakSender<Command>,
    /// Clients that attached before the start.
    waiting: Vec<(Streams, Reply<UnixStream>)>,
    /// Counts starts, so that a late exit or timer is not taken for a newer one.
    run: u64,
    /// Short runs in a row.
    failures: u32,
    /// While it runs and has a health check.
    monitor: Option<Monitor>,
}

impl Task {
    /// Starts the task over a container as it was found or made.
    pub(crate) fn spawn(
        world: Arc<World>,
        snapshot: Snapshot,
    ) -> (mpsc::Sender<Command>, watch::Receiver<Arc<Snapshot>>) {
        let (sender, inbox) = mpsc::channel(64);
        let (published, snapshots) = watch::channel(Arc::new(snapshot.clone()));
        let own = sender.downgrade();
        let task = Self {
            world,
            now: snapshot,
            published,
            inbox,
            own,
            waiting: Vec::new(),
            run: 0,
            failures: 0,
            monitor: None,
        };
        tokio::spawn(task.serve());
        (sender, snapshots)
    }

    async fn serve(mut self) {
        if let Some(shim) = self.now.shim.clone() {
            self.watch_exit(shim);
            self.watch_health();
        }
        while let Some(command) = self.inbox.recv().await {
            self.obey(command).await;
            if self.now.removed {
                break;
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        // A client that no longer waits for its answer changes nothing.
        match command {
            Command::Start(reply) => drop(reply.send(self.start_by_hand().await)),
            Command::Signal { signal, by_hand, reply } => {
                drop(reply.send(self.signal(signal, by_hand).await));
            }
            Command::Pause(reply) => drop(reply.send(self.pause().await)),
            Command::Unpause(reply) => drop(reply.send(self.unpause().await)),
            Command::Attach(streams, reply) => self.attach(streams, reply).await,
            Command::Rename(name, reply) => drop(reply.send(self.rename(name).await)),
            Command::Update(change, reply) => drop(reply.send(self.update(change).await)),
            Command::Note(change, reply) => {
                (change.0)(&mut self.now.record);
                drop(reply.send(self.commit().await));
            }
            Command::Remove { volumes, reply } => drop(reply.send(self.remove(volumes).await)),
            Command::Tell(action) => self.tell(action, []),
            Command::Exited(run, exit) if run == self.run => self.exited(exit).await,
            Command::Probed(run, probe) if run == self.run => self.probed(probe).await,
            Command::Due(run) if run == self.run => self.restart_now().await,
            Command::Exited(..) | Command::Probed(..) | Command::Due(_) => {}
        }
    }

    fn status(&self) -> Status {
        self.now.record.state.status
    }

    /// To disk, then to readers.
    async fn commit(&mut self) -> Result<()> {
        let folder = self.world.folder_of(&self.now.record.id);
        let written = self.now.record.write(&folder).await;
        self.publish();
        written
    }

    fn publish(&self) {
        self.published.send_replace(Arc::new(self.now.clone()));
    }

    fn tell<const N: usize>(&self, action: &str, details: [(&str, String); N]) {
        let mut attributes = attributes(&self.now.record);
        attributes.extend(details.map(|(key, value)| (key.to_owned(), value)));
        self.world.events.publish(EventKind::Container, action, self.now.record.id.clone(), attributes);
    }

    /// That the run begins or ceases to use each of its volumes.
    fn tell_of_volumes(&self, begins: bool) {
        let record = &self.now.record;
        for mount in &record.mounts {
            let Some(volume) = &mount.volume else { continue };
            let mut details = vec![("container", record.id.clone()), ("driver", "local".to_owned())];
            if begins {
                details.extend([
                    ("destination", mount.destination.display().to_string()),
                    ("read/write", (!mount.read_only).to_string()),
                    ("propagation", mount.propagation.clone()),
                ]);
            }
            let action = if begins { "mount" } else { "unmount" };
            self.world.events.publish(EventKind::Volume, action, volume.clone(), details);
        }
    }

    async fn signal(&mut self, number: i32, by_hand: bool) -> Result<()> {
        let record = &self.now.record;
        if self.status() == Status::Restarting && by_hand {
            // The timer that is still running belongs to no run any more.
            self.run += 1;
            self.now.record.state.stopped_by_hand = true;
            self.now.record.state.status = Status::Exited;
            return self.commit().await;
        }
        let Some(shim) = self.now.shim.clone().filter(|_| self.status().has_process()) else {
            return Err(Error::conflict(format!(
                "cannot kill container: {}: container {} is not running",
                record.name, record.id
            )));
        };
        if by_hand {
            self.now.record.state.stopped_by_hand = true;
        }
        match shim.signal(ProcessRef::Init, number).await {
            // It ended meanwhile: the exit is on its way to us.
            Ok(()) | Err(crate::runtime::Error::NotRunning) => {}
            Err(error) => return Err(Error::internal("sending a signal", error)),
        }
        self.tell("kill", [("signal", number.to_string())]);
        if self.status() == Status::Paused && number == signal::KILL {
            // Frozen processes die only once they are thawed.
            self.resume(&*shim).await?;
        }
        self.commit().await
    }

    async fn pause(&mut self) -> Result<()> {
        let id = &self.now.record.id;
        let shim = match (self.status(), &self.now.shim) {
            (Status::Running, Some(shim)) => Arc::clone(shim),
            (Status::Paused, _) => return Err(Error::conflict(format!("container {id} is already paused"))),
            _ => return Err(not_running(id)),
        };
        shim.pause().await.map_err(|e| Error::internal(&format!("cannot pause container {id}"), e))?;
        self.now.record.state.status = Status::Paused;
        self.unwatch_health();
        self.commit().await?;
        self.tell("pause", []);
        Ok(())
    }

    async fn unpause(&mut self) -> Result<()> {
        let Some(shim) = self.now.shim.clone().filter(|_| self.status() == Status::Paused) else {
            return Err(Error::conflict(format!("container {} is not paused", self.now.record.id)));
        };
        self.resume(&*shim).await
    }

    async fn resume(&mut self, shim: &dyn Shim) -> Result<()> {
        let id = &self.now.record.id;
        shim.resume().await.map_err(|e| Error::internal(&format!("cannot unpause container {id}"), e))?;
        self.now.record.state.status = Status::Running;
        self.commit().await?;
        self.watch_health();
        self.tell("unpause", []);
        Ok(())
    }

    async fn attach(&mut self, streams: Streams, reply: Reply<UnixStream>) {
        let answer = match (self.status(), &self.now.shim) {
            (Status::Paused, _) => Err(Error::conflict(format!(
                "container {} is paused, unpause the container before attach",
                self.now.record.id
            ))),
            (status, Some(shim)) if status.has_process() => {
                shim.attach(streams).await.map_err(|e| Error::internal("attaching", e))
            }
            _ => {
                self.waiting.retain(|(_, reply)| !reply.is_closed());
                self.waiting.push((streams, reply));
                return;
            }
        };
        drop(reply.send(answer));
        self.tell("attach", []);
    }

    async fn rename(&mut self, name: String) -> Result<()> {
        let old = std::mem::replace(&mut self.now.record.name, name);
        self.commit().await?;
        self.tell("rename", [("oldName", format!("/{old}"))]);
        Ok(())
    }

    async fn update(&mut self, change: Change) -> Result<()> {
        (change.0)(&mut self.now.record);
        self.commit().await?;
        self.tell("update", []);
        Ok(())
    }
}

/// dockerd's text when a verb needs a process.
pub(crate) fn not_running(id: &str) -> Error {
    Error::conflict(format!("container {id} is not running"))
}

/// What every event about a container carries.
pub(crate) fn attributes(record: &ContainerRecord) -> BTreeMap<String, String> {
    let mut attributes = record.config.labels.clone();
    attributes.insert("image".to_owned(), record.config.image.clone());
    attributes.insert("name".to_owned(), record.name.clone());
    attributes
}
