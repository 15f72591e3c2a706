//! From a machine in any state to nothing: what was started is settled first, then everything is destroyed in reverse.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_driver::{AnyDriver, MachineName, Settles};

use crate::engine::keys::{HOST, Keys, SIGN_IN};
use crate::engine::ledger::milliseconds;
use crate::engine::work::{Work, no_such_machine};
use crate::journal::{Event, Machine, Status};
use crate::{Call, Error, Kind, Phase, RemoveOptions, Removed, Result, Wharf};

const TAKING_BACK: Duration = Duration::from_secs(60);
const SPARE: Duration = Duration::from_secs(60);

impl Wharf {
    /// Removes the machine, wherever its life stopped. Afterwards its name is free.
    ///
    /// A host that existed before stays as it is unless `options.purge`, and the answer says so.
    ///
    /// # Errors
    /// What could not be removed; another remove continues.
    pub async fn remove(&self, name: &MachineName, options: RemoveOptions, call: &Call) -> Result<Removed> {
        if !self.store.machines().await?.contains(name) {
            return Err(no_such_machine(name));
        }
        let mut work = Work::lock(self, name, call).await?;
        match work.ledger.read().await {
            Ok(Some(machine)) if machine.forgettable() => {
                work.ledger.forget().await?;
                return Ok(Removed { left: Vec::new() });
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                work.ledger.forget().await?;
                return Err(no_such_machine(name));
            }
            Err(damaged) if options.force => return work.forget_damaged(&damaged).await,
            Err(damaged) => return Err(damaged),
        }
        let left = work.remove(options).await?;
        Ok(Removed { left })
    }
}

impl Work<'_> {
    async fn remove(&mut self, options: RemoveOptions) -> Result<Vec<String>> {
        let RemoveOptions { purge, force } = options;
        // Whoever is not signed in, or somewhere else, has not begun anything.
        let driver = match self.driver_for_removal().await {
            Err(error) if !force || error.kind() == Kind::Cancelled => return Err(error),
            driver => driver,
        };
        self.record(Event::Removing { purge, force }).await?;
        let machine = self.machine()?;
        let mut left = Vec::new();
        let destroyed = match driver {
            Ok(Some(driver)) => self.destroy_machine(&machine, &driver, purge).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match destroyed {
            Ok(()) => {}
            Err(error) if force && error.kind() != Kind::Cancelled => {
                left.push(format!("what machine `{}` is made of may still be there: {error}", self.name));
            }
            Err(error) => {
                let name = self.name;
                return Err(error
                    .hint(format!("`wharf rm {name}` again continues; `--force` forgets it all the same")));
            }
        }
        left.extend(self.machine()?.left);
        if machine.adopts && machine.touched && !purge {
            let host = machine.reach.as_ref().map_or("the host", |reach| reach.ssh_host.as_str());
            left.push(format!(
                "{host} stays as it is: the agent, its containers and their data are still there"
            ));
        }
        if let (Some(from), Some(reach)) = (&machine.imported, &machine.reach) {
            left.push(format!("{} stays as it is, with the engine that {from} brought", reach.ssh_host));
        }
        left.extend(self.forget_keys().await);
        self.record(Event::Removed).await?;
        self.ledger.forget().await?;
        Ok(left)
    }

    async fn forget_damaged(&self, damaged: &Error) -> Result<Removed> {
        let mut left = vec![format!("whatever machine `{}` was made of: {damaged}", self.name)];
        left.extend(self.forget_keys().await);
        self.ledger.forget().await?;
        Ok(Removed { left })
    }

    /// Takes the machine's keys out of the keyring. One that cannot be asked keeps what nobody needs any more.
    async fn forget_keys(&self) -> Vec<String> {
        let mut left = Vec::new();
        for key in [SIGN_IN, HOST] {
            if let Err(error) = self.wharf.vault.forget(self.ledger.lease(), key).await {
                left.push(format!("{error}; the key opens nothing any more"));
            }
        }
        left
    }

    /// The driver, if there is anything for it to do.
    async fn driver_for_removal(&self) -> Result<Option<Arc<dyn AnyDriver>>> {
        let machine = self.machine()?;
        let anything = machine.steps().iter().any(|(_, s)| !matches!(s, Status::Planned | Status::Destroyed));
        if anything { self.driver(&machine).await.map(Some) } else { Ok(None) }
    }

    async fn destroy_machine(
        &mut self,
        machine: &Machine,
        driver: &Arc<dyn AnyDriver>,
        purge: bool,
    ) -> Result<()> {
        self.phase(Phase::Settling)?;
        self.wait_long_enough(machine, &**driver);
        self.settle_all(driver).await?;
        if purge {
            self.purge(machine).await?;
        }
        self.phase(Phase::Removing)?;
        self.destroy_all(driver).await
    }

    /// Settling may take until an earlier command's deadline; afterwards there is as much time as without it, for what
    /// was settled is destroyed only then.
    fn wait_long_enough(&mut self, machine: &Machine, driver: &dyn AnyDriver) {
        let Settles::After(window) = driver.about().settles else { return };
        let now = milliseconds(&*self.wharf.clock);
        let open = machine.steps().iter().filter_map(|(_, status)| match status {
            Status::Started { deadline, .. } => Some(Duration::from_millis(deadline.saturating_sub(now))),
            _ => None,
        });
        if let Some(longest) = open.max() {
            self.until =
                self.until.max(self.wharf.clock.now() + longest + window + SPARE.max(self.call.deadline));
        }
    }

    /// Takes the agent off a host that stays.
    async fn purge(&self, machine: &Machine) -> Result<()> {
        let purged = machine.removal.is_some_and(|removal| removal.purged);
        let Some(reach) = machine.reach.clone().filter(|_| machine.adopts && machine.touched && !purged)
        else {
            return Ok(());
        };
        self.record(Event::Purging).await?;
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        let host = self.host(machine, reach, &keys);
        self.bounded("taking the agent away", self.wharf.bootstrap.purge(&host)).await?;
        self.record(Event::Purged).await
    }

    /// Takes a create back that was interrupted or refused, within a minute, whatever the person cancelled.
    pub(crate) async fn take_back(&self) -> Result<()> {
        let call = Call { cancel: CancellationToken::new(), deadline: TAKING_BACK, ..self.call.clone() };
        let until = self.wharf.clock.now() + TAKING_BACK;
        let mut work = Work { call: &call, until, ..self.clone() };
        // Settling may want to wait longer than a person who has just interrupted: then the journal remembers.
        tokio::select! {
            biased;
            taken_back = work.remove(RemoveOptions::default()) => taken_back.map(drop),
            () = self.wharf.clock.sleep(TAKING_BACK) => {
                Err(Error::new(Kind::Failed, "what was begun could not be taken back within a minute"))
            }
        }
    }
}
