//! Hosts in memory: what the bootstrap's seam does to machines that are none.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use wharf_core::bootstrap::{Bootstrap, Engine, Host, Outcome, Provision, Ran, Upgrade};
use wharf_core::{Duplex, EngineFacts, Error, Kind, PlannedStep, Result, Timing};
use wharf_driver::Reach;

/// Every host that was ever reached, by its machine's id.
#[derive(Debug, Default)]
pub struct Hosts {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    agents: BTreeMap<String, Agent>,
    failing: Option<Kind>,
    counts: BTreeMap<&'static str, usize>,
    /// Where they see their clients, unless somebody says otherwise.
    client: Option<String>,
}

#[derive(Debug, Clone)]
struct Agent {
    names: Vec<String>,
    /// The serial numbers of the clients that it turns away.
    revoked: Vec<String>,
}

/// When the certificates of these hosts end.
const EXPIRES: u64 = 4_102_444_800;

/// Where clients come from.
const CLIENT: &str = "203.0.113.7";

impl Hosts {
    /// Every following verb fails like this; `None` lets them succeed again.
    pub fn fail(&self, how: Option<Kind>) {
        self.state().failing = how;
    }

    /// From now on clients come from this address.
    pub fn see_clients_at(&self, address: &str) {
        self.state().client = Some(address.to_owned());
    }

    /// The machines that have an agent.
    #[must_use]
    pub fn agents(&self) -> Vec<String> {
        self.state().agents.keys().cloned().collect()
    }

    /// What the server certificate of a machine holds.
    #[must_use]
    pub fn names(&self, machine: &str) -> Vec<String> {
        self.state().agents.get(machine).map(|agent| agent.names.clone()).unwrap_or_default()
    }

    /// The serial numbers of the clients that a machine's engine turns away.
    #[must_use]
    pub fn revoked(&self, machine: &str) -> Vec<String> {
        self.state().agents.get(machine).map(|agent| agent.revoked.clone()).unwrap_or_default()
    }

    /// How often each verb was asked for.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, verb: &'static str) -> Result<()> {
        let mut state = self.state();
        *state.counts.entry(verb).or_default() += 1;
        match state.failing {
            None => Ok(()),
            Some(kind) => Err(Error::new(kind, format!("the host in memory was told to fail at {verb}"))),
        }
    }
}

impl Bootstrap for Hosts {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn plan<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Vec<PlannedStep>>> {
        Box::pin(async move {
            self.begin("plan")?;
            let name = wish.host.name.to_string();
            let summary = format!("bring the agent to {}", wish.host.reach.ssh_host);
            Ok(vec![PlannedStep { part: "bootstrap", verb: "install".to_owned(), name, summary }])
        })
    }

    fn provision<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            self.begin("provision")?;
            wish.host.progress.say("bringing the agent");
            wish.host.changes.begin();
            let agent = Agent { names: wish.names.clone(), revoked: revoked(wish) };
            self.state().agents.insert(wish.host.machine.to_string(), agent);
            let host_keys = vec![host_key(&wish.host.reach)];
            if wish.rotate_host_key {
                wish.host.accept.keys([wish.host.host_keys.clone(), host_keys.clone()].concat()).await?;
            }
            Ok(Outcome {
                host_keys,
                engine: "0.1.0".to_owned(),
                expires: EXPIRES,
                agent: "00".repeat(32),
                facts: serde_json::json!({ "architecture": "x86_64" }),
                timings: vec![Timing { what: "fake".to_owned(), milliseconds: 0 }],
            })
        })
    }

    fn certify<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            self.begin("certify")?;
            let mut state = self.state();
            let Some(agent) = state.agents.get_mut(wish.host.machine.as_str()) else {
                return Err(Error::new(Kind::Failed, "there is no agent"));
            };
            agent.names.clone_from(&wish.names);
            agent.revoked = revoked(wish);
            Ok(EXPIRES)
        })
    }

    fn revoke<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.begin("revoke")?;
            let mut state = self.state();
            let Some(agent) = state.agents.get_mut(wish.host.machine.as_str()) else {
                return Err(Error::new(Kind::Failed, "there is no agent"));
            };
            agent.revoked = revoked(wish);
            Ok(())
        })
    }

    fn upgrade<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Upgrade>> {
        Box::pin(async move {
            self.begin("upgrade")?;
            let outcome = Box::new(Outcome {
                host_keys: vec![host_key(&wish.host.reach)],
                engine: "0.2.0".to_owned(),
                expires: EXPIRES,
                agent: "11".repeat(32),
                facts: serde_json::json!({ "architecture": "x86_64" }),
                timings: Vec::new(),
            });
            Ok(Upgrade::Done { outcome, before: "0.1.0".to_owned() })
        })
    }

    fn purge<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.begin("purge")?;
            self.state().agents.remove(host.machine.as_str());
            Ok(())
        })
    }

    fn restart<'a>(&'a self, _: &'a Host) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.begin("restart") })
    }

    fn run<'a>(
        &'a self,
        _: &'a Host,
        command: Option<&'a str>,
        input: &'a [u8],
    ) -> BoxFuture<'a, Result<Ran>> {
        Box::pin(async move {
            self.begin("run")?;
            if command.is_some_and(|command| command.contains("$SSH_CONNECTION")) {
                let client = self.state().client.clone().unwrap_or_else(|| CLIENT.to_owned());
                let stdout = format!("{client} 50022 10.0.0.4 22").into_bytes();
                return Ok(Ran { status: 0, stdout, stderr: Vec::new() });
            }
            // An echo: the command, then what it was fed.
            let stdout = [command.unwrap_or_default().as_bytes(), input].concat();
            Ok(Ran { status: 0, stdout, stderr: Vec::new() })
        })
    }

    fn tunnel<'a>(&'a self, host: &'a Host, port: u16) -> BoxFuture<'a, Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            self.begin("tunnel")?;
            Err(Error::new(Kind::Unreachable, format!("nobody listens on port {port} of {}", host.name)))
        })
    }

    fn ask<'a>(&'a self, engine: &'a Engine) -> BoxFuture<'a, Result<EngineFacts>> {
        Box::pin(async move {
            self.begin("ask")?;
            if self.state().agents.contains_key(engine.machine.as_str()) {
                return Ok(EngineFacts { version: "0.1.0".to_owned(), api_version: "1.51".to_owned() });
            }
            Err(Error::new(Kind::Unreachable, format!("nobody answers at {}:{}", engine.host, engine.port)))
        })
    }
}

fn revoked(wish: &Provision) -> Vec<String> {
    wish.revoked.revoked.iter().map(|one| one.serial.clone()).collect()
}

fn host_key(reach: &Reach) -> String {
    format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIfake{}", hex(&reach.ssh_host))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
