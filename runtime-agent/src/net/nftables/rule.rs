//! One rule: what a packet must be like, and what becomes of it.
//!
//! Each method appends the expressions that `nft --debug=netlink` shows for the same words.

use serde::{Deserialize, Serialize};

use super::message::Attributes;
use crate::net::{Address, Subnet};

/// What runs over IP and has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

/// The expressions of a rule, in the order in which the kernel looks at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    expressions: Attributes,
    pub(super) comment: Option<String>,
}

// Of `nf_tables.h`; the numbers of attributes stand where they are used.
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_REG_2: u32 = 2;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_L4PROTO: u32 = 16;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_STATUS: u32 = 2;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_JUMP: i32 = -3;
const IFNAMSIZ: usize = 16;
/// `established` and `related` in `ct state`.
const OF_A_CONNECTION: u32 = 2 | 4;
/// `IPS_DST_NAT` in `ct status`.
const TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`, an address type of `fib`.
const LOCAL: u32 = 2;

impl Rule {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `iifname NAME`
    pub(crate) fn arrived_by(self, name: &str) -> Self {
        self.meta(NFT_META_IIFNAME).compare(NFT_CMP_EQ, &link(name))
    }

    /// `iifname != NAME`
    pub(crate) fn not_arrived_by(self, name: &str) -> Self {
        self.meta(NFT_META_IIFNAME).compare(NFT_CMP_NEQ, &link(name))
    }

    /// `oifname NAME`
    pub(crate) fn leaves_by(self, name: &str) -> Self {
        self.meta(NFT_META_OIFNAME).compare(NFT_CMP_EQ, &link(name))
    }

    /// `oifname != NAME`
    pub(crate) fn leaves_not_by(self, name: &str) -> Self {
        self.meta(NFT_META_OIFNAME).compare(NFT_CMP_NEQ, &link(name))
    }

    /// `ip saddr SUBNET`
    pub(crate) fn source<A: Address>(self, subnet: Subnet<A>) -> Self {
        let at = if A::BITS == 32 { 12 } else { 8 };
        self.payload(NFT_PAYLOAD_NETWORK_HEADER, at, u32::from(A::BITS) / 8).within(subnet)
    }

    /// `ip daddr SUBNET`
    pub(crate) fn destination<A: Address>(self, subnet: Subnet<A>) -> Self {
        let at = if A::BITS == 32 { 16 } else { 24 };
        self.payload(NFT_PAYLOAD_NETWORK_HEADER, at, u32::from(A::BITS) / 8).within(subnet)
    }

    /// `tcp dport PORT`
    pub(crate) fn for_port(self, protocol: Protocol, port: u16) -> Self {
        self.over(protocol)
            .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)
            .compare(NFT_CMP_EQ, &port.to_be_bytes())
    }

    /// `fib daddr type local`: to one of the host's own addresses, whichever it has now.
    pub(crate) fn for_this_host(self) -> Self {
        const ADDRESS_TYPE: u32 = 3;
        const BY_DESTINATION: u32 = 2;
        let fib = Attributes::default().u32(1, NFT_REG_1).u32(2, ADDRESS_TYPE).u32(3, BY_DESTINATION);
        self.expression("fib", &fib).compare(NFT_CMP_EQ, &LOCAL.to_ne_bytes())
    }

    /// `ct state established,related`
    pub(crate) fn of_a_connection(self) -> Self {
        self.connection(NFT_CT_STATE).any_of(OF_A_CONNECTION)
    }

    /// `ct status dnat`: what some rule sent elsewhere.
    pub(crate) fn translated(self) -> Self {
        self.connection(NFT_CT_STATUS).any_of(TRANSLATED)
    }

    pub(crate) fn accept(self) -> Self {
        self.verdict(&Attributes::default().u32(1, code(NF_ACCEPT)))
    }

    pub(crate) fn drop(self) -> Self {
        self.verdict(&Attributes::default().u32(1, code(NF_DROP)))
    }

    pub(crate) fn jump(self, chain: &str) -> Self {
        self.verdict(&Attributes::default().u32(1, code(NFT_JUMP)).text(2, chain))
    }

    /// `masquerade`: leaves with the address of the link that it leaves by.
    pub(crate) fn masquerade(self) -> Self {
        self.expression("masq", &Attributes::default())
    }

    /// `dnat to ADDRESS:PORT`
    pub(crate) fn send_to<A: Address>(self, address: A, port: u16) -> Self {
        const DESTINATION: u32 = 1;
        const IPV4: u32 = 2;
        const IPV6: u32 = 10;
        let family = if A::BITS == 32 { IPV4 } else { IPV6 };
        let nat =
            Attributes::default().u32(1, DESTINATION).u32(2, family).u32(3, NFT_REG_1).u32(5, NFT_REG_2);
        self.load(NFT_REG_1, &address.bytes()).load(NFT_REG_2, &port.to_be_bytes()).expression("nat", &nat)
    }

    /// What `nft list` shows behind the rule.
    pub(crate) fn comment(mut self, comment: &str) -> Self {
        self.comment = Some(comment.to_owned());
        self
    }

    pub(super) fn expressions(&self) -> &Attributes {
        &self.expressions
    }

    fn over(self, protocol: Protocol) -> Self {
        self.meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, &[protocol.number()])
    }

    fn meta(self, key: u32) -> Self {
        self.expression("meta", &Attributes::default().u32(2, key).u32(1, NFT_REG_1))
    }

    fn connection(self, key: u32) -> Self {
        self.expression("ct", &Attributes::default().u32(2, key).u32(1, NFT_REG_1))
    }

    fn payload(self, base: u32, offset: u32, length: u32) -> Self {
        let payload = Attributes::default().u32(1, NFT_REG_1).u32(2, base).u32(3, offset).u32(4, length);
        self.expression("payload", &payload)
    }

    fn compare(self, operation: u32, with: &[u8]) -> Self {
        let compare = Attributes::default().u32(1, NFT_REG_1).u32(2, operation).nested(3, &data(with));
        self.expression("cmp", &compare)
    }

    /// An address in the first register lies in the subnet.
    fn within<A: Address>(self, subnet: Subnet<A>) -> Self {
        let masked = if subnet.prefix() < A::BITS { self.mask(&subnet.mask().bytes()) } else { self };
        masked.compare(NFT_CMP_EQ, &subnet.base().bytes())
    }

    /// One of these bits is set in the first register.
    fn any_of(self, bits: u32) -> Self {
        self.mask(&bits.to_ne_bytes()).compare(NFT_CMP_NEQ, &[0; 4])
    }

    fn mask(self, mask: &[u8]) -> Self {
        let bitwise = Attributes::default()
            .u32(1, NFT_REG_1)
            .u32(2, NFT_REG_1)
            .u32(3, u32::try_from(mask.len()).unwrap_or_default())
            .nested(4, &data(mask))
            .nested(5, &data(&vec![0; mask.len()]));
        self.expression("bitwise", &bitwise)
    }

    fn load(self, register: u32, value: &[u8]) -> Self {
        self.expression("immediate", &Attributes::default().u32(1, register).nested(2, &data(value)))
    }

    fn verdict(self, verdict: &Attributes) -> Self {
        let data = Attributes::default().nested(NFTA_DATA_VERDICT, verdict);
        self.expression("immediate", &Attributes::default().u32(1, NFT_REG_VERDICT).nested(2, &data))
    }

    fn expression(mut self, name: &str, data: &Attributes) -> Self {
        let element = Attributes::default().text(1, name).nested(2, data);
        self.expressions = self.expressions.nested(NFTA_LIST_ELEM, &element);
        self
    }
}

fn data(value: &[u8]) -> Attributes {
    Attributes::default().bytes(NFTA_DATA_VALUE, value)
}

/// Verdicts are signed numbers in unsigned attributes.
const fn code(verdict: i32) -> u32 {
    verdict.cast_unsigned()
}

/// A link's name as the kernel compares it: padded with zeros.
fn link(name: &str) -> [u8; IFNAMSIZ] {
    let mut padded = [0; IFNAMSIZ];
    for (to, from) in padded.iter_mut().zip(name.bytes().take(IFNAMSIZ - 1)) {
        *to = from;
    }
    padded
}
