//! Starting and stopping. After a start the machine may have another address: it is looked up, and the server
//! certificate follows it.

use std::time::Duration;

use wharf_driver::{AnyDriver, MachineName, Power, StillPaid};

use crate::engine::keys::Keys;
use crate::engine::ledger::milliseconds;
use crate::engine::provision::names;
use crate::engine::work::Work;
use crate::journal::{Event, Machine};
use crate::{Call, Connection, Error, Kind, Phase, Result, Wharf, What};

const ASK_AGAIN: Duration = Duration::from_millis(250);
pub(super) const ABOUT_TO_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Wharf {
    /// Starts, stops or restarts the machine. Being there already is success. After a start its engine answers.
    ///
    /// # Errors
    /// Refused where the driver cannot do it.
    pub async fn power(&self, name: &MachineName, to: Power, call: &Call) -> Result<Connection> {
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        let machine = work.machine()?;
        if matches!(to, Power::On | Power::Restart) {
            machine.refuse_over(milliseconds(&*self.clock) / 1000)?;
        }
        let driver = work.driver(&machine).await?;
        work.phase(Phase::Powering)?;
        if driver.about().capabilities.power {
            work.record(Event::Powering { to }).await?;
            driver.power(&machine.resources(), to, &work.context(&machine.owner)).await?;
            work.record(Event::Powered { to }).await?;
            work.say_what_costs(&*driver, to);
        } else if to == Power::Restart {
            work.restart_from_within().await?;
        } else {
            return Err(cannot(&*driver, name, to));
        }
        if matches!(to, Power::On | Power::Restart) {
            work.phase(Phase::Addressing)?;
            work.find_address(&driver).await?;
            work.follow_address().await?;
            work.wait_for_engine().await?;
            work.catch_up_with_revocations().await;
        }
        work.connection().await
    }
}

impl Machine {
    /// Whether its time is over at this second since 1970.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.owner.expires.is_some_and(|end| end <= now)
    }

    /// It would power itself off again at once.
    fn refuse_over(&self, now: u64) -> Result<()> {
        if self.adopts || !self.is_over(now) {
            return Ok(());
        }
        let message =
            format!("the time of machine `{}` is over: it would power itself off at once", self.name);
        Err(Error::new(Kind::Refused, message).hint("`wharf gc --yes` removes it, and so does `wharf rm`"))
    }
}

impl Work<'_> {
    fn say_what_costs(&self, driver: &dyn AnyDriver, off: Power) {
        let StillPaid { stopped, killed, .. } = driver.about().capabilities.still_paid;
        let costs = match off {
            Power::Off => stopped,
            Power::Kill => killed,
            Power::On | Power::Restart => "",
        };
        if !costs.is_empty() {
            self.say(What::Warning(costs.to_owned()));
        }
    }

    async fn restart_from_within(&self) -> Result<()> {
        let machine = self.machine()?;
        let reach = machine.reach.clone().ok_or_else(|| self.no_address())?;
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        self.record(Event::Powering { to: Power::Restart }).await?;
        let host = self.host(&machine, reach, &keys);
        self.bounded("restarting it", self.wharf.bootstrap.restart(&host)).await?;
        self.record(Event::Powered { to: Power::Restart }).await
    }

    /// Gives the engine a certificate for the address that it has now, where the old one lacks it or is about to end.
    pub(crate) async fn follow_address(&self) -> Result<()> {
        let machine = self.machine()?;
        let (Some(engine), Some(reach)) = (&machine.provisioned, &machine.reach) else { return Ok(()) };
        let ends_soon = milliseconds(&*self.wharf.clock) / 1000 + ABOUT_TO_END.as_secs() > engine.expires;
        if !ends_soon && names(&machine, reach).iter().all(|name| engine.names.contains(name)) {
            return self.export().await;
        }
        self.certify().await
    }

    /// Waits until the engine answers, where there is one.
    pub(crate) async fn wait_for_engine(&self) -> Result<()> {
        let machine = self.machine()?;
        if machine.provisioned.is_none() {
            return Ok(());
        }
        let engine = self.wharf.engine_of(&machine, self.call, self.until).await?;
        loop {
            let Err(error) = self.bounded("asking the engine", self.wharf.bootstrap.ask(&engine)).await
            else {
                return Ok(());
            };
            if error.kind() != Kind::Unreachable {
                return Err(error);
            }
            if self.pause(ASK_AGAIN, "the engine").await.is_err() {
                let error = self.explain(error);
                return Err(error.hint(format!("`wharf provision {}` repairs the engine", self.name)));
            }
        }
    }
}

fn cannot(driver: &dyn AnyDriver, name: &MachineName, to: Power) -> Error {
    let about = driver.about();
    let what = match to {
        Power::On => "started",
        Power::Off => "stopped",
        Power::Kill => "killed",
        Power::Restart => "restarted",
    };
    Error::new(
        Kind::Refused,
        format!("machine `{name}` cannot be {what}: driver `{}` has no power over it", about.name),
    )
    .hint(if about.capabilities.provisions {
        format!("use `wharf ssh {name}` and the host's own commands")
    } else {
        "ask whoever looks after it".to_owned()
    })
}
