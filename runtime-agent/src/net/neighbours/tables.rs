//! Forward chains in nf_tables, whoever made them: with `nft`, `iptables-nft` or by netlink.

use super::{COMMENT, DOCKER, DOCKER_USER, OURS, Ours};
use crate::net::nftables::{self, Batch, Chain, Family, FoundChain, FoundRule, Hook, Rule};
use crate::net::{Error, Result, firewall};

/// A table with a forward chain. Never our own.
#[derive(Debug)]
pub(super) struct Table {
    family: Family,
    name: String,
    chains: Vec<FoundChain>,
    /// Of all its chains, in their order.
    pub(super) rules: Vec<FoundRule>,
}

/// Where an entry counts: in a chain, before a rule or at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    chain: String,
    before: Option<u64>,
}

pub(super) fn look() -> Result<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let chains = nftables::chains()?;
    let forward = |chain: &&FoundChain| chain.is_at(Hook::Forward) && chain.table != firewall::TABLE;
    for base in chains.iter().filter(forward) {
        if tables.iter().any(|table| table.family == base.family && table.name == base.table) {
            continue;
        }
        let inside = |chain: &&FoundChain| chain.family == base.family && chain.table == base.table;
        tables.push(Table {
            family: base.family,
            name: base.table.clone(),
            chains: chains.iter().filter(inside).cloned().collect(),
            rules: nftables::rules(base.family, &base.table)?,
        });
    }
    Ok(tables)
}

impl Table {
    pub(super) fn is_firewalld(&self) -> bool {
        self.name == "firewalld" && self.family == Family::Inet
    }

    /// Chains of user's rules are there only while ufw is enabled.
    pub(super) fn has_ufw(&self) -> bool {
        self.has("ufw-user-forward") || self.has("ufw6-user-forward")
    }

    /// It sends what leaves by one of its bridges to a chain of its own.
    pub(super) fn of_dockerd(&self) -> impl Iterator<Item = String> {
        let to_containers = self.rules.iter().filter(|rule| rule.jumps.as_deref() == Some(DOCKER));
        to_containers.filter_map(|rule| rule.leaves.clone())
    }

    /// Makes every chain that stops forwarded packets let these bridges' pass.
    pub(super) fn answer(&self, bridges: &[Ours]) -> Result<u32> {
        let bridges: Vec<&str> = bridges
            .iter()
            .filter(|ours| self.family != Family::Ip6 || ours.has_ipv6)
            .map(|ours| ours.bridge.as_str())
            .collect();
        let mut places = Vec::new();
        for base in self.chains.iter().filter(|chain| chain.is_at(Hook::Forward) && !bridges.is_empty()) {
            places.extend(self.place(base, &bridges)?);
        }
        places.dedup();
        self.write(&places, &bridges).commit()
    }

    fn write(&self, places: &[Place], bridges: &[&str]) -> Batch {
        let (family, table) = (self.family, self.name.as_str());
        let mut batch = Batch::new();
        let entries: Vec<&FoundRule> = self.rules.iter().filter(|rule| rule.has_comment(COMMENT)).collect();
        let standing = |entry: &FoundRule| places.iter().any(|place| self.counts(entry, place));
        for entry in entries.iter().filter(|entry| !standing(entry)) {
            batch.remove_rule(family, table, &entry.chain, entry.handle);
        }
        if self.has(OURS) {
            batch.flush_chain(family, table, OURS);
        }
        if places.is_empty() {
            if self.has(OURS) {
                batch.remove_chain(family, table, OURS);
            }
            return batch;
        }
        batch.add_chain(family, table, OURS, Chain::Jumped);
        for bridge in bridges {
            batch.append(family, table, OURS, &Rule::new().arrived_by(bridge).accept());
            batch.append(family, table, OURS, &Rule::new().leaves_by(bridge).accept());
        }
        for place in places.iter().filter(|place| !entries.iter().any(|entry| self.counts(entry, place))) {
            let entry = Rule::new().jump(OURS).comment(COMMENT);
            match place.before {
                Some(before) => batch.insert(family, table, &place.chain, before, &entry),
                None => batch.append(family, table, &place.chain, &entry),
            }
        }
        batch
    }

    /// Where this chain must be answered, if it must.
    fn place(&self, base: &FoundChain, bridges: &[&str]) -> Result<Option<Place>> {
        let stop = self.rules_of(&base.name).find(|rule| self.stops(rule, DEEPEST));
        if stop.is_none() && !base.drops {
            return Ok(None);
        }
        let left_to_us = self.rules_of(&base.name).any(|rule| rule.goes_always() == Some(DOCKER_USER));
        if left_to_us && self.has(DOCKER_USER) {
            let end = self.rules_of(DOCKER_USER).find(|rule| rule.returns_all || self.stops(rule, DEEPEST));
            return Ok(Some(Place { chain: DOCKER_USER.to_owned(), before: end.map(|rule| rule.handle) }));
        }
        match stop {
            // Before it would be before its owner's own rules.
            Some(rule) if !rule.stops_all => Err(Error::Stopped {
                chain: self.end_of(rule, DEEPEST).to_owned(),
                table: self.name.clone(),
                bridges: bridges.join(", "),
            }),
            stop => Ok(Some(Place { chain: base.name.clone(), before: stop.map(|rule| rule.handle) })),
        }
    }

    /// Whether nothing gets past this rule.
    fn stops(&self, rule: &FoundRule, depth: usize) -> bool {
        rule.stops_all || self.stop_beyond(rule, depth).is_some()
    }

    /// The rule that stops everything in the chain that this one sends everything to.
    fn stop_beyond(&self, rule: &FoundRule, depth: usize) -> Option<&FoundRule> {
        let chain = rule.goes_always().filter(|_| depth > 0)?;
        let mut reached = self.rules_of(chain).take_while(|rule| !rule.returns_all);
        reached.find(|rule| self.stops(rule, depth - 1))
    }

    /// The chain in which it ends for what this rule sends on.
    fn end_of<'a>(&'a self, rule: &'a FoundRule, depth: usize) -> &'a str {
        self.stop_beyond(rule, depth).map_or(&rule.chain, |beyond| self.end_of(beyond, depth - 1))
    }

    fn counts(&self, entry: &FoundRule, place: &Place) -> bool {
        if entry.chain != place.chain {
            return false;
        }
        let at = |handle: u64| self.rules_of(&place.chain).position(|rule| rule.handle == handle);
        place.before.is_none_or(|before| at(entry.handle) < at(before))
    }

    fn rules_of<'a>(&'a self, chain: &str) -> impl Iterator<Item = &'a FoundRule> {
        self.rules.iter().filter(move |rule| rule.chain == chain)
    }

    fn has(&self, chain: &str) -> bool {
        self.chains.iter().any(|found| found.name == chain)
    }
}

/// Chains may lead to others; the kernel itself follows no more than sixteen.
const DEEPEST: usize = 16;
