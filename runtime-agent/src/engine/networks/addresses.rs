//! Which subnet a network gets, and which address a container.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::record::Pool;
use crate::net::{Address, Subnet};

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

/// One of the unique local subnets (RFC 4193) that is as good as nobody's: there are too many to try in order.
pub(super) fn local_subnet(random: [u8; 7]) -> Subnet<Ipv6Addr> {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..8].copy_from_slice(&random);
    Subnet::around(octets.into(), 64)
}

/// The lowest address that is nobody's.
pub(super) fn free_address<A: Address>(pool: &Pool<A>, taken: &BTreeSet<A>) -> Option<A> {
    let range = pool.range.unwrap_or(pool.subnet);
    // The edges of a range may be used, those of the subnet may not.
    let (low, high) = (range.base().number(), range.last().number());
    (low..=high).map(A::of).find(|address| is_free(pool, taken, *address))
}

/// Whether a container may have this address.
pub(super) fn is_free<A: Address>(pool: &Pool<A>, taken: &BTreeSet<A>, address: A) -> bool {
    pool.subnet.is_for_a_host(address)
        && address != pool.gateway
        && !taken.contains(&address)
        && !pool.auxiliary.values().any(|auxiliary| *auxiliary == address)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn network(subnet: &str, range: Option<&str>) -> Pool<Ipv4Addr> {
        let subnet: Subnet = subnet.parse().unwrap();
        Pool {
            subnet,
            gateway: subnet.first(),
            range: range.map(|range| range.parse().unwrap()),
            auxiliary: [("router".to_owned(), Ipv4Addr::new(10, 0, 0, 3))].into(),
        }
    }

    #[test]
    fn large_subnets_are_given_from_their_low_end() {
        let subnet = local_subnet([1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(subnet.to_string(), "fd01:203:405:607::/64");
        let pool = Pool { subnet, gateway: subnet.first(), range: None, auxiliary: [].into() };
        let taken = BTreeSet::from(["fd01:203:405:607::2".parse().unwrap()]);
        assert_eq!(free_address(&pool, &taken).unwrap().to_string(), "fd01:203:405:607::3");
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
