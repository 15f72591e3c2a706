//! Somebody attached to a process's stdio.
//!
//! Output is queued up to a bound. While a client's queue is full the process's output isn't read (as with a pipe),
//! so nothing is lost; a client that takes nothing for a minute meanwhile is cut off, so that the process never
//! waits for ever.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::log::Channel;
use crate::runtime::Streams;

/// Bytes queued for one client before the process has to wait.
const BOUND: usize = 256 << 10;

/// How long a client may take nothing while the process waits for it.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// One attached client.
#[derive(Debug)]
pub(super) struct Client {
    socket: UnixStream,
    streams: Streams,
    /// Raw instead of frames.
    terminal: bool,
    queue: Vec<u8>,
    sent: usize,
    /// When it last took something, or began to owe.
    moved: Instant,
    input: Input,
    dead: bool,
    /// Nothing will be added: goes when the queue is empty.
    last: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Input {
    /// Not a writer of stdin.
    None,
    Open,
    Ended,
}

impl Client {
    /// Takes over a socket whose reply may still be on its way: `greeting` goes out first.
    pub(super) fn new(socket: UnixStream, streams: Streams, terminal: bool, greeting: Vec<u8>) -> Self {
        let input = if streams.stdin { Input::Open } else { Input::None };
        let moved = Instant::now();
        Self { socket, streams, terminal, queue: greeting, sent: 0, moved, input, dead: false, last: false }
    }

    /// Queues output, as frames or raw. The caller has asked [`Client::full`].
    pub(super) fn push(&mut self, channel: Channel, bytes: &[u8]) {
        let wanted = match channel {
            Channel::Stdout => self.streams.stdout,
            Channel::Stderr => self.streams.stderr,
        };
        if !wanted || self.dead {
            return;
        }
        if self.sent == self.queue.len() {
            self.moved = Instant::now();
        }
        if !self.terminal {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            self.queue.extend_from_slice(&[channel.number(), 0, 0, 0]);
            self.queue.extend_from_slice(&length);
        }
        self.queue.extend_from_slice(bytes);
        self.flush();
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) {
        while !self.dead && self.sent < self.queue.len() {
            match self.socket.write(&self.queue[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.moved = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.dead = true,
            }
        }
        if self.sent == self.queue.len() {
            // Memory is given back: a shim is idle nearly always.
            self.queue = Vec::new();
            self.sent = 0;
        } else if self.sent > BOUND {
            self.queue.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Reads stdin. `None`: nothing now. Empty: it ended, said once.
    pub(super) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        if self.input != Input::Open {
            return None;
        }
        match self.socket.read(buffer) {
            Ok(0) => self.end_input(buffer),
            Ok(count) => Some(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                None
            }
            Err(_) => {
                self.dead = true;
                self.end_input(buffer)
            }
        }
    }

    fn end_input<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.input = Input::Ended;
        Some(&buffer[..0])
    }

    /// Its other end is gone altogether. True once if it was still writing stdin.
    pub(super) fn hang_up(&mut self) -> bool {
        self.dead = true;
        std::mem::replace(&mut self.input, Input::Ended) == Input::Open
    }

    /// The process's output is complete.
    pub(super) fn finish(&mut self) {
        self.last = true;
        self.flush();
        if self.done() {
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(super) fn full(&self) -> bool {
        !self.dead && self.queue.len() - self.sent >= BOUND
    }

    pub(super) fn owes(&self) -> bool {
        self.sent < self.queue.len()
    }

    pub(super) fn writes_stdin(&self) -> bool {
        self.input == Input::Open
    }

    /// Cut off, or finished.
    pub(super) fn done(&self) -> bool {
        self.dead || (self.last && !self.owes())
    }

    /// When it will be cut off, unless it takes something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.full() || self.last && self.owes()).then(|| self.moved + STALL)
    }

    pub(super) fn cut_off_if_stalled(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.dead = true;
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(streams: Streams, terminal: bool) -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Client::new(ours, streams, terminal, Vec::new()), theirs)
    }

    const OUTPUT: Streams = Streams { stdin: false, stdout: true, stderr: true };

    #[test]
    fn output_is_framed_without_a_terminal_and_raw_with_one() {
        let (mut client, mut other) = pair(OUTPUT, false);
        client.push(Channel::Stderr, b"abc");
        let mut frame = [0; 11];
        other.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\x02\0\0\0\0\0\0\x03abc");
        let (mut client, mut other) = pair(OUTPUT, true);
        client.push(Channel::Stdout, b"abc");
        client.finish();
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    /// Frames as a docker client takes them apart: the stream's number, and what came.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(([number, 0, 0, 0, length @ ..], rest)) = bytes.split_first_chunk::<8>() {
            let (content, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            frames.push((*number, content.to_vec()));
            bytes = rest;
        }
        assert!(bytes.is_empty(), "no frame begins with {bytes:?}");
        frames
    }

    #[test]
    fn fuzz_output_is_read_in_frames_as_it_was_written() {
        // What is written, to which stream, and whether the client takes something meanwhile.
        type Written = Vec<(bool, bool, Vec<u8>)>;
        bolero::check!().with_type::<Written>().for_each(|written| {
            let (mut client, mut other) = pair(OUTPUT, false);
            other.set_nonblocking(true).unwrap();
            let mut taken = Vec::new();
            for (stderr, takes, bytes) in written {
                client.push(if *stderr { Channel::Stderr } else { Channel::Stdout }, bytes);
                if *takes {
                    let _ = other.read_to_end(&mut taken);
                    client.flush();
                }
            }
            client.finish();
            while !client.done() {
                let _ = other.read_to_end(&mut taken);
                client.flush();
            }
            drop(client);
            other.read_to_end(&mut taken).unwrap();
            let written: Vec<_> =
                written.iter().map(|(stderr, _, bytes)| (1 + u8::from(*stderr), bytes.clone())).collect();
            assert_eq!(frames(&taken), written);
        });
    }

    #[test]
    fn only_what_was_asked_for_is_sent() {
        let (mut client, mut other) = pair(Streams { stderr: true, ..Streams::default() }, true);
        client.push(Channel::Stdout, b"no");
        client.push(Channel::Stderr, b"yes");
        client.finish();
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "yes");
    }

    #[test]
    fn a_slow_client_fills_up_loses_nothing_and_is_cut_off_after_a_while() {
        let (mut client, mut other) = pair(OUTPUT, true);
        let mut pushed = 0;
        while !client.full() {
            client.push(Channel::Stdout, &[7; 4096]);
            pushed += 4096;
        }
        let now = Instant::now();
        client.cut_off_if_stalled(now);
        assert!(!client.done(), "it has a minute");
        let mut stalled = Client { moved: now.checked_sub(STALL).unwrap(), ..pair(OUTPUT, true).0 };
        stalled.queue = vec![0; BOUND];
        stalled.cut_off_if_stalled(now);
        assert!(stalled.done());

        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            other.read_to_end(&mut all).unwrap();
            all.len()
        });
        client.finish();
        while !client.done() {
            client.flush();
        }
        drop(client);
        assert_eq!(reader.join().unwrap(), pushed);
    }

    #[test]
    fn the_end_of_stdin_is_told_once() {
        let (mut client, other) = pair(Streams { stdin: true, ..OUTPUT }, false);
        let mut buffer = [0; 8];
        assert_eq!(client.read(&mut buffer), None);
        other.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut buffer), Some(&[][..]));
        assert_eq!(client.read(&mut buffer), None);
        assert!(!client.done(), "it still reads output");
        assert!(!client.hang_up());
    }
}
