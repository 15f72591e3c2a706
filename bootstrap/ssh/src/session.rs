//! A session: signed in, on a host that has proved who it is.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::connection::Connection;
use crate::dial::dial;
use crate::exec::{self, Command, Output};
use crate::pool::blocking;
use crate::sign_in::{Signed, sign_in};
use crate::{Error, HostKey, HostKeys, Stream, Target, tunnel};

/// One SSH connection. Its commands run one after the other; clones share it.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    connection: Arc<Mutex<Connection>>,
    socket: Arc<OwnedFd>,
    host_key: HostKey,
    /// What the hosts on the way proved to have, the nearest first.
    jump_keys: Vec<HostKey>,
    target: Target,
}

impl Session {
    /// Connects and signs in. A host that is not up yet is tried again until the deadline; one that proves to be
    /// another, or that refuses our keys, is not.
    pub async fn connect(target: &Target, deadline: Instant) -> Result<Self, Error> {
        let mut any_type = None;
        loop {
            match attempt(target, any_type, deadline).await {
                Ok(Attempt::In(inner)) => return Ok(Self(Arc::new(*inner))),
                Ok(Attempt::OtherTypes(hop)) => any_type = Some(hop),
                Err(error) if error.may_pass() && Instant::now() + PAUSE < deadline => {
                    tracing::debug!(host = target.address(), %error, "trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The key that the host proved to have.
    pub fn host_key(&self) -> &HostKey {
        &self.0.host_key
    }

    /// The hosts on the way, the nearest first, each with the key that it proved to have.
    pub fn jumps(&self) -> impl Iterator<Item = (&Target, &HostKey)> {
        self.0.target.jumps.iter().zip(&self.0.jump_keys)
    }

    /// Whom this is connected to.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// Runs one line in the user's shell. A command that fails is not an error here: look at the status.
    pub async fn run(&self, line: &str, input: &[u8], deadline: Instant) -> Result<Output, Error> {
        self.execute(Command::new(line).input(input), deadline).await
    }

    /// Runs a command.
    pub async fn execute(&self, command: Command, deadline: Instant) -> Result<Output, Error> {
        let connection = Arc::clone(&self.0.connection).lock_owned().await;
        blocking(Arc::clone(&self.0.socket), move || exec::run(&connection, &command, deadline)).await
    }

    /// Writes a file, whole or not at all: beside its place, then renamed. The path is absolute.
    pub async fn upload(
        &self,
        content: &[u8],
        path: &str,
        mode: u32,
        deadline: Instant,
    ) -> Result<(), Error> {
        let quoted = quote(path);
        let line = format!(
            "f={quoted}; umask 077; cat >\"$f.new\" && chmod {mode:o} \"$f.new\" && mv -f \"$f.new\" \"$f\" || {{ rm -f \"$f.new\"; exit 1; }}"
        );
        let output = self.run(&line, content, deadline).await?;
        if output.success() {
            return Ok(());
        }
        Err(Error::Protocol(format!(
            "cannot write {path} on {}: {}",
            self.0.target.address(),
            output.complaint()
        )))
    }

    /// Opens a connection to a place that the host can reach. It runs over an SSH connection of its own, made to the
    /// keys that were proved here.
    pub async fn tunnel(&self, host: &str, port: u16, deadline: Instant) -> Result<Stream, Error> {
        let mut target = self.0.target.clone();
        target.host_keys = HostKeys::Pinned(vec![self.0.host_key.clone()]);
        for (jump, key) in target.jumps.iter_mut().zip(&self.0.jump_keys) {
            jump.host_keys = HostKeys::Pinned(vec![key.clone()]);
        }
        Self::connect(&target, deadline).await?.into_tunnel(host, port, deadline).await
    }

    /// Gives this connection up for one to a place that the host can reach. No clone of it may be in use.
    pub async fn into_tunnel(self, host: &str, port: u16, deadline: Instant) -> Result<Stream, Error> {
        let inner = Arc::into_inner(self.0).ok_or_else(in_use)?;
        Stream::new(through(inner, host, port, deadline).await?)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("host", &self.0.target.address()).finish_non_exhaustive()
    }
}

/// Quotes a word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

enum Attempt {
    In(Box<Inner>),
    /// This hop has no key of a type that we know of it. What it has must be seen on a new connection, and judged.
    OtherTypes(usize),
}

/// Signs in hop after hop.
async fn attempt(target: &Target, any_type: Option<usize>, deadline: Instant) -> Result<Attempt, Error> {
    let mut before: Option<Inner> = None;
    let mut jump_keys = Vec::new();
    for (number, hop) in target.jumps.iter().enumerate() {
        let any_type = any_type == Some(number);
        let reached = reach(before.take(), hop, any_type, deadline).await;
        match reached.map_err(|source| Error::Jump { hop: hop.address(), source: Box::new(source) })? {
            Some(inner) => {
                jump_keys.push(inner.host_key.clone());
                before = Some(inner);
            }
            None => return Ok(Attempt::OtherTypes(number)),
        }
    }
    let number = target.jumps.len();
    let reached = reach(before, target, any_type == Some(number), deadline).await?;
    Ok(reached
        .map_or(Attempt::OtherTypes(number), |inner| Attempt::In(Box::new(Inner { jump_keys, ..inner }))))
}

async fn reach(
    before: Option<Inner>,
    hop: &Target,
    any_type: bool,
    deadline: Instant,
) -> Result<Option<Inner>, Error> {
    let socket: OwnedFd = match before {
        None => dial(hop, deadline).await?.into(),
        Some(inner) => through(inner, &hop.host, hop.port, deadline).await?.into(),
    };
    let socket = Arc::new(socket);
    let (fd, target) = (Arc::clone(&socket), hop.clone());
    let signed = blocking(Arc::clone(&socket), move || sign_in(&fd, &target, any_type, deadline)).await?;
    Ok(match signed {
        Signed::OtherTypes => None,
        Signed::In(connection, host_key) => {
            let connection = Arc::new(Mutex::new(connection));
            Some(Inner { connection, socket, host_key, jump_keys: Vec::new(), target: hop.clone() })
        }
    })
}

/// Turns a session into one connection beyond it.
async fn through(
    inner: Inner,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<std::os::unix::net::UnixStream, Error> {
    let connection = Arc::into_inner(inner.connection).ok_or_else(in_use)?;
    tunnel::open(connection.into_inner(), host, port, deadline).await
}

fn in_use() -> Error {
    Error::Protocol("an SSH connection that is in use cannot become a tunnel".to_owned())
}

const PAUSE: Duration = Duration::from_millis(200);
