//! IPv4 ranges in CIDR notation.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    first: u32,
    bits: u32,
}

impl FromStr for Cidr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').ok_or(())?;
        let (address, bits): (Ipv4Addr, u32) = (address.parse().map_err(drop)?, bits.parse().map_err(drop)?);
        let range = Self { first: address.into(), bits };
        if bits > 32 || u32::from(address) & !range.mask() != 0 { Err(()) } else { Ok(range) }
    }
}

impl Cidr {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - self.bits).unwrap_or(0)
    }

    fn last(self) -> u32 {
        self.first | !self.mask()
    }

    /// Whether `other` lies inside.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last() <= self.last()
    }

    /// Whether the address lies inside.
    pub(crate) fn holds(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last()).contains(&address.into())
    }

    /// Whether they share an address.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }

    /// The addresses that a subnet gives away: not the first four, nor the last.
    pub(crate) fn usable(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first.saturating_add(4)..self.last()).map(Ipv4Addr::from)
    }
}
