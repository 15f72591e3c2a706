//! The shim's ends of a process's stdio: pipes, or the master of a terminal.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio as Child;

use nix::unistd::Uid;

use super::log::Channel;
use crate::runtime::Size;

/// Stdin that the process hasn't taken yet; above it clients have to wait.
const BOUND: usize = 64 << 10;

/// The shim's ends.
#[derive(Debug, Default)]
pub(super) struct Stdio {
    terminal: bool,
    input: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    queue: Vec<u8>,
    ending: bool,
}

/// The process's ends.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) stdin: Child,
    pub(super) stdout: Child,
    pub(super) stderr: Child,
}

impl Stdio {
    /// Pipes owned by `owner`, whose process may open `/dev/stdout` again.
    pub(super) fn pipes(owner: u32, stdin: bool) -> io::Result<(Self, Ends)> {
        let (stdout, their_stdout) = pipe(owner)?;
        let (stderr, their_stderr) = pipe(owner)?;
        let mut ours = Self { stdout: Some(stdout), stderr: Some(stderr), ..Self::default() };
        let mut ends =
            Ends { stdin: Child::null(), stdout: their_stdout.into(), stderr: their_stderr.into() };
        if stdin {
            let (theirs, input) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
            nix::unistd::fchown(theirs.as_raw_fd(), Some(Uid::from_raw(owner)), None)?;
            ours.input = Some(nonblocking(input)?);
            ends.stdin = theirs.into();
        }
        Ok((ours, ends))
    }

    /// Nothing yet: the terminal comes over the console socket.
    pub(super) fn none() -> (Self, Ends) {
        let ends = Ends { stdin: Child::null(), stdout: Child::null(), stderr: Child::null() };
        (Self::default(), ends)
    }

    /// Takes the terminal that the runtime has made.
    pub(super) fn accept(console: &UnixListener, owner: u32, size: Option<Size>) -> io::Result<Self> {
        let (socket, _) = console.accept()?;
        let master = receive(&socket)?;
        let this = Self {
            terminal: true,
            input: Some(nonblocking(master.try_clone()?)?),
            stdout: Some(nonblocking(master)?),
            ..Self::default()
        };
        this.give_to(owner)?;
        if let Some(size) = size {
            this.resize(size)?;
        }
        Ok(this)
    }

    pub(super) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(super) fn resize(&self, size: Size) -> io::Result<()> {
        let Some(master) = self.stdout.as_ref().filter(|_| self.terminal) else {
            return Err(io::Error::from_raw_os_error(libc::ENOTTY));
        };
        let size =
            rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(rustix::termios::tcsetwinsize(master, size)?)
    }

    /// Whether more stdin may be queued.
    pub(super) const fn takes_input(&self) -> bool {
        self.queue.len() < BOUND
    }

    /// Queues stdin for the process. Thrown away when it takes none.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.ending {
            self.queue.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// No more stdin after what is queued. A terminal has no end: its program reads the character for it instead.
    pub(super) fn end_input(&mut self) {
        if !self.terminal {
            self.ending = true;
            self.flush();
        }
    }

    /// Writes what the process takes.
    pub(super) fn flush(&mut self) {
        while let Some(input) = self.input.as_mut().filter(|_| !self.queue.is_empty()) {
            match input.write(&self.queue) {
                Ok(count) => drop(self.queue.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It closed its stdin.
                Err(_) => return self.close_input(),
            }
        }
        if self.ending {
            self.close_input();
        } else if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }

    fn close_input(&mut self) {
        self.input = None;
        self.queue = Vec::new();
    }

    /// Where queued stdin could be written.
    pub(super) fn writable(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().filter(|_| !self.queue.is_empty()).map(std::os::fd::AsFd::as_fd)
    }

    /// Where output comes from.
    pub(super) fn readable(&self, channel: Channel) -> Option<BorrowedFd<'_>> {
        self.source(channel).map(std::os::fd::AsFd::as_fd)
    }

    /// All output has been read.
    pub(super) const fn is_drained(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Reads output once. `None`: nothing now. The end closes it.
    pub(super) fn read<'b>(&mut self, channel: Channel, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let source = match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        };
        match source.as_mut()?.read(buffer) {
            Ok(count) if count > 0 => Some(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                None
            }
            // A terminal whose last process is gone says EIO.
            _ => {
                *source = None;
                None
            }
        }
    }

    /// Gives up what is open.
    pub(super) fn close(&mut self) {
        *self = Self { terminal: self.terminal, ..Self::default() };
    }

    const fn source(&self, channel: Channel) -> Option<&File> {
        match channel {
            Channel::Stdout => self.stdout.as_ref(),
            Channel::Stderr => self.stderr.as_ref(),
        }
    }

    /// The runtime makes the terminal as root; its program is somebody else.
    fn give_to(&self, owner: u32) -> io::Result<()> {
        let Some(master) = self.stdout.as_ref().filter(|_| owner != 0) else { return Ok(()) };
        use rustix::pty::OpenptFlags;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(master, flags)?;
        Ok(nix::unistd::fchown(slave.as_raw_fd(), Some(Uid::from_raw(owner)), None)?)
    }
}

fn pipe(owner: u32) -> io::Result<(File, OwnedFd)> {
    let (ours, theirs) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    nix::unistd::fchown(theirs.as_raw_fd(), Some(Uid::from_raw(owner)), None)?;
    Ok((nonblocking(ours)?, theirs))
}

fn nonblocking(fd: OwnedFd) -> io::Result<File> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(fd.into())
}

/// One descriptor from the other end.
fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    let mut into = [io::IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(socket.as_fd(), &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut received = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fd = received.next().and_then(|mut fds| fds.next());
    fd.ok_or_else(|| io::Error::other("the runtime sent no terminal"))
}
