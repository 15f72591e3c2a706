//! What the daemon asks, one request a connection.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::client::Client;
use super::execs::Wanted;
use super::process::Process;
use super::{Shim, container, note};
use crate::runtime::error::{Doing as _, Error, Result};
use crate::runtime::protocol::{self, Reply, Request};
use crate::runtime::{Size, Streams, cgroup, sys};

/// A connection whose request is still on its way.
#[derive(Debug)]
pub(super) struct Connection {
    /// Gone once the request is complete, or the other end is.
    socket: Option<UnixStream>,
    received: Vec<u8>,
}

impl Connection {
    pub(super) const fn new(socket: UnixStream) -> Self {
        Self { socket: Some(socket), received: Vec::new() }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(UnixStream::as_fd)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.socket.is_none()
    }

    /// Reads what is there; the socket and its request once that is complete. Nothing may follow a request before
    /// its answer, so no byte of a stream is taken here.
    fn read(&mut self, buffer: &mut [u8]) -> Option<(UnixStream, Result<Request>)> {
        loop {
            match self.socket.as_mut()?.read(buffer) {
                Ok(0) => self.socket = None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.socket = None,
            }
            if let Some(request) = self.request() {
                return Some((self.socket.take()?, request));
            }
        }
    }

    fn request(&self) -> Option<Result<Request>> {
        let (head, body) = self.received.split_first_chunk()?;
        match protocol::length(*head) {
            Err(error) => Some(Err(error)),
            Ok(length) => body.get(..length).map(protocol::decode),
        }
    }
}

/// Sends an answer. It always fits into the socket's buffer; a daemon that is gone doesn't need it.
pub(super) fn answer(socket: &UnixStream, reply: &Reply) {
    let mut socket = socket;
    let sent = protocol::encode(reply).and_then(|frame| socket.write_all(&frame));
    if let Err(error) = sent {
        note(&format!("answering: {error}"));
    }
}

impl Shim {
    /// Reads from a connection and does what it asks.
    pub(super) fn hear(&mut self, at: usize) {
        let Some((socket, request)) = self.connections[at].read(&mut *self.buffer) else { return };
        match request {
            Ok(Request::Attach(streams)) => self.attach(socket, streams),
            Ok(Request::Wait { exec }) => self.wait_for(socket, exec.as_deref()),
            Ok(Request::Exec { id, process, size, streams }) => {
                self.begin_exec(socket, Wanted { id, process, size, streams });
            }
            Ok(request) => {
                let done = self.perform(request);
                answer(&socket, &done.map_or_else(Reply::Failed, |()| Reply::Done));
            }
            Err(error) => answer(&socket, &Reply::Failed(error)),
        }
    }

    fn perform(&mut self, request: Request) -> Result<()> {
        match request {
            Request::Ping => Ok(()),
            Request::Start => self.start(),
            Request::Signal { exec, signal } => self.signal(exec.as_deref(), signal),
            Request::Resize { exec, size } => self.resize(exec.as_deref(), size),
            Request::Pause => cgroup::freeze(&self.groups).doing(|| "freezing the container".to_owned()),
            Request::Resume => {
                cgroup::thaw(&self.groups);
                Ok(())
            }
            Request::Delete => self.delete(),
            Request::Attach(_) | Request::Wait { .. } | Request::Exec { .. } => {
                Err(Error::Invalid("not answered by a word".to_owned()))
            }
        }
    }

    fn start(&mut self) -> Result<()> {
        if self.started {
            return Err(Error::Invalid("the container was started already".to_owned()));
        }
        if !self.init().runs() {
            return Err(Error::NotRunning);
        }
        container::start(&self.setup)?;
        self.started = true;
        Ok(())
    }

    fn signal(&mut self, exec: Option<&str>, signal: i32) -> Result<()> {
        let process = self.find(exec)?;
        if !process.runs() {
            return Err(Error::NotRunning);
        }
        // Not reaped yet, so the pid is still its own.
        sys::kill(process.pid, signal).doing(|| format!("sending signal {signal}"))?;
        if signal == libc::SIGKILL {
            // The frozen don't die.
            cgroup::thaw(&self.groups);
        }
        Ok(())
    }

    fn resize(&mut self, exec: Option<&str>, size: Size) -> Result<()> {
        let process = self.find(exec)?;
        if process.ended().is_some() {
            return Err(Error::NotRunning);
        }
        if !process.stdio.is_terminal() {
            return Err(Error::Invalid("the process has no terminal".to_owned()));
        }
        process.stdio.resize(size).doing(|| "resizing the terminal".to_owned())
    }

    fn attach(&mut self, socket: UnixStream, streams: Streams) {
        let process = &mut self.processes[0].1;
        join(process, socket, streams, &Reply::Attached);
    }

    fn wait_for(&mut self, socket: UnixStream, exec: Option<&str>) {
        let remembered = exec.and_then(|id| self.ended.iter().find(|(ended, _)| ended == id));
        if let Some((_, exit)) = remembered {
            return answer(&socket, &Reply::Exited(exit.clone()));
        }
        match self.find(exec) {
            Err(error) => answer(&socket, &Reply::Failed(error)),
            Ok(process) => match process.ended() {
                Some(exit) => answer(&socket, &Reply::Exited(exit.clone())),
                None => process.waiters.push(socket),
            },
        }
    }

    fn find(&mut self, exec: Option<&str>) -> Result<&mut Process> {
        let found = self.processes.iter_mut().find(|(id, _)| id.as_deref() == exec);
        match found {
            Some((_, process)) => Ok(process),
            None => {
                let id = exec.unwrap_or_default();
                let ended = self.ended.iter().any(|(ended, _)| ended == id);
                Err(if ended { Error::NotRunning } else { Error::NotFound(id.to_owned()) })
            }
        }
    }
}

/// Makes a connection a client of a process. The answer is the first that it reads.
pub(super) fn join(process: &mut Process, socket: UnixStream, streams: Streams, reply: &Reply) {
    let greeting = match protocol::encode(reply) {
        Ok(greeting) => greeting,
        Err(error) => return note(&format!("answering: {error}")),
    };
    let mut client = Client::new(socket, streams, process.stdio.is_terminal(), greeting);
    client.flush();
    if process.ended().is_some() {
        client.finish();
    }
    process.clients.push(client);
}
