//! The kernel's network, over netlink: namespaces, bridge, veth, addresses, firewall, ports.
//!
//! Knows subnets, links and ports, and nothing of containers' meaning. No program on the host is called for any of it.

mod error;
pub(crate) mod link;
mod mac;
pub(crate) mod namespace;
mod subnet;

pub(crate) use error::{Error, Result};
pub(crate) use mac::Mac;
pub(crate) use subnet::Subnet;
