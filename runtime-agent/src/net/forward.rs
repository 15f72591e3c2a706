//! Other people's FORWARD policies.
//!
//! A packet passes when *every* forward chain lets it pass, so that a policy of DROP elsewhere (ufw, dockerd, a
//! hand-written ruleset), or a last rule that rejects whatever reaches it (firewalld, older distributions), cuts
//! containers off whatever our own table says. Each such chain gets one entry, a jump to a chain of ours in the same
//! table, which accepts what comes from and goes to our bridges. It stands at the end, or before that last rule: the
//! owner's own rules come first, only what nobody decided is answered. Our own table still decides what may pass.
//!
//! The entry goes when the last bridge goes. Policies set by `iptables-legacy` are not in nf_tables: they are found,
//! and answered by that program where it is there; where it isn't, the log says what to do.

use std::path::Path;
use std::process::{Command, Stdio};

use super::nftables::{self, Batch, Chain, FoundChain, Hook, Rule};
use super::{Error, Result};

const OURS: &str = "WHARF-FORWARD";
const COMMENT: &str = "wharf: containers";

/// Makes every dropping forward chain let these bridges' packets pass; none takes the entries away.
pub(super) fn cooperate(bridges: &[&str]) -> Result<()> {
    let chains = nftables::chains()?;
    let mut batch = Batch::new();
    let foreign = |chain: &&FoundChain| chain.is_at(Hook::Forward) && chain.table != "wharf";
    for base in chains.iter().filter(foreign) {
        let prepared = chains
            .iter()
            .any(|chain| chain.name == OURS && chain.table == base.table && chain.family == base.family);
        match Stop::of(base)? {
            Some(stop) if !bridges.is_empty() => allow(&mut batch, base, &stop, prepared, bridges),
            _ if prepared => withdraw(&mut batch, base)?,
            _ => {}
        }
    }
    batch.commit()?;
    legacy(bridges)
}

/// Where a chain lets go of what nobody decided.
struct Stop {
    /// The rule that does; without one it is the policy.
    rule: Option<u64>,
    /// Our entry, if it stands where it counts.
    entry: bool,
    /// Those that do not count: the owner has put a rule before them since.
    late: Vec<u64>,
}

impl Stop {
    /// `None` where whatever nobody decided passes.
    fn of(base: &FoundChain) -> Result<Option<Self>> {
        let rules = nftables::rules(base.family, &base.table, &base.name)?;
        let at = rules.iter().position(|rule| rule.stops_all);
        if at.is_none() && !base.drops {
            return Ok(None);
        }
        let (before, after) = rules.split_at(at.unwrap_or(rules.len()));
        Ok(Some(Self {
            rule: after.first().map(|rule| rule.handle),
            entry: before.iter().any(|rule| rule.has_comment(COMMENT)),
            late: after.iter().filter(|rule| rule.has_comment(COMMENT)).map(|rule| rule.handle).collect(),
        }))
    }
}

fn allow(batch: &mut Batch, base: &FoundChain, stop: &Stop, prepared: bool, bridges: &[&str]) {
    let (family, table) = (base.family, base.table.as_str());
    batch.add_chain(family, table, OURS, Chain::Jumped);
    batch.flush_chain(family, table, OURS);
    for bridge in bridges {
        batch.append(family, table, OURS, &Rule::new().arrived_by(bridge).accept());
        batch.append(family, table, OURS, &Rule::new().leaves_by(bridge).accept());
    }
    for handle in &stop.late {
        batch.remove_rule(family, table, &base.name, *handle);
    }
    if prepared && stop.entry {
        return;
    }
    let entry = Rule::new().jump(OURS).comment(COMMENT);
    match stop.rule {
        Some(before) => batch.insert(family, table, &base.name, before, &entry),
        None => batch.append(family, table, &base.name, &entry),
    }
}

fn withdraw(batch: &mut Batch, base: &FoundChain) -> Result<()> {
    let (family, table) = (base.family, base.table.as_str());
    for handle in entries(base)? {
        batch.remove_rule(family, table, &base.name, handle);
    }
    batch.flush_chain(family, table, OURS);
    batch.remove_chain(family, table, OURS);
    Ok(())
}

/// Our jumps in somebody's chain.
fn entries(base: &FoundChain) -> Result<Vec<u64>> {
    let rules = nftables::rules(base.family, &base.table, &base.name)?;
    Ok(rules.iter().filter(|rule| rule.has_comment(COMMENT)).map(|rule| rule.handle).collect())
}

/// The old interface has no netlink. Its tables are there only when somebody uses them.
fn legacy(bridges: &[&str]) -> Result<()> {
    let tables = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    if !tables.lines().any(|table| table == "filter") {
        return Ok(());
    }
    let Some(program) = PROGRAMS.iter().find(|path| Path::new(path).exists()) else {
        tracing::warn!(
            "the host has a legacy iptables filter table and no iptables-legacy; if its FORWARD policy is DROP, \
             containers reach no network: accept forwarding from and to their bridges there"
        );
        return Ok(());
    };
    let run = |arguments: &[&str]| -> Result<Option<String>> {
        let command = Command::new(program).arg("-w").args(arguments).stderr(Stdio::null()).output();
        let output = command.map_err(Error::file("execute", *program))?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let Some(listed) = run(&["-S", "FORWARD"])? else { return Ok(()) };
    let there = listed.lines().any(|line| line == format!("-A FORWARD -j {OURS}"));
    let rules: Vec<&str> = listed.lines().filter(|line| line.starts_with("-A FORWARD ")).collect();
    let last = rules
        .iter()
        .position(|rule| *rule == "-A FORWARD -j DROP" || rule.starts_with("-A FORWARD -j REJECT"));
    let stops = last.is_some() || listed.lines().any(|line| line == "-P FORWARD DROP");
    if stops && !bridges.is_empty() {
        // Making a chain that is there fails, and that is all it does.
        run(&["-N", OURS])?;
        run(&["-F", OURS])?;
        for bridge in bridges {
            run(&["-A", OURS, "-i", bridge, "-j", "ACCEPT"])?;
            run(&["-A", OURS, "-o", bridge, "-j", "ACCEPT"])?;
        }
        if !there {
            let number = (last.unwrap_or(rules.len()) + 1).to_string();
            run(&["-I", "FORWARD", &number, "-j", OURS])?;
        }
    } else if there {
        run(&["-D", "FORWARD", "-j", OURS])?;
        run(&["-F", OURS])?;
        run(&["-X", OURS])?;
    }
    Ok(())
}

const PROGRAMS: &[&str] = &["/usr/sbin/iptables-legacy", "/sbin/iptables-legacy"];
