//! How a shim begins: apart from its daemon in every respect, then told what to do.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::runtime::cgroup;
use crate::runtime::error::{Doing as _, Error, Result};
use crate::runtime::protocol::{self, Setup};

/// Where shims are in every hierarchy of control groups: outside the daemon's, and outside any container's.
const GROUP: &str = "wharf/shim";

/// Descriptors that one shim can be asked to keep; more than a container publishes ports.
const MOST_KEPT: usize = 250;

/// A session, a group and children of its own; no signal but the one about children reaches it.
pub(super) fn stand_apart() -> Result<SignalFd> {
    nix::unistd::setsid().doing(|| "beginning a session".to_owned())?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .doing(|| "becoming the parent of orphans".to_owned())?;
    for failure in cgroup::leave_for(GROUP) {
        super::note(&format!("staying in a cgroup of the daemon's: {failure}"));
    }
    SigSet::all().thread_block().doing(|| "blocking signals".to_owned())?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    SignalFd::with_flags(&children, flags).doing(|| "listening for signals".to_owned())
}

/// The daemon's end of the conversation, what it says, and the descriptors to keep.
pub(super) fn receive() -> Result<(UnixStream, Setup, Vec<OwnedFd>)> {
    let daemon =
        io::stdin().as_fd().try_clone_to_owned().doing(|| "taking the daemon's socket".to_owned())?;
    let daemon = UnixStream::from(daemon);
    let (first, keep) = first_byte(&daemon).doing(|| "reading the setup".to_owned())?;
    let setup = protocol::receive(io::Read::chain(&first[..], &daemon))?;
    Ok((daemon, setup, keep))
}

/// Lets go of the daemon's terminal, pipes and working folder. What goes wrong from here is in `shim.log`.
pub(super) fn detach(setup: &Setup) -> Result<()> {
    let stdio = || -> io::Result<()> {
        std::env::set_current_dir(&setup.state)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let log = File::options().append(true).create(true).open("shim.log")?;
        for (file, number) in [(&null, 0), (&null, 1), (&log, 2)] {
            nix::unistd::dup2(file.as_raw_fd(), number)?;
        }
        Ok(())
    };
    stdio().map_err(|error| Error::system("letting go of the daemon's stdio", error))
}

/// Descriptors travel with the first byte.
fn first_byte(socket: &UnixStream) -> io::Result<([u8; 1], Vec<OwnedFd>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_KEPT))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let mut into = [IoSliceMut::new(&mut byte)];
    let received = rustix::net::recvmsg(socket.as_fd(), &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let keep = rights.flatten().collect();
    Ok((byte, keep))
}
