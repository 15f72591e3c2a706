//! The small part of nf_tables that we need, spoken over netlink: tables, chains, rules, in atomic batches.
//!
//! The wire format is the kernel's `include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h`: a batch is one datagram of
//! netlink messages between a begin and an end; the kernel takes all of it or nothing. Integers in attributes are
//! big-endian; what is compared with a register is in the register's own order (packets big-endian, `ct` and `fib`
//! the machine's).
//!
//! Sockets belong to the network namespace of the thread that calls.

mod batch;
mod list;
mod message;
mod rule;
mod socket;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use batch::{Batch, Chain, Family, Hook};
pub(crate) use list::{FoundChain, FoundRule, chains, rules};
pub(crate) use rule::{Protocol, Rule};
pub(crate) use watch::{Watch, generation};
