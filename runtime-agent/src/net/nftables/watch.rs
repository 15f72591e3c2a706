//! Hears that the firewall has changed, whoever did it: a reload of somebody's rules takes what we put among them along.
//!
//! Each change makes a new generation of the ruleset, which the kernel counts; whoever remembers the one of its own last
//! change knows whether there was another one since.

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, TokioSocket};

use super::message::{Attributes, NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NLM_F_REQUEST, message, number};
use super::socket::Socket;
use crate::net::{Error, Result};

/// Wakes with every change, in the network namespace that it was opened in.
pub(crate) struct Watch(TokioSocket);

/// Of `nfnetlink.h`: everything about nf_tables.
const NFNLGRP_NFTABLES: u32 = 7;
const NEWGEN: u16 = 15;
const GETGEN: u16 = 16;

impl Watch {
    /// Needs a tokio runtime around it.
    pub(crate) fn open() -> Result<Self> {
        let opening = "listen for changes of the firewall";
        let mut socket = TokioSocket::new(NETLINK_NETFILTER).map_err(Error::kernel(opening))?;
        socket.socket_mut().bind_auto().map_err(Error::kernel(opening))?;
        socket.socket_mut().add_membership(NFNLGRP_NFTABLES).map_err(Error::kernel(opening))?;
        Ok(Self(socket))
    }

    /// Returns after a change. An error means that some were missed, which is one, too.
    pub(crate) async fn changed(&mut self) {
        if let Err(error) = self.0.recv_from_full().await {
            tracing::debug!(%error, "changes of the firewall were missed");
        }
    }
}

/// The number of the ruleset as it is now, in the network namespace of the calling thread.
pub(crate) fn generation() -> Result<u32> {
    let kind = NFNL_SUBSYS_NFTABLES << 8 | GETGEN;
    let request = message(kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0, 0, Attributes::default().as_bytes());
    let mut generation = 0;
    Socket::open()?.dump(&request, |message| {
        if message.kind == NFNL_SUBSYS_NFTABLES << 8 | NEWGEN {
            generation =
                message.attributes().find(|(kind, _)| *kind == 1).and_then(|(_, id)| number(id)).unwrap_or(0);
        }
    })?;
    Ok(generation)
}
