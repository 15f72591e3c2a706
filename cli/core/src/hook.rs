//! What a fleet runs once for each machine that joined it: the wish, what it is told, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf_driver::{MachineId, MachineName, Secret};

/// A command that is run once a machine has joined its fleet. It must bear running twice: of one that was cut off nobody
/// knows how far it came, and it is run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What it is called; the machine's journal remembers it by this.
    pub name: String,
    /// A line for a shell. Nothing is put into it.
    pub run: String,
    /// Where it runs.
    pub on: HookPlace,
    /// The variables that it gets, by name; their values are asked for when it runs, and kept nowhere.
    pub env: Vec<String>,
    /// How long it may take.
    pub patience: Duration,
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HookPlace {
    /// On this computer.
    Here,
    /// On the machine, as who signs in there.
    Machine,
}

/// How a hook ended, or that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookEnd {
    /// It was begun, and no end was seen.
    Begun,
    /// With this exit code.
    Code(i32),
    /// It was ended, since it took too long.
    TooLong,
}

/// What a hook reads on its standard input, as JSON. Fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookFacts {
    /// 1, until a field has to change what it means.
    pub version: u32,
    /// The hook's name.
    pub hook: String,
    /// Whether it was begun before, and did not succeed or was cut off.
    pub again: bool,
    /// The fleet.
    pub fleet: Option<String>,
    /// The machine's name.
    pub name: MachineName,
    /// Its id, which no other machine has, whatever it is called.
    pub id: MachineId,
    /// Its driver.
    pub driver: String,
    /// Its address or name.
    pub address: String,
    /// What `DOCKER_HOST` would be; `null` where it has no engine.
    pub url: Option<String>,
    /// The labels of its engine.
    pub labels: BTreeMap<String, String>,
    /// The folder of `ca.pem`, `cert.pem` and `key.pem` on this computer; `null` where it has no engine, or the hook runs
    /// elsewhere.
    pub certificates: Option<PathBuf>,
    /// How it is signed in to.
    pub ssh: HookSsh,
}

/// How a machine is signed in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookSsh {
    /// Address or name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who.
    pub user: String,
}

/// What a hook is given beside the facts.
#[derive(Debug, Clone, Default)]
pub struct HookGiven {
    /// The values of the variables that it is to get.
    pub variables: Vec<(String, Secret<String>)>,
    /// Whether it runs for a machine that came from another store, too.
    pub for_others: bool,
}
