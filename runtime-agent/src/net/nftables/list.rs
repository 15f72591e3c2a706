//! What others have in the firewall: chains with their hooks and policies, rules with their handles and comments.

use super::batch::user_data;
use super::message::{
    Attributes, NFNL_SUBSYS_NFTABLES, NLM_F_DUMP, NLM_F_REQUEST, Received, attributes, message, number, text,
};
use super::socket::Socket;
use super::{Family, Hook};
use crate::net::Result;

/// A chain of anybody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundChain {
    pub(crate) family: Family,
    pub(crate) table: String,
    pub(crate) name: String,
    /// Absent when it is only jumped to; then so is the policy.
    pub(crate) hook: Option<u32>,
    /// Whether what no rule decides is dropped.
    pub(crate) drops: bool,
}

impl FoundChain {
    pub(crate) fn is_at(&self, hook: Hook) -> bool {
        self.hook == Some(hook as u32)
    }
}

/// A rule of anybody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) chain: String,
    pub(crate) handle: u64,
    /// The links that it asks for by name, if it does.
    pub(crate) arrives: Option<String>,
    pub(crate) leaves: Option<String>,
    /// The chain that it sends a packet on to, whether that comes back or not.
    pub(crate) jumps: Option<String>,
    /// Whether it drops or rejects whatever reaches it.
    pub(crate) stops_all: bool,
    /// Whether it sends whatever reaches it back.
    pub(crate) returns_all: bool,
    asks_nothing: bool,
    user_data: Vec<u8>,
}

impl FoundRule {
    pub(crate) fn has_comment(&self, comment: &str) -> bool {
        self.user_data == user_data(comment)
    }

    /// The chain that everything goes on to.
    pub(crate) fn goes_always(&self) -> Option<&str> {
        self.jumps.as_deref().filter(|_| self.asks_nothing)
    }
}

const GETCHAIN: u16 = 4;
const GETRULE: u16 = 7;

/// Every chain that sees IP packets.
pub(crate) fn chains() -> Result<Vec<FoundChain>> {
    let mut chains = Vec::new();
    let request = request(GETCHAIN, 0, &Attributes::default());
    Socket::open()?.dump(&request, |message| chains.extend(chain(message)))?;
    Ok(chains)
}

/// The rules of one table, chain by chain, first one first.
pub(crate) fn rules(family: Family, table: &str) -> Result<Vec<FoundRule>> {
    let mut rules = Vec::new();
    let request = request(GETRULE, family as u8, &Attributes::default().text(1, table));
    Socket::open()?.dump(&request, |message| rules.extend(rule(message, table)))?;
    Ok(rules)
}

fn request(kind: u16, family: u8, body: &Attributes) -> Vec<u8> {
    let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
    message(kind, NLM_F_REQUEST | NLM_F_DUMP, 1, family, 0, body.as_bytes())
}

pub(super) fn chain(message: &Received<'_>) -> Option<FoundChain> {
    let family = match message.family() {
        1 => Family::Inet,
        2 => Family::Ip,
        10 => Family::Ip6,
        _ => return None,
    };
    let mut found =
        FoundChain { family, table: String::new(), name: String::new(), hook: None, drops: false };
    for (kind, value) in message.attributes() {
        match kind {
            1 => found.table = text(value),
            3 => found.name = text(value),
            4 => found.hook = attributes(value).find(|(kind, _)| *kind == 1).and_then(|(_, n)| number(n)),
            5 => found.drops = number(value) == Some(0),
            _ => {}
        }
    }
    Some(found)
}

/// Older kernels do not narrow the answer, so it is done here again.
fn rule(message: &Received<'_>, table: &str) -> Option<FoundRule> {
    let mut found = FoundRule::default();
    let mut is_here = false;
    for (kind, value) in message.attributes() {
        match kind {
            1 => is_here = text(value) == table,
            2 => found.chain = text(value),
            3 => found.handle = u64::from_be_bytes(value.try_into().ok()?),
            4 => read(value, &mut found),
            7 => found.user_data = value.to_vec(),
            _ => {}
        }
    }
    is_here.then_some(found)
}

/// What a rule's expressions ask, and what becomes of a packet.
fn read(expressions: &[u8], rule: &mut FoundRule) {
    let mut asks_nothing = true;
    let mut key = None;
    let mut stops = false;
    let mut returns = false;
    for (_, expression) in attributes(expressions) {
        let data = part(expression, 2).unwrap_or_default();
        match part(expression, 1).map(text).as_deref() {
            Some("counter" | "log") => {}
            Some("meta") => key = part(data, 2).and_then(number),
            Some("cmp") => {
                asks_nothing = false;
                let is = part(data, 2).and_then(number) == Some(NFT_CMP_EQ);
                let name = part(data, 3).and_then(|value| part(value, 1)).map(text).filter(|_| is);
                match key.take() {
                    Some(NFT_META_IIFNAME) => rule.arrives = name,
                    Some(NFT_META_OIFNAME) => rule.leaves = name,
                    _ => {}
                }
            }
            Some("reject") => stops = true,
            Some("immediate") => match verdict(data) {
                Some((NF_DROP, _)) => stops = true,
                Some((NFT_RETURN, _)) => returns = true,
                Some((NFT_JUMP | NFT_GOTO, chain)) => rule.jumps = chain,
                _ => {}
            },
            // How iptables writes it.
            Some("target") if part(data, 1).map(text).as_deref() == Some("REJECT") => stops = true,
            _ => asks_nothing = false,
        }
    }
    rule.asks_nothing = asks_nothing;
    rule.stops_all = stops && asks_nothing;
    rule.returns_all = returns && asks_nothing;
}

/// What an immediate expression decides, if it decides anything, and the chain that it names.
fn verdict(data: &[u8]) -> Option<(i32, Option<String>)> {
    let verdict = part(part(data, 2)?, 2)?;
    let code = part(verdict, 1).and_then(number)?;
    Some((code.cast_signed(), part(verdict, 2).map(text)))
}

fn part(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

// Of `nf_tables.h`.
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFT_CMP_EQ: u32 = 0;
const NF_DROP: i32 = 0;
const NFT_JUMP: i32 = -3;
const NFT_GOTO: i32 = -4;
const NFT_RETURN: i32 = -5;
