//! One verb at work on one machine: its lock, its driver, and until when.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf_driver::{ActionKey, AnyDriver, Context, MachineName, OwnerTag, Places, Progress, Seed};

use crate::bootstrap::Changes;
use crate::engine::ledger::Ledger;
use crate::journal::{Event, Machine};
use crate::store::{Subject, Wait};
use crate::{Call, Error, Kind, Phase, Result, Timing, Wharf, What};

/// The frame of a verb.
#[derive(Debug, Clone)]
pub(crate) struct Work<'a> {
    pub(crate) wharf: &'a Wharf,
    pub(crate) call: &'a Call,
    pub(crate) name: &'a MachineName,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) until: Instant,
    /// Whether this verb may have changed something on the machine itself.
    pub(crate) changes: Changes,
}

impl<'a> Work<'a> {
    /// Takes the machine's lock.
    pub(crate) async fn lock(wharf: &'a Wharf, name: &'a MachineName, call: &'a Call) -> Result<Self> {
        let now = wharf.clock.now();
        let held = |holder: &str| call.events.say(name, What::Waiting { holder: holder.to_owned() });
        let wait =
            Wait { until: now + call.lock_wait, cancel: &call.cancel, holder: &call.command, held: &held };
        let ledger = Ledger::lock(&wharf.store, &wharf.clock, name, &wait).await?;
        let until = wharf.clock.now() + call.deadline;
        let work = Self { wharf, call, name, ledger: Arc::new(ledger), until, changes: Changes::default() };
        if work.ledger.torn() > 0 {
            let cut = format!("cut {} bytes of a torn last line off the journal", work.ledger.torn());
            work.say(What::Warning(cut));
        }
        Ok(work)
    }

    /// Takes the lock of a machine that must be there.
    pub(crate) async fn existing(wharf: &'a Wharf, name: &'a MachineName, call: &'a Call) -> Result<Self> {
        // Asked before the lock, which would make a folder.
        if !wharf.store.machines().await?.contains(name) {
            return Err(no_such_machine(name));
        }
        let work = Self::lock(wharf, name, call).await?;
        if work.ledger.read().await?.is_some_and(|machine| !machine.forgettable()) {
            return Ok(work);
        }
        work.ledger.forget().await?;
        Err(no_such_machine(name))
    }

    pub(crate) fn machine(&self) -> Result<Machine> {
        self.ledger.machine()
    }

    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        self.ledger.record(event).await
    }

    pub(crate) fn say(&self, what: What) {
        self.call.events.say(self.name, what);
    }

    pub(crate) fn phase(&self, phase: Phase) -> Result<()> {
        self.say(What::Phase(phase));
        if self.call.cancel.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }

    pub(crate) fn progress(&self) -> Progress {
        let (events, name) = (self.call.events.clone(), self.name.clone());
        Progress::new(move |what| events.say(&name, What::Doing(what.to_owned())))
    }

    /// The context of a driver's call that makes nothing.
    pub(crate) fn context(&self, owner: &OwnerTag) -> Context {
        self.making(owner, ActionKey::derive(&owner.machine, "", 0), None)
    }

    /// The context of a driver's call.
    pub(crate) fn making(&self, owner: &OwnerTag, key: ActionKey, seed: Option<Arc<Seed>>) -> Context {
        Context {
            key,
            owner: owner.clone(),
            seed,
            deadline: self.until,
            cancel: self.call.cancel.clone(),
            progress: self.progress(),
            places: self.wharf.places(self.name),
            session: self.wharf.session.clone(),
        }
    }

    /// Connects to the driver of a machine that is there.
    pub(crate) async fn driver(&self, machine: &Machine) -> Result<Arc<dyn AnyDriver>> {
        let factory = self.wharf.driver(&machine.driver)?;
        let newest = factory.about().version;
        if machine.driver_version > newest {
            let message = format!(
                "machine `{}` was made with version {} of driver `{}`, and this release has {newest}",
                machine.name, machine.driver_version, machine.driver
            );
            return Err(
                Error::new(Kind::Refused, message).hint("use the newer release of wharf that made it")
            );
        }
        let cx = self.context(&machine.owner);
        self.wharf.make_places(&cx.places)?;
        let connecting = async { Ok(factory.connect(machine.config.clone(), &cx).await?) };
        let driver = self.bounded("signing in", connecting).await?;
        same_account(machine, &*driver)?;
        Ok(driver)
    }

    /// Ends `doing` at the deadline or when it is cancelled.
    pub(crate) async fn bounded<T>(&self, what: &str, doing: impl Future<Output = Result<T>>) -> Result<T> {
        self.while_held(bounded(self.wharf, self.call, self.until, what, doing)).await
    }

    /// Ends `doing` when the machine's lock is lost: from then on it is another command's.
    pub(crate) async fn while_held<T>(&self, doing: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.ledger.lease().ended.cancelled() => Err(lost()),
            done = doing => done,
        }
    }

    /// Waits between two questions; an error once there is no time left.
    pub(crate) async fn pause(&self, pause: Duration, waiting_for: &str) -> Result<()> {
        if self.wharf.clock.now() + pause > self.until {
            return Err(Error::new(Kind::Failed, format!("no time left while waiting for {waiting_for}")));
        }
        tokio::select! {
            biased;
            () = self.call.cancel.cancelled() => Err(interrupted()),
            () = self.ledger.lease().ended.cancelled() => Err(lost()),
            () = self.wharf.clock.sleep(pause) => Ok(()),
        }
    }
}

/// "Not found" means gone only under the account that made the machine.
///
/// # Errors
/// Not allowed, naming both accounts.
pub(crate) fn same_account(machine: &Machine, driver: &dyn AnyDriver) -> Result<()> {
    let (Some(made_in), Some(now)) = (&machine.account, driver.account()) else { return Ok(()) };
    if *made_in == now {
        return Ok(());
    }
    let message = format!("machine `{}` was made in another account than the one signed in to", machine.name);
    Err(Error::new(Kind::NotAllowed, message)
        .fact("made in", made_in.to_string())
        .fact("signed in to", now.to_string())
        .hint("sign in to the account that it was made in, and run this again"))
}

impl Wharf {
    pub(crate) fn places(&self, name: &MachineName) -> Places {
        let folder = self.store.path(&Subject::Machine(name.clone()));
        Places { machine: folder.join("driver"), cache: self.cache.clone(), program: self.program.clone() }
    }

    pub(crate) fn make_places(&self, places: &Places) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        for folder in [&places.machine, &places.cache] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|e| {
                Error::new(Kind::Failed, format!("cannot make {}: {e}", folder.display())).caused_by(e)
            })?;
        }
        Ok(())
    }
}

/// Ends `doing` at `until` or when the call is cancelled.
pub(crate) async fn bounded<T>(
    wharf: &Wharf,
    call: &Call,
    until: Instant,
    what: &str,
    doing: impl Future<Output = Result<T>>,
) -> Result<T> {
    let left = until.saturating_duration_since(wharf.clock.now());
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => Err(interrupted()),
        done = doing => done,
        () = wharf.clock.sleep(left) => {
            Err(Error::new(Kind::Unreachable, format!("{what} did not end before the deadline")))
        }
    }
}

pub(crate) fn interrupted() -> Error {
    Error::new(Kind::Cancelled, "interrupted")
}

pub(crate) fn lost() -> Error {
    Error::new(Kind::Locked, "the lock was lost to another command")
        .hint("run the command again: it goes on where it stopped")
}

pub(crate) fn no_such_machine(name: &MachineName) -> Error {
    Error::new(Kind::NoSuchMachine, format!("there is no machine `{name}`"))
        .hint("`wharf ls` shows the machines there are")
}

/// Measures the phases of a verb.
#[derive(Debug)]
pub(crate) struct Timer<'a> {
    wharf: &'a Wharf,
    since: Instant,
    pub(crate) timings: Vec<Timing>,
}

impl<'a> Timer<'a> {
    pub(crate) fn new(wharf: &'a Wharf) -> Self {
        Self { wharf, since: wharf.clock.now(), timings: Vec::new() }
    }

    pub(crate) fn lap(&mut self, what: &str) {
        let now = self.wharf.clock.now();
        let took = now.saturating_duration_since(self.since).as_millis();
        let milliseconds = u64::try_from(took).unwrap_or(u64::MAX);
        self.timings.push(Timing { what: what.to_owned(), milliseconds });
        self.since = now;
    }

    pub(crate) fn add(&mut self, parts: Vec<Timing>) {
        self.timings.extend(parts);
    }
}
