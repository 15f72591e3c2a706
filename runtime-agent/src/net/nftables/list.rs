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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) handle: u64,
    /// Whether it drops or rejects whatever reaches it.
    pub(crate) stops_all: bool,
    user_data: Vec<u8>,
}

impl FoundRule {
    pub(crate) fn has_comment(&self, comment: &str) -> bool {
        self.user_data == user_data(comment)
    }
}

const GETCHAIN: u16 = 4;
const GETRULE: u16 = 7;

/// Every chain that sees IPv4 packets.
pub(crate) fn chains() -> Result<Vec<FoundChain>> {
    let mut chains = Vec::new();
    let request = request(GETCHAIN, 0, &Attributes::default());
    Socket::open()?.dump(&request, |message| chains.extend(chain(message)))?;
    Ok(chains)
}

/// The rules of one chain, first one first.
pub(crate) fn rules(family: Family, table: &str, chain: &str) -> Result<Vec<FoundRule>> {
    let mut rules = Vec::new();
    let narrowed = Attributes::default().text(1, table).text(2, chain);
    let request = request(GETRULE, family as u8, &narrowed);
    Socket::open()?.dump(&request, |message| rules.extend(rule(message, table, chain)))?;
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

/// Whether these expressions ask nothing, and let nothing pass.
fn stops_all(expressions: &[u8]) -> bool {
    let mut stops = false;
    for (_, expression) in attributes(expressions) {
        let part =
            |wanted: u16| attributes(expression).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let data = part(2).unwrap_or_default();
        match part(1).map(text).as_deref() {
            Some("counter" | "log") => {}
            Some("reject") => stops = true,
            Some("immediate") if verdict(data) == Some(NF_DROP) => stops = true,
            // How iptables writes it.
            Some("target") => {
                let name = attributes(data).find(|(kind, _)| *kind == 1).map(|(_, name)| text(name));
                stops = name.is_some_and(|name| name == "REJECT");
                if !stops {
                    return false;
                }
            }
            _ => return false,
        }
    }
    stops
}

/// What an immediate expression decides, if it decides anything.
fn verdict(data: &[u8]) -> Option<u32> {
    let inner = |bytes: &'_ [u8], wanted: u16| -> Option<Vec<u8>> {
        attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value.to_vec())
    };
    number(&inner(&inner(&inner(data, 2)?, 2)?, 1)?)
}

const NF_DROP: u32 = 0;

/// Older kernels do not narrow the answer, so it is done here again.
fn rule(message: &Received<'_>, table: &str, chain: &str) -> Option<FoundRule> {
    let mut found = FoundRule { handle: 0, stops_all: false, user_data: Vec::new() };
    let mut here = (false, false);
    for (kind, value) in message.attributes() {
        match kind {
            1 => here.0 = text(value) == table,
            2 => here.1 = text(value) == chain,
            3 => found.handle = u64::from_be_bytes(value.try_into().ok()?),
            4 => found.stops_all = stops_all(value),
            7 => found.user_data = value.to_vec(),
            _ => {}
        }
    }
    (here == (true, true)).then_some(found)
}
