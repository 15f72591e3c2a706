//! A connection beyond the host, over an SSH connection that serves nothing else.
//!
//! libssh2 wants a real socket under it and its channels are none, so a thread copies between the channel and one end
//! of a socket pair; the other end is what the caller (or the next hop's session) gets. The thread ends when both
//! sides have ended, or when either breaks.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use ssh2::{Channel, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Error;
use crate::connection::{CHANNEL_FAILURE, Connection, Owed};
use crate::pool::{blocking, tunnel_place};

/// A connection to a place that only the host can reach.
#[derive(Debug)]
pub struct Stream(tokio::net::UnixStream);

impl Stream {
    pub(crate) fn new(stream: UnixStream) -> Result<Self, Error> {
        let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream));
        stream.map(Self).map_err(|error| Error::Protocol(error.to_string()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Opens a channel to `host:port` and starts its thread.
pub(crate) async fn open(
    connection: Connection,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<UnixStream, Error> {
    let place = tunnel_place().await?;
    let host = host.to_owned();
    let socket = connection.socket.clone();
    let (connection, channel) = blocking(socket, move || {
        let channel = dial_from(&connection, &host, port, deadline)?;
        Ok((connection, channel))
    })
    .await?;
    let failed = |error: io::Error| Error::Protocol(format!("cannot begin a tunnel: {error}"));
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let thread = std::thread::Builder::new().name("ssh-tunnel".to_owned());
    let work = move || {
        let _place = place;
        let (up, down) = (Way::default(), Way::default());
        if let Err(error) = (Pump { connection, channel, local: ours, up, down, owed: Owed::Nothing }).run() {
            tracing::debug!(%error, "a tunnel broke");
        }
    };
    thread.spawn(work).map_err(failed)?;
    Ok(theirs)
}

fn dial_from(connection: &Connection, host: &str, port: u16, deadline: Instant) -> Result<Channel, Error> {
    let mut refused = None;
    let result = connection.until(deadline, || {
        connection.session.channel_direct_tcpip(host, port, None).inspect_err(|error| {
            if error.code() == ErrorCode::Session(CHANNEL_FAILURE) {
                refused = Some(error.message().to_owned());
            }
        })
    });
    let seen = || format!("{host}:{port} as seen from {}", connection.host);
    match refused {
        Some(reason) if reason.contains("prohibited") => {
            Err(Error::Protocol(format!("{} does not forward connections", connection.host)))
        }
        Some(_) => Err(Error::Refused { address: seen() }),
        None => result.map_err(|error| match error {
            // The host answers; the place behind it does not.
            Error::Unfinished { after, .. } => Error::TimedOut { address: seen(), after },
            error => error,
        }),
    }
}

struct Pump {
    connection: Connection,
    channel: Channel,
    local: UnixStream,
    up: Way,
    down: Way,
    owed: Owed,
}

/// One direction: what was read and not yet written, and how far the end has come.
#[derive(Default)]
struct Way {
    held: Vec<u8>,
    ended: bool,
    passed_on: bool,
}

impl Pump {
    fn run(mut self) -> Result<(), Error> {
        while !(self.up.passed_on && self.down.passed_on) {
            let mut moved = false;
            if self.owed != Owed::ByReading {
                moved = self.push_up()?;
                self.owed = if !moved && self.connection.owes() { Owed::ByWriting } else { Owed::Nothing };
            }
            if self.owed != Owed::ByWriting {
                moved |= self.pull_down()?;
                self.owed = if self.connection.owes() { Owed::ByReading } else { Owed::Nothing };
            }
            if !(moved | self.pull_up()? | self.push_down()?) && !self.can_push_up() {
                self.wait()?;
            }
        }
        let deadline = Instant::now() + FAREWELL;
        self.connection.until(deadline, || self.channel.close())
    }

    fn pull_up(&mut self) -> Result<bool, Error> {
        fill(&mut self.local, &mut self.up).map_err(|error| self.connection.broke(&error))
    }

    fn push_up(&mut self) -> Result<bool, Error> {
        if self.up.passed_on {
            return Ok(false);
        }
        let result = if !self.up.held.is_empty() {
            self.channel.write(&self.up.held)
        } else if self.up.ended {
            self.channel.send_eof().map(|()| 0).map_err(io::Error::from)
        } else {
            return Ok(false);
        };
        spend(&mut self.up, result).map_err(|error| self.connection.broke(&error))
    }

    /// Reading may have brought what writing waited for: then nothing more comes that would wake us.
    fn can_push_up(&self) -> bool {
        !self.up.held.is_empty() && self.owed == Owed::Nothing && self.channel.write_window().remaining > 0
    }

    fn pull_down(&mut self) -> Result<bool, Error> {
        fill(&mut self.channel, &mut self.down).map_err(|error| self.connection.broke(&error))
    }

    fn push_down(&mut self) -> Result<bool, Error> {
        if self.down.passed_on {
            return Ok(false);
        }
        let result = if !self.down.held.is_empty() {
            self.local.write(&self.down.held)
        } else if self.down.ended {
            self.local.shutdown(Shutdown::Write).map(|()| 0)
        } else {
            return Ok(false);
        };
        spend(&mut self.down, result).map_err(|error| self.connection.broke(&error))
    }

    fn wait(&self) -> Result<(), Error> {
        let mut wanted = PollFlags::empty();
        if self.up.held.is_empty() && !self.up.ended {
            wanted |= PollFlags::IN;
        }
        if !self.down.held.is_empty() {
            wanted |= PollFlags::OUT;
        }
        // Hangups are reported even when nothing is wanted: a socket that wants nothing would make this spin.
        let local = PollFd::from_borrowed_fd(self.local.as_fd(), wanted);
        let mut others = if wanted.is_empty() { Vec::new() } else { vec![local] };
        self.connection.wait(Instant::now() + IDLE, &mut others).map(drop)
    }
}

fn fill(from: &mut impl io::Read, way: &mut Way) -> io::Result<bool> {
    if way.ended || !way.held.is_empty() {
        return Ok(false);
    }
    way.held.resize(PIECE, 0);
    let result = from.read(&mut way.held);
    way.held.truncate(*result.as_ref().unwrap_or(&0));
    match result {
        Ok(0) => way.ended = true,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn spend(way: &mut Way, result: io::Result<usize>) -> io::Result<bool> {
    match result {
        Ok(_) if way.held.is_empty() => way.passed_on = true,
        // The window is closed.
        Ok(0) => return Ok(false),
        Ok(count) => drop(way.held.drain(..count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

const PIECE: usize = 32 * 1024;
const FAREWELL: Duration = Duration::from_secs(2);
/// Only a bound for one sleep: whatever comes wakes the thread.
const IDLE: Duration = Duration::from_secs(60);
