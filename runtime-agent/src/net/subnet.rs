//! Subnets of both families: parsing, containment, overlap.

use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// What differs between the two kinds of addresses.
pub(crate) trait Address: Copy + Ord + Hash + Debug + Display + FromStr {
    const BITS: u8;
    /// As error messages call it.
    const FAMILY: &'static str;

    fn number(self) -> u128;

    /// Of the lower bits.
    fn of(number: u128) -> Self;

    /// As packets carry it.
    fn bytes(self) -> Vec<u8>;
}

impl Address for Ipv4Addr {
    const BITS: u8 = 32;
    const FAMILY: &'static str = "IPv4";

    fn number(self) -> u128 {
        u32::from(self).into()
    }

    fn of(number: u128) -> Self {
        let [.., a, b, c, d] = number.to_be_bytes();
        Self::new(a, b, c, d)
    }

    fn bytes(self) -> Vec<u8> {
        self.octets().into()
    }
}

impl Address for Ipv6Addr {
    const BITS: u8 = 128;
    const FAMILY: &'static str = "IPv6";

    fn number(self) -> u128 {
        self.into()
    }

    fn of(number: u128) -> Self {
        number.into()
    }

    fn bytes(self) -> Vec<u8> {
        self.octets().into()
    }
}

/// A base address and the bits of the network. Bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String", bound = "A: Address")]
pub(crate) struct Subnet<A = Ipv4Addr> {
    base: A,
    prefix: u8,
}

impl<A: Address> Subnet<A> {
    /// The subnet that `address` lies in.
    pub(crate) fn around(address: A, prefix: u8) -> Self {
        let prefix = prefix.min(A::BITS);
        Self { base: A::of(address.number() & mask::<A>(prefix)), prefix }
    }

    pub(crate) const fn base(self) -> A {
        self.base
    }

    pub(crate) const fn prefix(self) -> u8 {
        self.prefix
    }

    pub(crate) fn mask(self) -> A {
        A::of(mask::<A>(self.prefix))
    }

    /// The highest address: the broadcast address of all but the smallest, where there is such a thing.
    pub(crate) fn last(self) -> A {
        A::of(self.base.number() | !mask::<A>(self.prefix))
    }

    pub(crate) fn contains(self, address: A) -> bool {
        Self::around(address, self.prefix) == self
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// Whether a host may have this address: not the network's own, nor the last one.
    pub(crate) fn is_for_a_host(self, address: A) -> bool {
        let edge = self.prefix + 1 < A::BITS && (address == self.base || address == self.last());
        self.contains(address) && !edge
    }

    /// The first address that a host may have.
    pub(crate) fn first(self) -> A {
        if self.prefix + 1 < A::BITS { A::of(self.base.number() + 1) } else { self.base }
    }
}

/// Bits that no address has are no harm.
fn mask<A: Address>(prefix: u8) -> u128 {
    match A::BITS - prefix.min(A::BITS) {
        128 => 0,
        free => u128::MAX << free,
    }
}

impl<A: Address> Display for Subnet<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl<A: Address> From<Subnet<A>> for String {
    fn from(subnet: Subnet<A>) -> Self {
        subnet.to_string()
    }
}

impl<A: Address> TryFrom<String> for Subnet<A> {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// `10.1.0.0/16`, `fd00::/64`. An address inside the subnet is taken for the subnet, as dockerd takes it.
impl<A: Address> FromStr for Subnet<A> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse().ok()?, prefix.parse().ok().filter(|prefix| *prefix <= A::BITS)?))
        });
        let (address, prefix) = parts.ok_or_else(|| Error::InvalidSubnet(text.to_owned()))?;
        Ok(Self::around(address, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn knows_what_is_inside() {
        let net = subnet("172.17.0.0/16");
        assert!(net.contains([172, 17, 255, 1].into()) && !net.contains([172, 18, 0, 0].into()));
        assert!(net.overlaps(subnet("172.17.4.0/24")) && subnet("172.17.4.0/24").overlaps(net));
        assert!(!net.overlaps(subnet("172.16.0.0/16")) && net.overlaps(subnet("0.0.0.0/0")));
        assert_eq!(net.last(), Ipv4Addr::new(172, 17, 255, 255));
        let hosts = (8..12).filter(|last| subnet("10.0.0.9/30").is_for_a_host([10, 0, 0, *last].into()));
        assert_eq!(hosts.collect::<Vec<_>>(), [9, 10]);
        assert_eq!(subnet("10.0.0.9/30").first(), Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(subnet("10.0.0.9/32").first(), Ipv4Addr::new(10, 0, 0, 9));
        assert!(subnet("10.0.0.9/32").is_for_a_host([10, 0, 0, 9].into()));
    }

    #[test]
    fn addresses_of_both_families_are_alike() {
        let net: Subnet<Ipv6Addr> = "fd00:1::7/64".parse().unwrap();
        assert_eq!(net.to_string(), "fd00:1::/64");
        assert_eq!(net.first(), "fd00:1::1".parse::<Ipv6Addr>().unwrap());
        assert!(net.contains("fd00:1::ffff:1".parse().unwrap()));
        assert!(!net.contains("fd00:1:0:1::".parse().unwrap()));
        assert!(net.overlaps("::/0".parse().unwrap()));
        assert_eq!(net.last().to_string(), "fd00:1::ffff:ffff:ffff:ffff");
        for text in ["fd00::/129", "10.0.0.0/8", "fd00::", "/64"] {
            assert!(text.parse::<Subnet<Ipv6Addr>>().is_err(), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/x"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        assert_eq!(subnet("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }
}
