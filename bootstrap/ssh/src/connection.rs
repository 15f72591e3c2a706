//! One libssh2 session on one socket, in non-blocking mode, with a deadline for every step.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, ErrorCode, Session};

use crate::Error;

/// Which call left half a packet behind, and must be made again before any other. Reading sends, too: it opens the
/// window for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    Nothing,
    ByWriting,
    ByReading,
}

/// A connection that is used by one thread at a time.
pub(crate) struct Connection {
    pub(crate) session: Session,
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) host: String,
}

impl Connection {
    /// Puts a session on a socket. Nothing is said yet.
    pub(crate) fn new(socket: &Arc<OwnedFd>, host: String) -> Result<Self, Error> {
        let failed = |reason: String| Error::Protocol(format!("cannot begin an SSH session: {reason}"));
        let mut session = Session::new().map_err(|error| failed(error.to_string()))?;
        session.set_tcp_stream(socket.try_clone().map_err(|error| failed(error.to_string()))?);
        session.set_blocking(false);
        Ok(Self { session, socket: Arc::clone(socket), host })
    }

    /// Repeats a step of libssh2 until it is through.
    pub(crate) fn until<T>(
        &self,
        deadline: Instant,
        mut step: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        loop {
            match step() {
                Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {
                    if !self.wait(deadline, &mut [])? {
                        return Err(Error::Unfinished { host: self.host.clone(), after: begun.elapsed() });
                    }
                }
                result => return result.map_err(|error| self.failed(&error)),
            }
        }
    }

    /// Waits until the session or one of `others` can go on; false when the deadline came first.
    pub(crate) fn wait(&self, deadline: Instant, others: &mut [PollFd<'_>]) -> Result<bool, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        // What waits in the other direction would only make this spin.
        let wanted = if self.owes() { PollFlags::OUT } else { PollFlags::IN };
        let mut all = vec![PollFd::from_borrowed_fd(self.socket.as_fd(), wanted)];
        all.extend(others.iter().cloned());
        match poll(&mut all, Some(&left)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// True when libssh2 holds half a packet that must go out before anything else is sent. It goes out only when the
    /// call that left it there is made again: see [`Owed`].
    pub(crate) fn owes(&self) -> bool {
        matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both)
    }

    /// Names what libssh2 only numbers.
    pub(crate) fn failed(&self, error: &ssh2::Error) -> Error {
        match error.code() {
            ErrorCode::Session(SOCKET_SEND | SOCKET_RECV | SOCKET_DISCONNECT | TIMEOUT | BANNER_RECV) => {
                self.lost(error.message())
            }
            _ => Error::Protocol(format!("{}: {}", self.host, error.message())),
        }
    }

    /// The same for reading and writing, which report as `io::Error`.
    pub(crate) fn broke(&self, error: &io::Error) -> Error {
        self.lost(&error.to_string())
    }

    fn lost(&self, reason: &str) -> Error {
        Error::Lost { host: self.host.clone(), reason: reason.to_owned() }
    }
}

pub(crate) const EAGAIN: i32 = -37;
pub(crate) const KEX_FAILURE: i32 = -5;
pub(crate) const KEY_EXCHANGE_FAILURE: i32 = -8;
pub(crate) const METHOD_NOT_SUPPORTED: i32 = -33;
pub(crate) const CHANNEL_FAILURE: i32 = -21;
const SOCKET_SEND: i32 = -7;
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;
const SOCKET_RECV: i32 = -43;
const BANNER_RECV: i32 = -2;
