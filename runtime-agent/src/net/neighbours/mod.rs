//! Other people's firewalls, beside our own table.
//!
//! A packet passes when *every* forward chain lets it pass, so that a policy of DROP elsewhere (ufw, dockerd, a
//! hand-written ruleset), or a rule that rejects whatever reaches it (firewalld, older distributions), cuts containers
//! off whatever our own table says. Each of those gets the one entry that its owner has a place for:
//!
//! ```text
//! firewalld       our bridges are interfaces of its zone `trusted`, by firewall-cmd: until the next reload, which we hear
//! ufw             `ufw route allow in|out on BRIDGE`, behind the owner's own rules, with a comment that says whose it is
//! a dockerd       a jump in DOCKER-USER, behind the owner's own rules: the chain that dockerd leaves to others
//! anybody else    a jump at the end of the forward chain, or before the last rule that stops everything
//! ```
//! A jump leads to a chain of ours in the same table, which accepts what comes from and goes to our bridges: only what
//! nobody decided is answered, and our own table still decides what may pass. All of it goes when the last bridge goes,
//! or with `wharfd purge`. Where everything is stopped deep inside somebody's chains, no entry would count: that is an
//! error which names the rule.
//!
//! Rules of `iptables-legacy` are not in nf_tables: they are answered by that program where it is there; where it isn't,
//! the log says what to do. No other program of the host's is called than the owner's own.

mod firewalld;
mod legacy;
mod tables;
#[cfg(test)]
mod tests;
mod ufw;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, Result};
use legacy::Legacy;
use tables::Table;

/// Our chain in other people's tables.
const OURS: &str = "WHARF-FORWARD";
/// Says whose an entry is, wherever entries have comments.
const COMMENT: &str = "wharf: containers";
/// The chain that dockerd leaves to others, and the one that it sends what goes to its containers to.
const DOCKER_USER: &str = "DOCKER-USER";
const DOCKER: &str = "DOCKER";

/// A bridge of ours, as others need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) bridge: String,
    pub(super) has_ipv6: bool,
}

/// What others have in the firewall now.
#[derive(Debug)]
pub(super) struct Neighbours {
    tables: Vec<Table>,
    legacy: Vec<Legacy>,
}

impl Neighbours {
    /// Reads all of it, in the network namespace of the calling thread.
    pub(super) fn look() -> Result<Self> {
        Ok(Self { tables: tables::look()?, legacy: legacy::look()? })
    }

    /// The bridges of a dockerd, which decides itself what goes there.
    pub(super) fn of_dockerd(&self) -> Vec<String> {
        let mut found: Vec<String> = self.tables.iter().flat_map(Table::of_dockerd).collect();
        found.extend(self.legacy.iter().flat_map(Legacy::of_dockerd));
        found.sort();
        found.dedup();
        found
    }

    /// Lets these bridges' packets pass everywhere; none takes every entry away. `ledger` is where is written down what
    /// the system itself does not say. Returns how many changes of nf_tables were made from here, and by no other program.
    pub(super) fn answer(&self, bridges: &[Ours], ledger: &Path) -> Result<u32> {
        let names: Vec<&str> = bridges.iter().map(|ours| ours.bridge.as_str()).collect();
        let by_firewalld = firewalld::answer(self.tables.iter().find(|t| t.is_firewalld()), &names, ledger)?;
        let has_ufw = self.tables.iter().any(Table::has_ufw) || self.legacy.iter().any(Legacy::has_ufw);
        let by_ufw = ufw::answer(has_ufw, &names)?;
        let mut generations = 0;
        for table in &self.tables {
            let is_answered = table.is_firewalld() && by_firewalld || table.has_ufw() && by_ufw;
            generations += table.answer(if is_answered { &[] } else { bridges })?;
        }
        for legacy in &self.legacy {
            legacy.answer(if legacy.has_ufw() && by_ufw { &[] } else { bridges })?;
        }
        Ok(generations)
    }

    /// What [`legacy_mark`] was when this was looked at.
    pub(super) fn legacy_mark(&self) -> u32 {
        mark(&self.legacy)
    }
}

/// Changes with every change to what `iptables-legacy` holds, which nobody is told of; zero without it.
pub(super) fn legacy_mark() -> Result<u32> {
    Ok(mark(&legacy::look()?))
}

fn mark(legacy: &[Legacy]) -> u32 {
    legacy.iter().map(Legacy::mark).fold(0, u32::wrapping_add)
}

/// The one of these programs that is there.
fn program(paths: &[&'static str]) -> Option<&'static str> {
    paths.iter().copied().find(|path| Path::new(path).exists())
}

/// Runs somebody's program. An error has its last words.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let command = Command::new(program).args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).output();
    let output = command.map_err(Error::file("execute", program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it did not say why").trim();
    Err(Error::Refused { command: format!("{program} {}", arguments.join(" ")), said: said.to_owned() })
}

/// The interfaces that are written down, one a line. None is no file.
fn read(ledger: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn write(ledger: &Path, interfaces: &[String]) -> Result<()> {
    if interfaces.is_empty() {
        return match std::fs::remove_file(ledger) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", ledger)(error))
            }
            _ => Ok(()),
        };
    }
    let mut new = ledger.to_owned().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    // In memory, as what it tells of: nothing of both survives a power cut.
    let written = File::create(&new).and_then(|mut file| file.write_all(interfaces.join("\n").as_bytes()));
    written.map_err(Error::file("write", &new))?;
    std::fs::rename(&new, ledger).map_err(Error::file("write", ledger))
}
