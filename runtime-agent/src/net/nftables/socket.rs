//! The socket to the kernel's netfilter: one a batch or a listing, on the thread that asks.

use std::io;

use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_NETFILTER};

use super::message::{NLMSG_DONE, Received, messages};
use crate::net::{Error, Result};

pub(super) struct Socket(Netlink);

/// What every kernel takes in one datagram without being asked for more.
const ROOM: usize = 128 * 1024;

impl Socket {
    pub(super) fn open() -> Result<Self> {
        let opening = "open a netfilter socket";
        let mut socket = Netlink::new(NETLINK_NETFILTER).map_err(Error::kernel(opening))?;
        socket.bind_auto().map_err(Error::kernel(opening))?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(Error::kernel(opening))?;
        Ok(Self(socket))
    }

    /// Sends a batch and reads until its last change is acknowledged, or one is refused.
    pub(super) fn commit(self, batch: &[u8], last: u32) -> Result<()> {
        let changing = || Error::kernel("change the firewall");
        if batch.len() > ROOM {
            let raised = setsockopt(&self.0, sockopt::SndBufForce, &(2 * batch.len()));
            raised.map_err(io::Error::from).map_err(changing())?;
        }
        self.0.send(batch, 0).map_err(changing())?;
        loop {
            let (datagram, _) = self.0.recv_from_full().map_err(changing())?;
            for message in messages(&datagram) {
                match message.errno() {
                    Some(0) if message.sequence == last => return Ok(()),
                    None | Some(0) => {}
                    Some(errno) => return Err(changing()(io::Error::from_raw_os_error(errno))),
                }
            }
        }
    }

    /// Sends a dump request and hands over every message of the answer.
    pub(super) fn dump(self, request: &[u8], mut each: impl FnMut(&Received<'_>)) -> Result<()> {
        let listing = || Error::kernel("list the firewall");
        self.0.send(request, 0).map_err(listing())?;
        loop {
            let (datagram, _) = self.0.recv_from_full().map_err(listing())?;
            for message in messages(&datagram) {
                match message.errno() {
                    Some(0) => return Ok(()),
                    Some(errno) => return Err(listing()(io::Error::from_raw_os_error(errno))),
                    None if message.kind == NLMSG_DONE => return Ok(()),
                    None => each(&message),
                }
            }
        }
    }
}
