//! IPv4 subnets: parsing, containment, overlap.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// A base address and the bits of the network. Bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Subnet {
    base: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The subnet that `address` lies in.
    pub(crate) fn around(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { base: Ipv4Addr::from(u32::from(address) & mask(prefix)), prefix }
    }

    pub(crate) const fn base(self) -> Ipv4Addr {
        self.base
    }

    pub(crate) const fn prefix(self) -> u8 {
        self.prefix
    }

    pub(crate) const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    /// The highest address: the broadcast address of all but the smallest.
    pub(crate) fn last(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | !mask(self.prefix))
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        Self::around(address, self.prefix) == self
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// The addresses that a host may have: without the network's own and the broadcast address.
    pub(crate) fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let (first, last) = (u32::from(self.base), u32::from(self.last()));
        let inner = if self.prefix < 31 { first + 1..=last - 1 } else { first..=last };
        inner.map(Ipv4Addr::from)
    }
}

const fn mask(prefix: u8) -> u32 {
    match prefix {
        0 => 0,
        bits => u32::MAX << (32 - bits),
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// `10.1.0.0/16`. An address inside the subnet is taken for the subnet, as dockerd takes it.
impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse().ok()?, prefix.parse().ok().filter(|prefix| *prefix <= 32)?))
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
        assert_eq!(subnet("10.0.0.9/30").hosts().collect::<Vec<_>>().len(), 2);
        assert_eq!(subnet("10.0.0.9/32").hosts().count(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/x"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        assert_eq!(subnet("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }
}
