//! One command on the other side: its input goes in while its output comes out, so that neither waits for the other.

use std::fmt;
use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::time::Instant;

use ssh2::Channel;

use crate::Error;
use crate::connection::{Connection, Owed};

/// What to run. Secrets belong into `input`, never into `line`, which others on the host can see.
#[derive(Clone)]
pub struct Command {
    line: String,
    input: Arc<[u8]>,
    sent: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128 when a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Command {
    /// A line for the user's shell.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), input: Arc::default(), sent: None }
    }

    /// Feeds it this on standard input.
    #[must_use]
    pub fn input(self, input: impl Into<Arc<[u8]>>) -> Self {
        Self { input: input.into(), ..self }
    }

    /// Tells how much of the input is sent, now and then.
    #[must_use]
    pub fn on_sent(self, sent: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self { sent: Some(Arc::new(sent)), ..self }
    }
}

impl Output {
    /// True when the command says that all went well.
    pub const fn success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, cut to what a person would read.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text.trim();
        let skip = text.chars().count().saturating_sub(COMPLAINT);
        text.chars().skip(skip).collect()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("line", &self.line)
            .field("input", &self.input.len())
            .finish_non_exhaustive()
    }
}

/// Runs a command to its end.
pub(crate) fn run(connection: &Connection, command: &Command, deadline: Instant) -> Result<Output, Error> {
    let begun = Instant::now();
    let mut channel = connection.until(deadline, || connection.session.channel_session())?;
    connection.until(deadline, || channel.exec(&command.line))?;
    let mut transfer = Transfer {
        connection,
        command,
        sent: 0,
        ended: false,
        owed: Owed::Nothing,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    while !(channel.eof() && transfer.owed == Owed::Nothing) {
        let idle = !transfer.step(&mut channel)? && !transfer.ready(&channel);
        if idle && !connection.wait(deadline, &mut [])? {
            return Err(Error::Unfinished { host: connection.host.clone(), after: begun.elapsed() });
        }
    }
    let (stdout, stderr) = (transfer.stdout, transfer.stderr);
    connection.until(deadline, || channel.close())?;
    connection.until(deadline, || channel.wait_close())?;
    let signal = channel.exit_signal().map_err(|error| connection.failed(&error))?.exit_signal;
    let status = channel.exit_status().map_err(|error| connection.failed(&error))?;
    Ok(Output { status: if signal.is_some() { 128 } else { status }, stdout, stderr })
}

struct Transfer<'a> {
    connection: &'a Connection,
    command: &'a Command,
    sent: usize,
    ended: bool,
    owed: Owed,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Transfer<'_> {
    /// Moves what can be moved; false when nothing could.
    fn step(&mut self, channel: &mut Channel) -> Result<bool, Error> {
        let mut moved = false;
        if self.owed == Owed::ByWriting || self.owed == Owed::Nothing && !channel.eof() {
            moved = self.write(channel)?;
            self.owed = if !moved && self.connection.owes() { Owed::ByWriting } else { Owed::Nothing };
        }
        if self.owed != Owed::ByWriting {
            moved |= drain(self.connection, channel, &mut self.stdout)?;
            moved |= drain(self.connection, &mut channel.stderr(), &mut self.stderr)?;
            self.owed = if self.connection.owes() { Owed::ByReading } else { Owed::Nothing };
        }
        Ok(moved)
    }

    /// Reading one stream may have brought what the other, or writing, waits for: nothing more comes that would wake us.
    fn ready(&self, channel: &Channel) -> bool {
        let writable = self.sent < self.command.input.len() && channel.write_window().remaining > 0;
        self.owed == Owed::Nothing && (channel.eof() || writable || channel.read_window().available > 0)
    }

    fn write(&mut self, channel: &mut Channel) -> Result<bool, Error> {
        let left = &self.command.input[self.sent..];
        let result = if self.ended {
            return Ok(false);
        } else if left.is_empty() {
            channel.send_eof().map(|()| 0).map_err(io::Error::from)
        } else {
            channel.write(&left[..left.len().min(PIECE)])
        };
        match result {
            // The window is closed.
            Ok(0) if !left.is_empty() => Ok(false),
            Ok(count) => {
                self.ended = left.is_empty();
                self.sent += count;
                if let (Some(tell), true) = (&self.command.sent, count > 0) {
                    tell(self.sent);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.connection.broke(&error)),
        }
    }
}

/// Reads until there is nothing more for now; true when there was something.
fn drain(connection: &Connection, from: &mut impl Read, into: &mut Vec<u8>) -> Result<bool, Error> {
    let mut buffer = [0; PIECE];
    let before = into.len();
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(into.len() > before),
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(into.len() > before),
            Err(error) => return Err(connection.broke(&error)),
        }
        if into.len() > MOST {
            return Err(Error::Protocol(format!(
                "{} sent more than {MOST} bytes of output",
                connection.host
            )));
        }
    }
}

const PIECE: usize = 32 * 1024;
const MOST: usize = 64 << 20;
const COMPLAINT: usize = 2000;
