//! Changes that the kernel takes all at once or not at all.

use super::Rule;
use super::message::{
    Attributes, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NLM_F_APPEND,
    NLM_F_CREATE, NLM_F_REQUEST, message,
};
use super::socket::Socket;
use crate::net::Result;

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// IPv6.
    Ip6 = 10,
}

/// Where a chain meets the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Prerouting = 0,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// A chain that the kernel calls by itself, or one that rules jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// `type filter hook HOOK priority N; policy accept`
    Filter(Hook, i32),
    /// `type nat hook HOOK priority N; policy accept`
    Nat(Hook, i32),
    Jumped,
}

/// Messages between a begin and an end, with the numbers of `nf_tables.h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    changes: Vec<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    kind: u16,
    flags: u16,
    family: Family,
    body: Attributes,
}

const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const DELCHAIN: u16 = 5;
const NEWRULE: u16 = 6;
const DELRULE: u16 = 8;

impl Batch {
    pub(crate) const fn new() -> Self {
        Self { changes: Vec::new() }
    }

    /// One that is there already stays as it is.
    pub(crate) fn add_table(&mut self, family: Family, table: &str) {
        self.push(NEWTABLE, NLM_F_CREATE, family, Attributes::default().text(1, table).u32(2, 0));
    }

    /// With everything in it. It must be there.
    pub(crate) fn remove_table(&mut self, family: Family, table: &str) {
        self.push(DELTABLE, 0, family, Attributes::default().text(1, table));
    }

    /// One that is there already must be alike.
    pub(crate) fn add_chain(&mut self, family: Family, table: &str, name: &str, chain: Chain) {
        const ACCEPT: u32 = 1;
        let body = Attributes::default().text(1, table).text(3, name);
        let hooked = |body: Attributes, kind: &str, hook: Hook, priority: i32| {
            let hook = Attributes::default().u32(1, hook as u32).u32(2, priority.cast_unsigned());
            body.nested(4, &hook).u32(5, ACCEPT).text(7, kind)
        };
        let body = match chain {
            Chain::Filter(hook, priority) => hooked(body, "filter", hook, priority),
            Chain::Nat(hook, priority) => hooked(body, "nat", hook, priority),
            Chain::Jumped => body,
        };
        self.push(NEWCHAIN, NLM_F_CREATE, family, body);
    }

    /// It must be there, empty, and nothing may jump to it.
    pub(crate) fn remove_chain(&mut self, family: Family, table: &str, name: &str) {
        self.push(DELCHAIN, 0, family, Attributes::default().text(1, table).text(3, name));
    }

    /// Every rule of the chain.
    pub(crate) fn flush_chain(&mut self, family: Family, table: &str, chain: &str) {
        self.push(DELRULE, 0, family, Attributes::default().text(1, table).text(2, chain));
    }

    /// At the end of the chain.
    pub(crate) fn append(&mut self, family: Family, table: &str, chain: &str, rule: &Rule) {
        self.push(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, rule_body(table, chain, rule));
    }

    /// Before the rule with that handle.
    pub(crate) fn insert(&mut self, family: Family, table: &str, chain: &str, before: u64, rule: &Rule) {
        const POSITION: u16 = 6;
        self.push(NEWRULE, NLM_F_CREATE, family, rule_body(table, chain, rule).u64(POSITION, before));
    }

    pub(crate) fn remove_rule(&mut self, family: Family, table: &str, chain: &str, handle: u64) {
        let body = Attributes::default().text(1, table).text(2, chain).u64(3, handle);
        self.push(DELRULE, 0, family, body);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Hands it to the kernel and waits for its verdict. Returns how many generations of the ruleset that made: one, or
    /// none where there is nothing to change.
    pub(crate) fn commit(&self) -> Result<u32> {
        if self.is_empty() {
            return Ok(0);
        }
        Socket::open()?.commit(&self.encode(), self.last())?;
        Ok(1)
    }

    /// The sequence number of the last change: the one that is acknowledged.
    fn last(&self) -> u32 {
        u32::try_from(self.changes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mark = |kind, sequence| message(kind, NLM_F_REQUEST, sequence, 0, NFNL_SUBSYS_NFTABLES, &[]);
        let mut bytes = mark(NFNL_MSG_BATCH_BEGIN, 0);
        for (sequence, change) in (1..).zip(&self.changes) {
            let acknowledge = if sequence == self.last() { NLM_F_ACK } else { 0 };
            let flags = NLM_F_REQUEST | change.flags | acknowledge;
            let kind = NFNL_SUBSYS_NFTABLES << 8 | change.kind;
            let body = change.body.as_bytes();
            bytes.extend(message(kind, flags, sequence, change.family as u8, 0, body));
        }
        bytes.extend(mark(NFNL_MSG_BATCH_END, self.last().saturating_add(1)));
        bytes
    }

    fn push(&mut self, kind: u16, flags: u16, family: Family, body: Attributes) {
        self.changes.push(Change { kind, flags, family, body });
    }
}

fn rule_body(table: &str, chain: &str, rule: &Rule) -> Attributes {
    let body = Attributes::default().text(1, table).text(2, chain).nested(4, rule.expressions());
    match &rule.comment {
        Some(comment) => body.bytes(7, &user_data(comment)),
        None => body,
    }
}

/// A comment as `nft` stores it: kind, length and text of its own, unaligned.
pub(super) fn user_data(comment: &str) -> Vec<u8> {
    const COMMENT: u8 = 0;
    let text: Vec<u8> = comment.bytes().take(usize::from(u8::MAX) - 1).chain([0]).collect();
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[COMMENT, length][..], &text].concat()
}
