//! One process of the container: its stdio, those attached to it, and how it ended.
//!
//! ```text
//! running ──reaped──► draining ──all output read, or the grace is over──► ended
//! ```
//! Only then it counts as ended for anybody outside: log complete, exit known, clients at the end of their streams.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::client::Client;
use super::log::{Channel, Log};
use super::stdio::Stdio;
use crate::runtime::Exit;

/// How long output may still come after the process itself has ended: from children that hold its stdio.
const GRACE: Duration = Duration::from_millis(500);

/// What the end of a client's stdin means for the process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StdinEnd {
    Ignored,
    Passed,
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) stdio: Stdio,
    pub(super) clients: Vec<Client>,
    pub(super) log: Option<Log>,
    pub(super) stdin_end: StdinEnd,
    pub(super) waiters: Vec<UnixStream>,
    reaped: Option<(Exit, Instant)>,
    ended: Option<Exit>,
}

impl Process {
    pub(super) fn new(pid: i32, stdio: Stdio, stdin_end: StdinEnd, log: Option<Log>) -> Self {
        let (clients, waiters) = (Vec::new(), Vec::new());
        Self { pid, stdio, clients, log, stdin_end, waiters, reaped: None, ended: None }
    }

    /// The process itself lives, as far as the shim knows; its pid can't have been used again.
    pub(super) const fn runs(&self) -> bool {
        self.reaped.is_none()
    }

    pub(super) const fn ended(&self) -> Option<&Exit> {
        self.ended.as_ref()
    }

    /// Reads output once and gives it to everybody. Says whether there was any.
    pub(super) fn relay(&mut self, channel: Channel, buffer: &mut [u8]) -> bool {
        let Some(bytes) = self.stdio.read(channel, buffer) else { return false };
        if let Some(log) = &mut self.log {
            log.write(channel, bytes);
        }
        self.clients.iter_mut().for_each(|client| client.push(channel, bytes));
        true
    }

    /// Reads stdin from a client.
    pub(super) fn take_input(&mut self, client: usize, buffer: &mut [u8]) {
        if !self.stdio.takes_input() {
            return;
        }
        match self.clients.get_mut(client).and_then(|client| client.read(buffer)) {
            Some([]) => self.input_ended(),
            Some(bytes) => self.stdio.feed(bytes),
            None => {}
        }
    }

    /// A client's other end is gone.
    pub(super) fn hang_up(&mut self, client: usize) {
        if self.clients.get_mut(client).is_some_and(Client::hang_up) {
            self.input_ended();
        }
    }

    fn input_ended(&mut self) {
        if self.stdin_end == StdinEnd::Passed {
            self.stdio.end_input();
        }
    }

    /// Some client's queue is full: output has to wait.
    pub(super) fn held_up(&self) -> bool {
        self.reaped.is_none() && self.clients.iter().any(Client::full)
    }

    /// The kernel has said how it ended.
    pub(super) fn reap(&mut self, exit: Exit) {
        self.reaped = Some((exit, Instant::now() + GRACE));
    }

    /// Ends the process for those outside once its output is complete; its exit, the one time that happens. What its
    /// own pipes held when it was reaped is read whatever clients do; it is no more than the pipes' size.
    pub(super) fn settle(&mut self, buffer: &mut [u8]) -> Option<Exit> {
        let (exit, deadline) = self.reaped.clone()?;
        if self.ended.is_some() {
            return None;
        }
        for channel in [Channel::Stdout, Channel::Stderr] {
            while self.relay(channel, buffer) && Instant::now() < deadline {}
        }
        if !self.stdio.is_drained() && Instant::now() < deadline {
            return None;
        }
        self.stdio.close();
        if let Some(log) = &mut self.log {
            log.finish();
        }
        self.ended = Some(exit.clone());
        Some(exit)
    }

    /// Ends the clients' streams; after the exit is on record.
    pub(super) fn release(&mut self) {
        self.clients.iter_mut().for_each(Client::finish);
    }

    /// Drops clients that are gone, finished or stalled.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.clients.iter_mut().for_each(|client| client.cut_off_if_stalled(now));
        self.clients.retain(|client| !client.done());
    }

    /// When there is something to do though nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let grace = self.reaped.as_ref().filter(|_| self.ended.is_none()).map(|(_, deadline)| *deadline);
        self.clients.iter().filter_map(Client::deadline).chain(grace).min()
    }
}
