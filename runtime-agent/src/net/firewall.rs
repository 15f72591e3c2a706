//! Our own table in the host's firewall: what containers reach, and what reaches them.
//!
//! ```text
//! table ip wharf
//!   guard    filter prerouting  nothing of 127.0.0.0/8 comes from or goes to another link than the loopback
//!   arriving nat prerouting     to one of the host's addresses → ports
//!   inside   nat output         the same for the host's own connections, 127.0.0.1 included
//!   ports                       a published port → a container's address and port
//!   peer                        the same for ports on 127.0.0.1 and the computer that this host runs on
//!   forward  filter forward     between networks nothing, into a network only answers and published ports; what is a
//!                               dockerd's next door is its own to decide
//!   leaving  nat postrouting    masquerade: out of a network, back into the same one (hairpin), and from 127.0.0.1
//! ```
//! The table is always replaced as a whole, in one batch: it is a function of what should be, so nothing is left over
//! from a daemon that was killed, and nobody ever sees half of it. With nothing to protect there is no table.
//!
//! Reaching containers by 127.0.0.1 needs `route_localnet` on their bridge, which would let them reach what listens on
//! the host's loopback; `guard` is what keeps them out, and keeps ports that are published on 127.0.0.1 to the host.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use super::neighbours::{Neighbours, Ours};
use super::nftables::{Batch, Chain, Family, Hook, Protocol, Rule};
use super::{Result, Subnet};

/// Everything that the host's firewall should do for containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Firewall {
    pub(crate) bridges: Vec<Guarded>,
    pub(crate) ports: Vec<Published>,
    /// Packets that neither come from a bridge nor go to one are not forwarded: the host was no router before us.
    pub(crate) stop_transit: bool,
    /// The computer that this host is a virtual machine of: what is published on the loopback is meant for it.
    pub(crate) peer: Option<Ipv4Addr>,
}

/// A bridge with containers on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guarded {
    pub(crate) bridge: String,
    pub(crate) subnet: Subnet,
    /// No way out or in.
    pub(crate) internal: bool,
    /// Containers on it may talk to each other.
    pub(crate) talk: bool,
    /// They leave with the host's address.
    pub(crate) masquerade: bool,
}

/// A port of the host that is a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) protocol: Protocol,
    /// Unspecified means all.
    pub(crate) host: SocketAddrV4,
    pub(crate) container: SocketAddrV4,
}

/// The only one that is ours.
pub(crate) const TABLE: &str = "wharf";

impl Firewall {
    /// Makes the host's firewall so, and has other people's let pass what this one lets pass. Blocks; belongs to the
    /// namespace of the calling thread. `ledger` is a file for what others were told and do not tell back.
    pub(crate) fn apply(&self, ledger: &Path) -> Result<()> {
        let neighbours = Neighbours::look()?;
        self.batch(&neighbours.of_dockerd()).commit()?;
        let ours = |guarded: &Guarded| Ours { bridge: guarded.bridge.clone(), has_ipv6: false };
        neighbours.answer(&self.bridges.iter().map(ours).collect::<Vec<_>>(), ledger)
    }

    /// `strangers` are bridges of somebody else's containers.
    fn batch(&self, strangers: &[String]) -> Batch {
        let mut table = Table { batch: Batch::new() };
        // Adding first makes removing it succeed whether it was there or not.
        table.batch.add_table(Family::Ip, TABLE);
        table.batch.remove_table(Family::Ip, TABLE);
        if self.bridges.is_empty() {
            return table.batch;
        }
        table.batch.add_table(Family::Ip, TABLE);
        table.guard();
        self.ports(&mut table);
        self.forward(&mut table, strangers);
        self.leaving(&mut table);
        table.batch
    }

    fn ports(&self, table: &mut Table) {
        table.chain("ports", Chain::Jumped);
        table.chain("arriving", Chain::Nat(Hook::Prerouting, -100));
        table.chain("inside", Chain::Nat(Hook::Output, -100));
        for chain in ["arriving", "inside"] {
            table.rule(chain, &Rule::new().for_this_host().jump("ports"));
        }
        if let Some(peer) = self.peer {
            table.chain("peer", Chain::Jumped);
            let from = Rule::new().source(Subnet::around(peer, 32));
            table.rule("arriving", &from.for_this_host().jump("peer"));
            for port in self.ports.iter().filter(|port| port.host.ip().is_loopback()) {
                let matched = Rule::new().for_port(port.protocol, port.host.port());
                table.rule("peer", &matched.send_to(*port.container.ip(), port.container.port()));
            }
            // Nobody on a bridge has its address.
            for on in &self.bridges {
                let forged = Rule::new().arrived_by(&on.bridge).source(Subnet::around(peer, 32));
                table.rule("guard", &forged.drop());
            }
        }
        for port in &self.ports {
            let (host, container) = (port.host, port.container);
            let to = match host.ip() {
                any if any.is_unspecified() => Rule::new(),
                address => Rule::new().destination(Subnet::around(*address, 32)),
            };
            let matched = to.for_port(port.protocol, host.port());
            table.rule("ports", &matched.send_to(*container.ip(), container.port()));
        }
    }

    fn forward(&self, table: &mut Table, strangers: &[String]) {
        table.chain("forward", Chain::Filter(Hook::Forward, 0));
        table.rule("forward", &Rule::new().of_a_connection().accept());
        table.rule("forward", &Rule::new().translated().accept());
        for on in &self.bridges {
            let within = Rule::new().arrived_by(&on.bridge).leaves_by(&on.bridge);
            table.rule("forward", &if on.talk { within.accept() } else { within.drop() });
        }
        for on in &self.bridges {
            table.rule("forward", &Rule::new().leaves_by(&on.bridge).drop());
            let out = Rule::new().arrived_by(&on.bridge);
            if on.internal {
                table.rule("forward", &out.drop());
                continue;
            }
            for stranger in strangers {
                let between = Rule::new().arrived_by(&on.bridge).leaves_by(stranger);
                table.rule("forward", &between.drop());
            }
        }
        if self.stop_transit {
            for bridge in self.bridges.iter().map(|on| &on.bridge).chain(strangers) {
                table.rule("forward", &Rule::new().arrived_by(bridge).accept());
            }
            for bridge in strangers {
                table.rule("forward", &Rule::new().leaves_by(bridge).accept());
            }
            table.rule("forward", &Rule::new().drop());
        }
    }

    fn leaving(&self, table: &mut Table) {
        table.chain("leaving", Chain::Nat(Hook::Postrouting, 100));
        for on in self.bridges.iter().filter(|on| !on.internal) {
            let into = || Rule::new().leaves_by(&on.bridge);
            table.rule("leaving", &into().source(loopback()).masquerade());
            table.rule("leaving", &into().source(on.subnet).translated().masquerade());
            if on.masquerade {
                table.rule("leaving", &Rule::new().leaves_not_by(&on.bridge).source(on.subnet).masquerade());
            }
        }
    }
}

struct Table {
    batch: Batch,
}

impl Table {
    fn guard(&mut self) {
        self.chain("guard", Chain::Filter(Hook::Prerouting, -300));
        self.rule("guard", &Rule::new().not_arrived_by("lo").destination(loopback()).drop());
        self.rule("guard", &Rule::new().not_arrived_by("lo").source(loopback()).drop());
    }

    fn chain(&mut self, name: &str, chain: Chain) {
        self.batch.add_chain(Family::Ip, TABLE, name, chain);
    }

    fn rule(&mut self, chain: &str, rule: &Rule) {
        self.batch.append(Family::Ip, TABLE, chain, rule);
    }
}

fn loopback() -> Subnet {
    Subnet::around(Ipv4Addr::LOCALHOST, 8)
}
