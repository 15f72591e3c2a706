//! A fleet's machines as they are wanted, against what the journals and the clouds say: what would have to be done, and
//! why. Nothing is done here.
//!
//! Which machines belong to a fleet stands in their journals, so that one that is declared no more is found. A machine
//! that another fleet owns, whose cloud cannot be asked, or that was made in another account than the one signed in to
//! is trouble and never a change: what cannot be seen is not taken for gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wharf_driver::{MachineName, Observation, State};

use crate::engine::differences::{differences, option_differences, shown_life};
use crate::engine::hooks;
use crate::engine::ledger::milliseconds;
use crate::engine::observe::moved;
use crate::engine::power::ABOUT_TO_END;
use crate::engine::states::{Asked, Want};
use crate::engine::work::{Work, lost};
use crate::journal::{Event, Machine};
use crate::store::{Lease, Subject, Wait};
use crate::{Call, CreateRequest, Error, Kind, Life, Result, Wharf, What};

/// One thing to be done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// There is none of that name: it is made.
    Create,
    /// A create was cut off: it goes on.
    Finish,
    /// It is gone, or half removed: what is left of it goes, and it is made again.
    Recreate,
    /// It cannot become what is wanted: it is removed with everything on it, and made again.
    Replace,
    /// It belongs to no fleet and is what is wanted: this fleet takes it.
    Adopt,
    /// It is off: it is started.
    Start,
    /// Its address changed: its certificate follows.
    Readdress,
    /// Its engine's options changed, or it lacks one: the engine is brought again.
    Configure,
    /// Its certificate ends soon: there is a new one.
    Renew,
    /// Tags were taken off it in the cloud: they are put back.
    Mark,
    /// Hooks of the fleet are to run for it, which have not or did not succeed.
    Join,
    /// Nobody wants it any more.
    Remove,
}

/// What would have to be done to one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub name: MachineName,
    /// Its driver's name.
    pub driver: String,
    /// What, in this order; nothing where it is as it should be.
    pub deeds: Vec<Deed>,
    /// Why, each a phrase for people.
    pub because: Vec<String>,
    /// The number of its journal's last event; nought where there is none.
    pub events: u64,
    /// The hooks that are to run, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// Whether hooks would run for a machine that came from another store.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub for_others: bool,
}

/// A fleet against what there is.
#[derive(Debug)]
pub struct Comparison {
    /// The machines in the order they are wanted, then those that are not wanted any more.
    pub changes: Vec<Change>,
    /// Those of which nothing can be said, and why.
    pub trouble: Vec<(MachineName, Error)>,
}

/// A fleet's lock, held until this is dropped: who holds it alone changes the fleet.
#[derive(Debug)]
pub struct FleetLock {
    lease: Lease,
}

impl FleetLock {
    /// Ends `doing` when the lock is lost: from then on the fleet is another command's. What was begun stands in the
    /// machines' journals.
    ///
    /// # Errors
    /// Locked, when that happens.
    pub async fn while_held<T>(&self, doing: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.lease.ended.cancelled() => Err(lost()),
            done = doing => Ok(done),
        }
    }
}

impl Wharf {
    /// Takes the lock of a fleet, or says who holds it.
    ///
    /// # Errors
    /// Locked, once the call's patience is over.
    pub async fn lock_fleet(&self, fleet: &MachineName, call: &Call) -> Result<FleetLock> {
        let held = |holder: &str| call.events.say(fleet, What::Waiting { holder: holder.to_owned() });
        let until = self.clock.now() + call.lock_wait;
        let wait = Wait { until, cancel: &call.cancel, holder: &call.command, held: &held };
        let subject = Subject::Fleet(fleet.to_string());
        Ok(FleetLock { lease: self.store.lock(&subject, &wait).await? })
    }

    /// What would have to be done so that `fleet` is exactly these machines. Asks every cloud once an account.
    ///
    /// # Errors
    /// When the store itself cannot be read.
    pub async fn compare(&self, fleet: &str, wanted: &[CreateRequest], call: &Call) -> Result<Comparison> {
        let until = self.clock.now() + call.deadline;
        let named: BTreeSet<&MachineName> = wanted.iter().map(|request| &request.name).collect();
        let mut comparison = Comparison { changes: Vec::new(), trouble: Vec::new() };
        let mut there: BTreeMap<MachineName, Machine> = BTreeMap::new();
        for (name, machine) in self.all_machines().await? {
            match machine {
                Ok(machine) if named.contains(&name) || machine.fleet.as_deref() == Some(fleet) => {
                    there.insert(name, machine);
                }
                Err(error) if named.contains(&name) && error.kind() != Kind::NoSuchMachine => {
                    comparison.trouble.push((name, error));
                }
                // Somebody else's, or removed since the names were read.
                Ok(_) | Err(_) => {}
            }
        }
        let alive: Vec<&Machine> = there.values().filter(|machine| is_alive(machine)).collect();
        let (asked, mut unmarked) = tokio::join!(
            self.ask_drivers(&alive, Want::Addresses, call, until),
            self.unmarked(&alive, call, until)
        );
        let mut asked: BTreeMap<MachineName, Asked> =
            alive.iter().map(|machine| machine.name.clone()).zip(asked).collect();
        let hooked = !there.is_empty() && wanted.iter().any(|request| !request.hooks.is_empty());
        let store = if hooked { Some(self.store.id().await?) } else { None };
        for request in wanted {
            let name = &request.name;
            if comparison.trouble.iter().any(|(troubled, _)| troubled == name) {
                continue;
            }
            let change = match there.remove(name) {
                None => self.driver(&request.driver).map(|factory| made(request, factory.about().name)),
                Some(machine) => {
                    let marks = unmarked.remove(name).unwrap_or_default();
                    let change = self.change(fleet, request, &machine, asked.remove(name));
                    let others = store.as_ref().is_some_and(|store| machine.owner.store != *store);
                    change.map(|change| change.marked(marks).joined(request, Some((&machine, others))))
                }
            };
            match change {
                Ok(change) => comparison.changes.push(change),
                Err(error) => comparison.trouble.push((name.clone(), error)),
            }
        }
        for (name, machine) in there {
            match asked.remove(&name).map(|asked| asked.answer) {
                Some(Err(error)) => comparison.trouble.push((name, error.again())),
                _ => comparison.changes.push(removal(&machine)),
            }
        }
        Ok(comparison)
    }

    /// Makes the machine one of `fleet`, or of none.
    ///
    /// # Errors
    /// When there is no such machine, or it is not finished.
    pub async fn join_fleet(&self, name: &MachineName, fleet: Option<&str>, call: &Call) -> Result<()> {
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        if work.machine()?.fleet.as_deref() == fleet {
            return Ok(());
        }
        work.record(Event::Joined { fleet: fleet.map(ToOwned::to_owned) }).await
    }

    /// What would have to be done to a machine that is there.
    fn change(
        &self,
        fleet: &str,
        request: &CreateRequest,
        machine: &Machine,
        asked: Option<Asked>,
    ) -> Result<Change> {
        let mut change = Change {
            name: machine.name.clone(),
            driver: machine.driver.clone(),
            deeds: Vec::new(),
            because: Vec::new(),
            events: machine.last,
            hooks: Vec::new(),
            for_others: false,
        };
        let wanted = self.differences(request, machine)?;
        match &machine.fleet {
            Some(other) if other != fleet => return Err(owned(machine, &format!("fleet `{other}`"))),
            None if !wanted.is_empty() => return Err(owned(machine, "no fleet and is not what is wanted")),
            _ => {}
        }
        match machine.life() {
            Life::Removing => change.only(Deed::Recreate, vec!["its removal was cut off".to_owned()]),
            Life::Creating if wanted.is_empty() && machine.options == request.options => {
                change.only(Deed::Finish, vec!["its create was cut off".to_owned()]);
            }
            Life::Creating => change.only(Deed::Replace, with(wanted, "it was begun with other settings")),
            Life::Bare | Life::Ready => {
                let asked = asked.map(|asked| asked.answer);
                let seen = asked.transpose().map_err(|error| error.again())?;
                self.stands(request, machine, seen.as_ref(), wanted, &mut change)?;
            }
        }
        Ok(change)
    }

    /// As [`Wharf::change`], of a machine whose create is finished.
    fn stands(
        &self,
        request: &CreateRequest,
        machine: &Machine,
        seen: Option<&Observation>,
        wanted: Vec<String>,
        change: &mut Change,
    ) -> Result<()> {
        let state = seen.map_or(State::Unknown, |seen| seen.state);
        if matches!(state, State::Absent | State::Partial) {
            change.only(Deed::Recreate, vec!["it is not there any more".to_owned()]);
            return Ok(());
        }
        if !wanted.is_empty() {
            change.only(Deed::Replace, wanted);
            return Ok(());
        }
        let now = milliseconds(&*self.clock) / 1000;
        if machine.owner.expires.is_some_and(|end| end <= now) {
            change.only(Deed::Replace, vec!["its time is over".to_owned()]);
            return Ok(());
        }
        if machine.fleet.is_none() {
            change.add(Deed::Adopt, "it belongs to no fleet");
        }
        if matches!(state, State::Stopped | State::Stopping) {
            change.add(Deed::Start, "it is off");
        }
        let reach = seen.and_then(|seen| seen.reach.as_ref());
        if let (Some(now), Some(before)) = (reach, &machine.reach)
            && now != before
        {
            let otherwise = || "it is reached otherwise than before".to_owned();
            change.add(Deed::Readdress, moved(machine, now).unwrap_or_else(otherwise));
        }
        let engine = !self.is_bare(request)?;
        let lacks = engine && machine.life() == Life::Bare;
        if lacks {
            change.add(Deed::Configure, "it has no engine");
        }
        let options = option_differences(&machine.options, &request.options);
        if engine && !lacks && !options.is_empty() {
            change.deeds.push(Deed::Configure);
            change.because.extend(options);
        } else if engine && !lacks && machine.configuring {
            change.add(Deed::Configure, "its engine was not given its options to the end");
        }
        let soon = now + ABOUT_TO_END.as_secs();
        let ends = machine.provisioned.as_ref().is_some_and(|engine| engine.expires < soon);
        if ends && !change.deeds.contains(&Deed::Configure) {
            change.add(Deed::Renew, "its certificate ends within a month");
        }
        Ok(())
    }

    /// In what a machine differs from what is wanted so that it cannot become that.
    fn differences(&self, request: &CreateRequest, machine: &Machine) -> Result<Vec<String>> {
        let driver = self.driver(&request.driver)?.about().name;
        if driver != machine.driver {
            return Ok(vec![format!("its driver is {} and should be {driver}", machine.driver)]);
        }
        let mut found = differences(&machine.config, &request.config);
        let (was, is) = (machine.owner.life(), request.expires);
        if was != is {
            found.push(format!("ttl: {} → {}", shown_life(was), shown_life(is)));
        }
        Ok(found)
    }
}

impl Change {
    fn only(&mut self, deed: Deed, because: Vec<String>) {
        (self.deeds, self.because) = (vec![deed], because);
    }

    /// With the tags that are missing put back, unless it is made again anyway.
    fn marked(mut self, missing: Vec<String>) -> Self {
        let again = [Deed::Recreate, Deed::Replace, Deed::Finish];
        if !missing.is_empty() && !self.deeds.iter().any(|deed| again.contains(deed)) {
            self.deeds.push(Deed::Mark);
            self.because.extend(missing);
        }
        self
    }

    /// With the hooks that are to run: all of them for a machine that is made, else those that have not succeeded.
    fn joined(mut self, request: &CreateRequest, there: Option<(&Machine, bool)>) -> Self {
        let again = [Deed::Create, Deed::Recreate, Deed::Replace];
        let whole = self.deeds.iter().any(|deed| again.contains(deed));
        match there.filter(|_| !whole) {
            None => self.hooks = request.hooks.iter().map(|hook| hook.name.clone()).collect(),
            Some((machine, others)) => {
                let (hooks, why): (Vec<_>, Vec<_>) =
                    hooks::pending(machine, &request.hooks).into_iter().unzip();
                self.for_others = others && !hooks.is_empty();
                self.hooks = hooks;
                // Of one that is finished first it goes without saying.
                if !self.deeds.contains(&Deed::Finish) {
                    self.because.extend(why);
                }
            }
        }
        if !self.hooks.is_empty() {
            self.deeds.push(Deed::Join);
        }
        self
    }

    fn add(&mut self, deed: Deed, because: impl Into<String>) {
        self.deeds.push(deed);
        self.because.push(because.into());
    }
}

fn is_alive(machine: &Machine) -> bool {
    matches!(machine.life(), Life::Bare | Life::Ready)
}

fn made(request: &CreateRequest, driver: &str) -> Change {
    let change = Change {
        name: request.name.clone(),
        driver: driver.to_owned(),
        deeds: vec![Deed::Create],
        because: Vec::new(),
        events: 0,
        hooks: Vec::new(),
        for_others: false,
    };
    change.joined(request, None)
}

fn removal(machine: &Machine) -> Change {
    Change {
        name: machine.name.clone(),
        driver: machine.driver.clone(),
        deeds: vec![Deed::Remove],
        because: vec!["it is not declared any more".to_owned()],
        events: machine.last,
        hooks: Vec::new(),
        for_others: false,
    }
}

fn owned(machine: &Machine, by: &str) -> Error {
    let name = &machine.name;
    Error::new(Kind::Refused, format!("machine `{name}` belongs to {by}"))
        .hint(format!("declare another name, or remove that one with `wharf rm {name}`"))
}

fn with(mut reasons: Vec<String>, first: &str) -> Vec<String> {
    reasons.insert(0, first.to_owned());
    reasons
}
