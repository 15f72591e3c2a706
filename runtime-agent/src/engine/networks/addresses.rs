//! Which subnet a network gets, and which address a container.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::record::Bridged;
use crate::net::Subnet;

/// The subnets that networks are given when nobody asks for one: dockerd's own, in its order.
fn pool() -> impl Iterator<Item = Subnet> {
    let large = (17..=31).map(|n| Subnet::around([172, n, 0, 0].into(), 16));
    let small = (0..16).map(|n| Subnet::around([192, 168, n * 16, 0].into(), 20));
    large.chain(small)
}

/// The first one that overlaps nothing that is used already.
pub(super) fn free_subnet(used: &[Subnet]) -> Option<Subnet> {
    pool().find(|candidate| !used.iter().any(|used| used.overlaps(*candidate)))
}

/// The lowest address that is nobody's.
pub(super) fn free_address(network: &Bridged, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let range = network.range.unwrap_or(network.subnet);
    // The edges of a range may be used, those of the subnet may not.
    let (low, high) = (u32::from(range.base()), u32::from(range.last()));
    (low..=high).map(Ipv4Addr::from).find(|address| is_free(network, taken, *address))
}

/// Whether a container may have this address.
pub(super) fn is_free(network: &Bridged, taken: &BTreeSet<Ipv4Addr>, address: Ipv4Addr) -> bool {
    let edge = network.subnet.prefix() < 31
        && (address == network.subnet.base() || address == network.subnet.last());
    network.subnet.contains(address)
        && !edge
        && address != network.gateway
        && !taken.contains(&address)
        && !network.auxiliary.values().any(|auxiliary| *auxiliary == address)
}

/// The bridge's own address when nobody chose one.
pub(super) fn first_address(subnet: Subnet) -> Option<Ipv4Addr> {
    subnet.hosts().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnet: &str, range: Option<&str>) -> Bridged {
        let subnet: Subnet = subnet.parse().unwrap();
        Bridged {
            bridge: "br0".to_owned(),
            subnet,
            gateway: first_address(subnet).unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            auxiliary: [("router".to_owned(), Ipv4Addr::new(10, 0, 0, 3))].into(),
            is_default: false,
            is_adopted: false,
        }
    }

    #[test]
    fn subnets_avoid_what_is_routed_already() {
        let subnets = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<Subnet>>();
        assert_eq!(free_subnet(&[]).unwrap().to_string(), "172.17.0.0/16");
        let used = subnets(&["172.16.0.0/12", "192.168.1.0/24"]);
        assert_eq!(free_subnet(&used).unwrap().to_string(), "192.168.16.0/20");
        assert_eq!(free_subnet(&subnets(&["172.17.9.0/24"])).unwrap().to_string(), "172.18.0.0/16");
        assert_eq!(free_subnet(&subnets(&["128.0.0.0/1"])), None);
    }

    #[test]
    fn addresses_are_given_once_lowest_first() {
        let network = network("10.0.0.0/29", None);
        let mut taken = BTreeSet::new();
        let given: Vec<Ipv4Addr> = std::iter::from_fn(|| {
            let address = free_address(&network, &taken)?;
            taken.insert(address);
            Some(address)
        })
        .collect();
        // Without .0 (network), .1 (gateway), .3 (auxiliary) and .7 (broadcast).
        assert_eq!(given.iter().map(|a| a.octets()[3]).collect::<Vec<_>>(), [2, 4, 5, 6]);
        taken.remove(&Ipv4Addr::new(10, 0, 0, 4));
        assert_eq!(free_address(&network, &taken), Some(Ipv4Addr::new(10, 0, 0, 4)));
    }

    #[test]
    fn a_range_limits_what_is_given_but_not_what_may_be_asked_for() {
        let network = network("10.0.0.0/24", Some("10.0.0.64/30"));
        let none = BTreeSet::new();
        assert_eq!(free_address(&network, &none), Some(Ipv4Addr::new(10, 0, 0, 64)));
        assert!(is_free(&network, &none, [10, 0, 0, 200].into()));
        for wrong in [[10, 0, 0, 0], [10, 0, 0, 1], [10, 0, 0, 3], [10, 0, 0, 255], [10, 0, 1, 2]] {
            assert!(!is_free(&network, &none, wrong.into()), "{wrong:?}");
        }
    }
}
