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
//! `table ip6 wharf` is the same for networks that have IPv6, without `guard` and `peer`: no packet for ::1 comes from
//! another link than the loopback, and what is published there is passed on by the daemon.
//!
//! The tables are always replaced as a whole, in one batch: they are a function of what should be, so nothing is left over
//! from a daemon that was killed, and nobody ever sees half of it. With nothing to protect there is none.
//!
//! Reaching containers by 127.0.0.1 needs `route_localnet` on their bridge, which would let them reach what listens on
//! the host's loopback; `guard` is what keeps them out, and keeps ports that are published on 127.0.0.1 to the host.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::path::Path;

use super::neighbours::{Neighbours, Ours};
use super::nftables::{Batch, Chain, Family, Hook, Protocol, Rule};
use super::{Address, Result, Subnet};

/// Everything that the host's firewall should do for containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Firewall {
    pub(crate) bridges: Vec<Guarded>,
    pub(crate) ports: Vec<Published<SocketAddrV4>>,
    pub(crate) ports_ipv6: Vec<Published<SocketAddrV6>>,
    /// Packets that neither come from a bridge nor go to one are not forwarded: the host was no router before us.
    pub(crate) stop_transit: bool,
    pub(crate) stop_transit_ipv6: bool,
    /// The computer that this host is a virtual machine of: what is published on the loopback is meant for it.
    pub(crate) peer: Option<Ipv4Addr>,
}

/// A bridge with containers on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guarded {
    pub(crate) bridge: String,
    pub(crate) subnet: Subnet,
    pub(crate) subnet_ipv6: Option<Subnet<Ipv6Addr>>,
    /// No way out or in.
    pub(crate) internal: bool,
    /// Containers on it may talk to each other.
    pub(crate) talk: bool,
    /// They leave with the host's address.
    pub(crate) masquerade: bool,
}

/// A port of the host that is a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published<S> {
    pub(crate) protocol: Protocol,
    /// Unspecified means all.
    pub(crate) host: S,
    pub(crate) container: S,
}

/// The only one that is ours, in each family.
pub(crate) const TABLE: &str = "wharf";

/// What it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// Changes of nf_tables that were our own; those of others' programs are not among them.
    pub(crate) generations: u32,
    /// What `iptables-legacy` held before.
    pub(crate) legacy_before: u32,
}

impl Firewall {
    /// Makes the host's firewall so, and has other people's let pass what this one lets pass. Blocks; belongs to the
    /// namespace of the calling thread. `ledger` is a file for what others were told and do not tell back.
    pub(crate) fn apply(&self, ledger: &Path) -> Result<Made> {
        let neighbours = Neighbours::look()?;
        let own = self.batch(&neighbours.of_dockerd()).commit()?;
        let ours = |on: &Guarded| Ours { bridge: on.bridge.clone(), has_ipv6: on.subnet_ipv6.is_some() };
        let theirs = neighbours.answer(&self.bridges.iter().map(ours).collect::<Vec<_>>(), ledger)?;
        Ok(Made { generations: own + theirs, legacy_before: neighbours.legacy_mark() })
    }

    /// `strangers` are bridges of somebody else's containers.
    fn batch(&self, strangers: &[String]) -> Batch {
        let mut batch = Batch::new();
        let on_ipv4 = Table {
            family: Family::Ip,
            bridges: self.bridges.iter().map(|on| (on, on.subnet)).collect(),
            ports: self.ports.iter().map(|port| port.split(|s| (*s.ip(), s.port()))).collect(),
            stop_transit: self.stop_transit,
            strangers,
        };
        if on_ipv4.replace(&mut batch) {
            self.keep_the_loopback(&mut batch);
        }
        let on_ipv6 = Table {
            family: Family::Ip6,
            bridges: self.bridges.iter().filter_map(|on| Some((on, on.subnet_ipv6?))).collect(),
            ports: self.ports_ipv6.iter().map(|port| port.split(|s| (*s.ip(), s.port()))).collect(),
            stop_transit: self.stop_transit_ipv6,
            strangers,
        };
        on_ipv6.replace(&mut batch);
        batch
    }

    /// Keeps others out of 127.0.0.0/8, and takes from there to containers what is published there.
    fn keep_the_loopback(&self, batch: &mut Batch) {
        let mut rule = |chain: &str, rule: &Rule| batch.append(Family::Ip, TABLE, chain, rule);
        rule("guard", &Rule::new().not_arrived_by("lo").destination(loopback()).drop());
        rule("guard", &Rule::new().not_arrived_by("lo").source(loopback()).drop());
        for on in self.bridges.iter().filter(|on| !on.internal) {
            rule("leaving", &Rule::new().leaves_by(&on.bridge).source(loopback()).masquerade());
        }
        let Some(peer) = self.peer else { return };
        let from = Rule::new().source(Subnet::around(peer, 32));
        rule("arriving", &from.for_this_host().jump("peer"));
        for port in self.ports.iter().filter(|port| port.host.ip().is_loopback()) {
            let matched = Rule::new().for_port(port.protocol, port.host.port());
            rule("peer", &matched.send_to(*port.container.ip(), port.container.port()));
        }
        // Nobody on a bridge has its address.
        for on in &self.bridges {
            let forged = Rule::new().arrived_by(&on.bridge).source(Subnet::around(peer, 32));
            rule("guard", &forged.drop());
        }
    }
}

impl<S> Published<S> {
    fn split<A>(&self, parts: impl Fn(&S) -> Place<A>) -> (Protocol, Place<A>, Place<A>) {
        (self.protocol, parts(&self.host), parts(&self.container))
    }
}

/// An address and a port.
type Place<A> = (A, u16);

/// Our table of one family.
struct Table<'a, A> {
    family: Family,
    bridges: Vec<(&'a Guarded, Subnet<A>)>,
    /// From a place on the host to a container's.
    ports: Vec<(Protocol, Place<A>, Place<A>)>,
    stop_transit: bool,
    strangers: &'a [String],
}

impl<A: Address> Table<'_, A> {
    /// Says whether there is one now.
    fn replace(&self, batch: &mut Batch) -> bool {
        // Adding first makes removing it succeed whether it was there or not.
        batch.add_table(self.family, TABLE);
        batch.remove_table(self.family, TABLE);
        if self.bridges.is_empty() {
            return false;
        }
        batch.add_table(self.family, TABLE);
        let is_here = |name: &str| self.family == Family::Ip || !matches!(name, "guard" | "peer");
        for (name, chain) in CHAINS.iter().filter(|(name, _)| is_here(name)) {
            batch.add_chain(self.family, TABLE, name, *chain);
        }
        let mut add = |chain: &str, rule: &Rule| batch.append(self.family, TABLE, chain, rule);
        self.ports(&mut add);
        self.forward(&mut add);
        self.leaving(&mut add);
        true
    }

    fn ports(&self, add: &mut impl FnMut(&str, &Rule)) {
        if self.family == Family::Ip6 {
            let loopback = Subnet::around(A::of(Ipv6Addr::LOCALHOST.into()), A::BITS);
            add("inside", &Rule::new().destination(loopback).accept());
        }
        for chain in ["arriving", "inside"] {
            add(chain, &Rule::new().for_this_host().jump("ports"));
        }
        for (protocol, (address, port), (container, inside)) in &self.ports {
            let to = match address.number() {
                0 => Rule::new(),
                _ => Rule::new().destination(Subnet::around(*address, A::BITS)),
            };
            add("ports", &to.for_port(*protocol, *port).send_to(*container, *inside));
        }
    }

    fn forward(&self, add: &mut impl FnMut(&str, &Rule)) {
        let mut add = |rule: &Rule| add("forward", rule);
        add(&Rule::new().of_a_connection().accept());
        add(&Rule::new().translated().accept());
        for (on, _) in &self.bridges {
            let within = Rule::new().arrived_by(&on.bridge).leaves_by(&on.bridge);
            add(&if on.talk { within.accept() } else { within.drop() });
        }
        for (on, _) in &self.bridges {
            add(&Rule::new().leaves_by(&on.bridge).drop());
            let out = Rule::new().arrived_by(&on.bridge);
            if on.internal {
                add(&out.drop());
                continue;
            }
            for stranger in self.strangers {
                add(&Rule::new().arrived_by(&on.bridge).leaves_by(stranger).drop());
            }
        }
        if self.stop_transit {
            for bridge in self.bridges.iter().map(|(on, _)| &on.bridge).chain(self.strangers) {
                add(&Rule::new().arrived_by(bridge).accept());
            }
            for bridge in self.strangers {
                add(&Rule::new().leaves_by(bridge).accept());
            }
            add(&Rule::new().drop());
        }
    }

    fn leaving(&self, add: &mut impl FnMut(&str, &Rule)) {
        for (on, subnet) in self.bridges.iter().filter(|(on, _)| !on.internal) {
            add("leaving", &Rule::new().leaves_by(&on.bridge).source(*subnet).translated().masquerade());
            if on.masquerade {
                add("leaving", &Rule::new().leaves_not_by(&on.bridge).source(*subnet).masquerade());
            }
        }
    }
}

const CHAINS: &[(&str, Chain)] = &[
    ("guard", Chain::Filter(Hook::Prerouting, -300)),
    ("ports", Chain::Jumped),
    ("peer", Chain::Jumped),
    ("arriving", Chain::Nat(Hook::Prerouting, -100)),
    ("inside", Chain::Nat(Hook::Output, -100)),
    ("forward", Chain::Filter(Hook::Forward, 0)),
    ("leaving", Chain::Nat(Hook::Postrouting, 100)),
];

fn loopback() -> Subnet {
    Subnet::around(Ipv4Addr::LOCALHOST, 8)
}
