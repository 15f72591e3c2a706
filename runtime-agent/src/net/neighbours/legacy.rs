//! Forward chains of `iptables-legacy` and `ip6tables-legacy`: the old interface has no netlink. Its tables are there
//! only when somebody uses them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{DOCKER, DOCKER_USER, OURS, Ours, program, run};
use crate::net::Result;

/// What `-S` prints of one family's table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Legacy {
    program: &'static str,
    is_ipv6: bool,
    listed: Vec<String>,
}

struct Version {
    tables: &'static str,
    programs: &'static [&'static str],
    is_ipv6: bool,
}

const VERSIONS: &[Version] = &[
    Version {
        tables: "/proc/thread-self/net/ip_tables_names",
        programs: &["/usr/sbin/iptables-legacy", "/sbin/iptables-legacy"],
        is_ipv6: false,
    },
    Version {
        tables: "/proc/thread-self/net/ip6_tables_names",
        programs: &["/usr/sbin/ip6tables-legacy", "/sbin/ip6tables-legacy"],
        is_ipv6: true,
    },
];

pub(super) fn look() -> Result<Vec<Legacy>> {
    let mut found = Vec::new();
    for version in VERSIONS {
        let tables = std::fs::read_to_string(version.tables).unwrap_or_default();
        if !tables.lines().any(|table| table == "filter") {
            continue;
        }
        let Some(program) = program(version.programs) else {
            tracing::warn!(
                "the host has a legacy iptables filter table and no {}; if its FORWARD policy is DROP, containers reach \
                 no network: accept forwarding from and to their bridges there",
                version.programs[0]
            );
            continue;
        };
        let listed = run(program, &["-w", "-S"])?.lines().map(str::to_owned).collect();
        found.push(Legacy { program, is_ipv6: version.is_ipv6, listed });
    }
    Ok(found)
}

impl Legacy {
    pub(super) fn mark(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.listed.hash(&mut hasher);
        // Half of it tells changes apart well enough.
        u32::try_from(hasher.finish() >> 32).unwrap_or_default()
    }

    /// Chains of user's rules are there only while ufw is enabled.
    pub(super) fn has_ufw(&self) -> bool {
        self.has("-N ufw-user-forward") || self.has("-N ufw6-user-forward")
    }

    /// It sends what leaves by one of its bridges to a chain of its own.
    pub(super) fn of_dockerd(&self) -> impl Iterator<Item = String> {
        let end = format!(" -j {DOCKER}");
        let ways = self.listed.iter().filter_map(move |line| line.strip_suffix(&end).map(str::to_owned));
        ways.filter_map(|line| {
            let mut words = line.split(' ').skip_while(|word| *word != "-o").skip(1);
            words.next().filter(|_| !line.contains("! -o")).map(str::to_owned)
        })
    }

    /// Makes a dropping FORWARD chain let these bridges' packets pass.
    pub(super) fn answer(&self, bridges: &[Ours]) -> Result<()> {
        let ours: Vec<&Ours> = bridges.iter().filter(|ours| ours.has_ipv6 || !self.is_ipv6).collect();
        let place = self.place().filter(|_| !ours.is_empty());
        let mut stands = false;
        for chain in ["FORWARD", DOCKER_USER] {
            let entry = format!("-A {chain} -j {OURS}");
            let Some(at) = self.rules_of(chain).position(|rule| *rule == entry) else { continue };
            let counts = place.is_some_and(|(wanted, before)| wanted == chain && at <= before);
            if counts {
                stands = true;
            } else {
                self.run(&["-D", chain, "-j", OURS])?;
            }
        }
        let there = self.has(&format!("-N {OURS}"));
        let Some((chain, before)) = place else {
            if there {
                self.run(&["-F", OURS])?;
                self.run(&["-X", OURS])?;
            }
            return Ok(());
        };
        self.run(&[if there { "-F" } else { "-N" }, OURS])?;
        for ours in ours {
            self.run(&["-A", OURS, "-i", &ours.bridge, "-j", "ACCEPT"])?;
            self.run(&["-A", OURS, "-o", &ours.bridge, "-j", "ACCEPT"])?;
        }
        if stands { Ok(()) } else { self.run(&["-I", chain, &(before + 1).to_string(), "-j", OURS]) }
    }

    /// The chain to answer in, if one must be answered, and how many of its rules come first.
    fn place(&self) -> Option<(&'static str, usize)> {
        let ends = |rule: &str, chain: &str, ways: &[&str]| {
            let verdict = rule.strip_prefix("-A ").and_then(|rule| rule.strip_prefix(chain));
            verdict.is_some_and(|verdict| ways.iter().any(|way| verdict.starts_with(way)))
        };
        let first = |chain: &'static str, ways: &[&str]| {
            self.others_of(chain).position(|rule| ends(rule, chain, ways))
        };
        let stop = first("FORWARD", &[" -j DROP", " -j REJECT"]);
        if stop.is_none() && !self.has("-P FORWARD DROP") {
            return None;
        }
        let end =
            |chain: &'static str, stop: Option<usize>| stop.unwrap_or_else(|| self.others_of(chain).count());
        if self.has(&format!("-A FORWARD -j {DOCKER_USER}")) {
            let stop = first(DOCKER_USER, &[" -j RETURN", " -j DROP", " -j REJECT"]);
            return Some((DOCKER_USER, end(DOCKER_USER, stop)));
        }
        Some(("FORWARD", end("FORWARD", stop)))
    }

    fn rules_of(&self, chain: &str) -> impl Iterator<Item = &String> {
        let start = format!("-A {chain} ");
        self.listed.iter().filter(move |line| line.starts_with(&start))
    }

    /// Without ours.
    fn others_of(&self, chain: &str) -> impl Iterator<Item = &String> {
        let ours = format!("-A {chain} -j {OURS}");
        self.rules_of(chain).filter(move |rule| **rule != ours)
    }

    fn has(&self, line: &str) -> bool {
        self.listed.iter().any(|found| found == line)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        run(self.program, &[&["-w"], arguments].concat()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Legacy {
        Legacy { program: "", is_ipv6: false, listed: text.lines().map(str::to_owned).collect() }
    }

    #[test]
    fn an_entry_stands_behind_its_owners_rules() {
        let empty = "-P INPUT DROP\n-P FORWARD ACCEPT\n-A INPUT -j DROP";
        assert_eq!(listed(empty).place(), None);
        let policy = "-P FORWARD DROP\n-A FORWARD -s 192.0.2.1/32 -j DROP\n-A FORWARD -j WHARF-FORWARD";
        assert_eq!(listed(policy).place(), Some(("FORWARD", 1)));
        let last = "-P FORWARD ACCEPT\n-A FORWARD -i a -j DROP\n-A FORWARD -j REJECT --reject-with x\n-A FORWARD -i b -j ACCEPT";
        assert_eq!(listed(last).place(), Some(("FORWARD", 1)));
        let dockerd = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -i eth0 -j DROP\n-A DOCKER-USER -j RETURN";
        assert_eq!(listed(dockerd).place(), Some(("DOCKER-USER", 1)));
    }

    #[test]
    fn bridges_of_a_dockerd_are_known_by_where_they_lead() {
        let rules = "-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -i a ! -o a -j DOCKER\n-A FORWARD -o b -j ACCEPT\n\
                     -A DOCKER-BRIDGE -o br-0123 -j DOCKER";
        assert_eq!(listed(rules).of_dockerd().collect::<Vec<_>>(), ["docker0", "br-0123"]);
    }
}
