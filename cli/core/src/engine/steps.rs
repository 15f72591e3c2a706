//! The driver's steps: made in the order of their needs, independent ones at once; settled when nobody saw their end;
//! destroyed in reverse.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use wharf_driver::{ActionKey, AnyDriver, Kind as DriverKind, Seed, Settles};

use crate::engine::ledger::milliseconds;
use crate::engine::work::Work;
use crate::journal::{Event, Status};
use crate::{Error, Result, What};

const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_LONGEST: Duration = Duration::from_secs(15);

impl Work<'_> {
    /// Performs every step that is not made yet. After a failure nothing more is begun, and what was begun is waited
    /// for, so that its end stands in the journal.
    pub(crate) async fn perform_all(&self, driver: &Arc<dyn AnyDriver>, seed: &Arc<Seed>) -> Result<()> {
        let due = |work: &Self, index: usize| {
            let machine = work.machine()?;
            let open = matches!(machine.steps()[index].1, Status::Planned | Status::Started { .. });
            Ok(open && machine.needs_met(index))
        };
        self.waves(due, |index| Box::pin(self.perform(driver, seed, index))).await
    }

    /// Destroys what every step left, what needs others before what it needs.
    pub(crate) async fn destroy_all(&self, driver: &Arc<dyn AnyDriver>) -> Result<()> {
        let due = |work: &Self, index: usize| {
            let machine = work.machine()?;
            let there = matches!(machine.steps()[index].1, Status::Made(_) | Status::Destroying(_));
            Ok(there && machine.unneeded(index))
        };
        self.waves(due, |index| Box::pin(self.destroy(driver, index))).await
    }

    /// Finds out what became of every step that was started and whose end nobody saw. Afterwards each of them is made
    /// or undone.
    pub(crate) async fn settle_all(&self, driver: &Arc<dyn AnyDriver>) -> Result<()> {
        let mut pause = ASK_AGAIN;
        loop {
            let mut open = 0;
            for index in 0..self.machine()?.steps().len() {
                if !self.settle(driver, index).await? {
                    open += 1;
                }
            }
            if open == 0 {
                return Ok(());
            }
            self.pause(pause, "actions whose end nobody saw").await?;
            pause = (pause * 2).min(ASK_AGAIN_LONGEST);
        }
    }

    /// Runs `act` on every step that is `due`, as soon as it is, all that are at once.
    async fn waves<'s>(
        &'s self,
        due: impl Fn(&Self, usize) -> Result<bool>,
        act: impl Fn(usize) -> BoxFuture<'s, Result<()>>,
    ) -> Result<()> {
        self.while_held(self.waves_to_the_end(due, act)).await
    }

    async fn waves_to_the_end<'s>(
        &'s self,
        due: impl Fn(&Self, usize) -> Result<bool>,
        act: impl Fn(usize) -> BoxFuture<'s, Result<()>>,
    ) -> Result<()> {
        let mut running = FuturesUnordered::new();
        let mut begun = vec![false; self.machine()?.steps().len()];
        let mut failure = None;
        loop {
            for (index, begun) in begun.iter_mut().enumerate() {
                if failure.is_none() && !*begun && due(self, index)? {
                    *begun = true;
                    running.push(act(index));
                }
            }
            match running.next().await {
                None => return failure.map_or(Ok(()), Err),
                Some(Ok(())) => {}
                // The first failure is the cause; later ones are often its consequences.
                Some(Err(error)) => failure = failure.or(Some(error)),
            }
        }
    }

    async fn perform(&self, driver: &Arc<dyn AnyDriver>, seed: &Arc<Seed>, index: usize) -> Result<()> {
        let machine = self.machine()?;
        let (step, status) = &machine.steps()[index];
        let key = match status {
            Status::Started { key, .. } => key.clone(),
            _ if step.shared => ActionKey::shared(&machine.owner.store, &step.name),
            _ => ActionKey::derive(&machine.id, &step.name, machine.attempt),
        };
        let cx = self.making(&machine.owner, key.clone(), Some(Arc::clone(seed)));
        // Held until the journal says that this machine uses it.
        let hold = self.hold(&machine, step).await?;
        self.record(Event::Started { step: index, key: key.clone(), deadline: self.deadline() }).await?;
        self.say(What::StepStarted { name: step.name.clone(), summary: step.summary.clone() });
        let made: Vec<Value> = machine.resources();
        let performed = match &hold {
            None => driver.perform(&step.action, &made, &cx).await,
            Some(hold) => self.share(driver, hold, step, &made, cx).await,
        };
        match performed {
            Ok(resource) => {
                self.record(Event::Made { step: index, resource }).await?;
                self.say(What::StepDone { name: step.name.clone() });
                Ok(())
            }
            Err(error) => {
                self.say(What::StepFailed { name: step.name.clone() });
                // What another command began, this one's refusal does not end.
                if error.leaves_nothing() && !matches!(status, Status::Started { .. }) {
                    self.record(Event::Undone { step: index, because: error.to_string() }).await?;
                } else {
                    // Its last call is over: nobody needs to wait for the command's own deadline any more.
                    let now = milliseconds(&*self.wharf.clock);
                    self.record(Event::Started { step: index, key, deadline: now }).await?;
                }
                Err(Error::from(error).during(&step.summary))
            }
        }
    }

    /// Whether the step at `index` has no open end any more.
    async fn settle(&self, driver: &Arc<dyn AnyDriver>, index: usize) -> Result<bool> {
        let machine = self.machine()?;
        let (step, Status::Started { key, deadline }) = &machine.steps()[index] else { return Ok(true) };
        let cx = self.making(&machine.owner, key.clone(), None);
        // The time is taken before asking: what appears between the answer and now would be missed otherwise.
        let now = milliseconds(&*self.wharf.clock);
        if let Some(resource) = driver.settle(&step.action, &cx).await? {
            self.record(Event::Made { step: index, resource }).await?;
            return Ok(true);
        }
        let because = match driver.about().settles {
            Settles::AtOnce => "the driver says that it left nothing",
            Settles::After(window) if now > deadline.saturating_add(as_milliseconds(window)) => {
                "nothing appeared until its deadline and the driver's window had passed"
            }
            Settles::After(_) => return Ok(false),
        };
        self.record(Event::Undone { step: index, because: because.to_owned() }).await?;
        Ok(true)
    }

    async fn destroy(&self, driver: &Arc<dyn AnyDriver>, index: usize) -> Result<()> {
        let machine = self.machine()?;
        let (step, Status::Made(resource) | Status::Destroying(resource)) = &machine.steps()[index] else {
            return Ok(());
        };
        // Held until the journal says that this machine does not use it.
        let hold = self.hold(&machine, step).await?;
        if let Some(hold) = &hold
            && let Some(by) = self.other_user(&machine, step, hold).await?
        {
            return self.record(Event::Kept { step: index, by }).await;
        }
        self.record(Event::Destroying { step: index }).await?;
        self.say(What::StepStarted { name: step.name.clone(), summary: format!("remove {}", step.name) });
        let cx = self.context(&machine.owner);
        match driver.destroy(resource, &cx).await {
            Ok(()) => {
                self.record(Event::Destroyed { step: index }).await?;
                self.say(What::StepDone { name: step.name.clone() });
                Ok(())
            }
            Err(error) if step.shared && error.kind() == DriverKind::InUse => {
                self.say(What::StepDone { name: step.name.clone() });
                self.record(Event::Left { step: index, because: error.to_string() }).await
            }
            Err(error) => {
                self.say(What::StepFailed { name: step.name.clone() });
                Err(Error::from(error).during(&format!("remove {}", step.name)))
            }
        }
    }

    /// This verb's end as a time of day, for other processes.
    fn deadline(&self) -> u64 {
        let left = self.until.saturating_duration_since(self.wharf.clock.now());
        milliseconds(&*self.wharf.clock).saturating_add(as_milliseconds(left))
    }
}

fn as_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
