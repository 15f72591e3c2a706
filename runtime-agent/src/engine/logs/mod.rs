//! What containers wrote: read from the json-file logs that shims write, oldest first, and followed as they grow.
//!
//! Nothing here polls: a follower sleeps on inotify and on the container's state. It ends when the container does, after
//! its last line.

mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::Deserialize;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use super::containers::moment::Moment;
use super::containers::{Container, Containers};
use super::error::{Error, Result};
use file::Reader;

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) follow: bool,
    /// The last so many lines; all without.
    pub(crate) tail: Option<usize>,
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
}

/// One line, or a piece of one that was too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stderr: bool,
    pub(crate) time: Moment,
    pub(crate) text: String,
    /// What the log driver's options put beside it.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Containers {
    /// The lines; the channel closes after the last one. Dropping it ends the reading.
    pub(crate) fn logs(
        &self,
        container: &Container,
        wanted: Wanted,
    ) -> Result<mpsc::Receiver<Result<Entry>>> {
        if !wanted.stdout && !wanted.stderr {
            return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
        }
        let snapshot = container.snapshot();
        let folder = self.world.folder_of(&container.id);
        let Some(path) = snapshot.record.log_path(&folder) else {
            return Err(Error::unimplemented("configured logging driver does not support reading"));
        };
        let follow = wanted.follow && snapshot.record.state.status.is_running();
        let (_, files) = snapshot.record.log_bounds();
        let (sender, receiver) = mpsc::channel(256);
        let follower = Follower { path, files, follow, wanted, container: container.clone(), sender };
        tokio::spawn(follower.run());
        Ok(receiver)
    }
}

struct Follower {
    path: PathBuf,
    /// How many files there may be, the current one included.
    files: u32,
    follow: bool,
    wanted: Wanted,
    container: Container,
    sender: mpsc::Sender<Result<Entry>>,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    More,
    Done,
}

impl Follower {
    async fn run(self) {
        if let Err(error) = self.read_all().await {
            // Nobody listens any more: then nobody needs the error either.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn read_all(&self) -> Result<()> {
        // Before the first read, so that nothing is missed between.
        let changes = if self.follow { Some(watch(&self.path)?) } else { None };
        let mut states = self.container.changes();
        let mut reader = Reader::open(self.path.clone(), self.files, self.wanted.tail).await?;
        loop {
            // Asked before reading: what was written before the end is read after it.
            let over = !states.borrow_and_update().record.state.status.is_running();
            if self.drain(&mut reader).await? == Next::Done {
                return Ok(());
            }
            let Some(changes) = changes.as_ref().filter(|_| !over) else { return Ok(()) };
            tokio::select! {
                changed = wait_for(changes) => changed?,
                gone = states.changed() => if gone.is_err() { return self.drain(&mut reader).await.map(drop) },
                () = self.sender.closed() => return Ok(()),
                () = at(self.wanted.until) => return Ok(()),
            }
        }
    }

    async fn drain(&self, reader: &mut Reader) -> Result<Next> {
        while let Some(line) = reader.next_line().await? {
            let Some(entry) = parse(&line) else { continue };
            if self.wanted.until.is_some_and(|until| entry.time > until) {
                return Ok(Next::Done);
            }
            let stream = if entry.stderr { self.wanted.stderr } else { self.wanted.stdout };
            if !stream || self.wanted.since.is_some_and(|since| entry.time < since) {
                continue;
            }
            if self.sender.send(Ok(entry)).await.is_err() {
                return Ok(Next::Done);
            }
        }
        Ok(Next::More)
    }
}

#[derive(Deserialize)]
struct Line {
    log: String,
    stream: String,
    time: Moment,
    #[serde(default, rename = "attrs")]
    attributes: BTreeMap<String, String>,
}

/// A damaged line is left out: the ones around it are worth more than an error.
fn parse(line: &[u8]) -> Option<Entry> {
    let Line { log, stream, time, attributes } = serde_json::from_slice(line).ok()?;
    Some(Entry { stderr: stream == "stderr", time, text: log, attributes })
}

/// The folder is watched, not the file: rotation replaces the file.
fn watch(path: &Path) -> Result<Receiver> {
    let watching = || -> std::io::Result<Receiver> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        inotify::add_watch(&inotify, folder, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        // Not a pipe, but read in the same way.
        Receiver::from_owned_fd_unchecked(inotify)
    };
    watching().map_err(|e| Error::internal("watching a log", e))
}

async fn wait_for(changes: &Receiver) -> Result<()> {
    let failed = |e: std::io::Error| Error::internal("watching a log", e);
    changes.readable().await.map_err(failed)?;
    // What changed does not matter: everything new is read. Draining is what stops us from spinning.
    let mut buffer = [0; 4096];
    loop {
        match changes.try_read(&mut buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn at(moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.remaining().unwrap_or(Duration::ZERO)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_dockers_json_and_a_damaged_one_is_left_out() {
        let line = br#"{"log":"hi\n","stream":"stderr","time":"2026-01-02T03:04:05.000000006Z"}"#;
        let entry = parse(line).unwrap();
        assert!(entry.stderr && entry.text == "hi\n" && entry.time.to_string().ends_with("05.000000006Z"));
        assert_eq!(parse(br#"{"log":"torn"#), None);
    }
}
