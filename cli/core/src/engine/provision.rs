//! From an address to an engine that answers, and the same again as repair.

use std::sync::Arc;
use std::time::Duration;

use wharf_driver::{AnyDriver, HostKeyTrust, Known, MachineSpec, Power, Reach, Secret, State};
use wharf_pki::Revocations;

use crate::bootstrap::{Accept, Accepted, Changes, Host, Provision};
use crate::engine::keys::Keys;
use crate::engine::ledger::Ledger;
use crate::engine::work::Work;
use crate::journal::{Event, Machine};
use crate::{
    Call, Connection, CreateRequest, EngineOptions, Error, Kind, Life, MachineName, Phase, Result, Timing,
    Wharf, What,
};

const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Wharf {
    /// Brings the engine to a machine again: repairs what is broken, changes nothing that is right.
    ///
    /// # Errors
    /// What stopped it.
    pub async fn provision(&self, name: &MachineName, call: &Call) -> Result<Connection> {
        let work = Work::existing(self, name, call).await?;
        work.provision().await
    }

    /// Makes the machine's engine what `options` say, and brings it there again. Containers go on.
    ///
    /// # Errors
    /// What stopped it; another one, or a provision, goes on.
    pub async fn configure(
        &self,
        name: &MachineName,
        options: &EngineOptions,
        call: &Call,
    ) -> Result<Connection> {
        let work = Work::existing(self, name, call).await?;
        work.provisionable()?;
        if work.machine()?.options != *options {
            work.record(Event::Configured { options: Box::new(options.clone()) }).await?;
        }
        work.provision().await
    }
}

impl Work<'_> {
    /// Brings the engine to a machine that is finished.
    async fn provision(&self) -> Result<Connection> {
        self.provisionable()?;
        self.wharf.bootstrap.check()?;
        let driver = self.driver(&self.machine()?).await?;
        self.phase(Phase::Addressing)?;
        self.find_address(&driver).await?;
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        self.install(&driver, &keys).await?;
        self.connection().await
    }

    /// Refuses a machine that is not finished, or that its driver leaves to somebody else.
    fn provisionable(&self) -> Result<()> {
        self.finished()?;
        let (name, about) = (self.name, self.wharf.driver(&self.machine()?.driver)?.about());
        if about.capabilities.provisions {
            return Ok(());
        }
        let message =
            format!("machine `{name}` cannot be provisioned: driver `{}` does nothing to it", about.name);
        Err(Error::new(Kind::Refused, message).hint("somebody else looks after its engine"))
    }

    /// Refuses a machine that has no engine, because it is not finished or because none was wanted.
    pub(crate) fn has_engine(&self) -> Result<()> {
        let name = self.name;
        if self.machine()?.life() == Life::Bare {
            self.provisionable()?;
            return Err(Error::new(Kind::Refused, format!("machine `{name}` has no engine"))
                .hint(format!("`wharf provision {name}` brings it")));
        }
        if let Some(from) = self.machine()?.imported {
            let message = format!("the engine of machine `{name}` is {from}'s, and so are its certificates");
            return Err(Error::new(Kind::Refused, message).hint(format!(
                "once that engine is off the host, `wharf provision {name}` brings wharf's own"
            )));
        }
        self.finished()
    }

    /// Refuses a machine that is not finished, or on its way out.
    pub(crate) fn finished(&self) -> Result<()> {
        let name = self.name;
        let (what, hint) = match self.machine()?.life() {
            Life::Bare | Life::Ready => return Ok(()),
            Life::Creating => ("not finished", format!("`wharf create {name}` continues it")),
            Life::Removing => ("being removed", format!("`wharf rm {name}` finishes that")),
        };
        Err(Error::new(Kind::Refused, format!("machine `{name}` is {what}")).hint(hint))
    }

    /// Waits until the driver gives it an address.
    pub(crate) async fn find_address(&self, driver: &Arc<dyn AnyDriver>) -> Result<Reach> {
        loop {
            let machine = self.machine()?;
            let resources = machine.resources();
            let seen =
                driver.observe(&[Known::of(resources.as_slice())], &self.context(&machine.owner)).await?;
            let now = seen.into_iter().next();
            match now.as_ref().map(|now| (now.state, now.reach.clone())) {
                Some((State::Running | State::Unknown, Some(reach))) => {
                    if machine.reach.as_ref() != Some(&reach) {
                        self.record(Event::Seen { reach: reach.clone() }).await?;
                    }
                    for warning in now.map(|now| now.warnings).unwrap_or_default() {
                        self.say(What::Warning(warning));
                    }
                    return Ok(reach);
                }
                Some((State::Absent, _)) => return Err(self.vanished()),
                // A create was killed between making it and starting it.
                Some((State::Stopped, _)) if machine.life() == Life::Creating && may_start(driver) => {
                    self.start(driver, &machine).await?;
                }
                Some((State::Stopped, _)) => return Err(self.stopped()),
                _ => self.pause(LOOK_AGAIN, "an address").await?,
            }
        }
    }

    /// Brings the engine there unless it answered before.
    pub(crate) async fn bring_engine(&self, driver: &Arc<dyn AnyDriver>, keys: &Keys) -> Result<Vec<Timing>> {
        if self.machine()?.provisioned.is_some() {
            return Ok(Vec::new());
        }
        self.install(driver, keys).await
    }

    /// Brings the engine there.
    pub(crate) async fn install(&self, driver: &Arc<dyn AnyDriver>, keys: &Keys) -> Result<Vec<Timing>> {
        self.phase(Phase::Bootstrapping)?;
        self.be_admitted(driver, keys).await?;
        let wish = self.wish(keys).await?;
        self.export().await?;
        self.record(Event::Provisioning { names: wish.names.clone() }).await?;
        self.begin_revoking(&wish).await?;
        let doing = self.wharf.bootstrap.provision(&wish);
        let outcome = self.bounded("bringing the agent there", doing).await;
        let outcome = outcome.map_err(|error| self.explain(error))?;
        self.accept(outcome.host_keys).await?;
        self.record(Event::Provisioned {
            engine: outcome.engine,
            names: wish.names.clone(),
            expires: outcome.expires,
            agent: outcome.agent,
            facts: outcome.facts,
        })
        .await?;
        self.end_revoking(&wish).await?;
        self.export().await?;
        Ok(outcome.timings)
    }

    /// With what the journal knows about an engine or host that does not answer.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self.machine() {
            Ok(machine) => machine.explain(error, self.wharf.session.client()),
            Err(_) => error,
        }
    }

    /// What the bootstrap is told about this machine.
    pub(crate) async fn wish(&self, keys: &Keys) -> Result<Provision> {
        let machine = self.machine()?;
        let reach = machine.reach.clone().ok_or_else(|| self.no_address())?;
        let credentials = self.wharf.credentials(self.call).await?;
        let rotate_host_key = reach.access.host_key == HostKeyTrust::Seeded && machine.host_keys.is_empty();
        let mut options = machine.options.clone();
        if machine.adopts {
            // Nothing forwards ports there: the engine listens where it is reached.
            options.port = reach.engine_port;
        }
        if let Some(end) = machine.owner.expires {
            options.arguments.push(format!("--expires={end}"));
            // What was there before wharf stays on.
            options.arguments.extend((!machine.adopts).then(|| "--power-off".to_owned()));
        }
        Ok(Provision {
            names: names(&machine, &reach),
            options,
            authority: credentials.authority,
            revoked: self.wharf.revocations().await?,
            client: credentials.client,
            rotate_host_key,
            host: self.host(&machine, reach, keys),
        })
    }

    /// What the bootstrap would be told about a host of which nothing stands in a journal.
    pub(crate) fn hypothetical(
        &self,
        request: &CreateRequest,
        wanted: &MachineSpec,
        reach: Reach,
    ) -> Result<Provision> {
        let credentials = self.wharf.throwaway_credentials()?;
        let key = Keys::unkept()?.sign_in;
        let mut names = vec![reach.engine_host.clone()];
        names.extend(request.options.extra_names.iter().cloned());
        Ok(Provision {
            names,
            options: EngineOptions { port: reach.engine_port, ..request.options.clone() },
            authority: credentials.authority,
            revoked: Revocations::default(),
            client: credentials.client,
            rotate_host_key: false,
            host: Host {
                machine: wanted.id.clone(),
                name: wanted.name.clone(),
                reach,
                key: Secret::new(key.private().to_owned()),
                host_keys: Vec::new(),
                jump_keys: Vec::new(),
                deadline: self.until,
                cancel: self.call.cancel.clone(),
                confirm: self.call.confirm.clone(),
                progress: self.progress(),
                accept: Accept::nothing(),
                changes: Changes::default(),
            },
        })
    }

    /// What the bootstrap is told about where the machine is.
    pub(crate) fn host(&self, machine: &Machine, reach: Reach, keys: &Keys) -> Host {
        let ledger = Arc::clone(&self.ledger);
        // What a machine was born with is accepted already, and waits to be replaced.
        let first = reach.access.host_key != HostKeyTrust::Seeded;
        let accept = Accept::new(move |accepted| {
            let ledger = Arc::clone(&ledger);
            Box::pin(async move { write_down(&ledger, accepted, first).await })
        });
        // A machine that wharf made was born with this one; for any other the policy decides at the first connection.
        let born = match reach.access.host_key {
            HostKeyTrust::Seeded => vec![keys.host.public().trim_end().to_owned()],
            _ => Vec::new(),
        };
        let host_keys = if machine.host_keys.is_empty() { born } else { machine.host_keys.clone() };
        Host {
            machine: machine.id.clone(),
            name: machine.name.clone(),
            reach,
            key: Secret::new(keys.sign_in.private().to_owned()),
            host_keys,
            jump_keys: machine.jump_keys.clone(),
            deadline: self.until,
            cancel: self.call.cancel.clone(),
            confirm: self.call.confirm.clone(),
            progress: self.progress(),
            accept,
            changes: self.changes.clone(),
        }
    }

    /// Writes the accepted host keys down, if they are others than before.
    pub(crate) async fn accept(&self, keys: Vec<String>) -> Result<()> {
        if keys.is_empty() || self.machine()?.host_keys == keys {
            return Ok(());
        }
        self.record(Event::HostKeys { keys }).await
    }

    pub(crate) fn no_address(&self) -> Error {
        let name = self.name;
        Error::new(Kind::Refused, format!("machine `{name}` has no address yet")).hint(format!(
            "`wharf create {name}` continues an unfinished machine, `wharf start {name}` starts it"
        ))
    }

    async fn start(&self, driver: &Arc<dyn AnyDriver>, machine: &Machine) -> Result<()> {
        let to = Power::On;
        self.record(Event::Powering { to }).await?;
        driver.power(&machine.resources(), to, &self.context(&machine.owner)).await?;
        self.record(Event::Powered { to }).await
    }

    fn vanished(&self) -> Error {
        let name = self.name;
        Error::new(
            Kind::Failed,
            format!("machine `{name}` does not exist any more: somebody removed it elsewhere"),
        )
        .hint(format!("`wharf rm {name}` forgets it"))
    }

    fn stopped(&self) -> Error {
        let name = self.name;
        Error::new(Kind::Unreachable, format!("machine `{name}` is stopped"))
            .hint(format!("start it with `wharf start {name}`"))
    }
}

/// Keys that were shown are kept where none were accepted: whoever proved something once must prove it again.
async fn write_down(ledger: &Ledger, accepted: Accepted, first: bool) -> Result<()> {
    let (host, jumps) = match accepted {
        Accepted::Keys(keys) => return ledger.record(Event::HostKeys { keys }).await,
        Accepted::Shown { host, jumps } => (host, jumps),
    };
    let machine = ledger.machine()?;
    if first && machine.host_keys.is_empty() {
        ledger.record(Event::HostKeys { keys: vec![host] }).await?;
    }
    if !jumps.is_empty() && machine.jump_keys.is_empty() {
        ledger.record(Event::JumpKeys { jumps }).await?;
    }
    Ok(())
}

fn may_start(driver: &Arc<dyn AnyDriver>) -> bool {
    driver.about().capabilities.power
}

/// What a machine's server certificate holds: every address and name that it is reached by.
pub(crate) fn names(machine: &Machine, reach: &Reach) -> Vec<String> {
    let mut names = vec![reach.engine_host.clone(), reach.ssh_host.clone()];
    // Not every name that a machine may have is one that a certificate takes.
    names.extend(Some(machine.name.to_string()).filter(|name| name.parse::<wharf_pki::Name>().is_ok()));
    names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
    names.extend(machine.options.extra_names.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
