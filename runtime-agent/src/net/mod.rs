//! The kernel's network, over netlink: namespaces, bridge, veth, addresses, firewall, ports.
//!
//! Knows subnets, links and ports, and nothing of containers' meaning. No program on the host is called for any of it, except the one by which the owner of another
//! firewall takes entries.

pub(crate) mod dns;
mod error;
pub(crate) mod firewall;
mod kernel;
pub(crate) mod link;
mod mac;
pub(crate) mod namespace;
mod neighbours;
pub(crate) mod nftables;
mod ports;
mod proxy;
pub(crate) mod resolvers;
mod subnet;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use error::{Error, Result};
pub(crate) use kernel::{
    Generation, Kernel, Linux, Plug, Programmed, ledger, stop_forwarding, stop_forwarding_ipv6,
};
pub(crate) use mac::Mac;
pub(crate) use nftables::Protocol;
pub(crate) use ports::reserve;
pub(crate) use proxy::{Proxy, host_has_ipv6};
pub(crate) use subnet::{Address, Subnet};
