//! From a wish to a machine whose engine answers. A create that was cut off anywhere is continued by the next one.

use std::sync::Arc;

use wharf_driver::{About, AnyDriver, Known, MachineId, MachineName, MachineSpec, Observation, OwnerTag};

use crate::bootstrap::Provision;
use crate::engine::keys::Keys;
use crate::engine::ledger::milliseconds;
use crate::engine::work::{Timer, Work};
use crate::journal::{Event, Machine};
use crate::{Call, CreateRequest, Created, Error, Kind, Life, Phase, PlannedStep, Result, Wharf, What};

const ATTEMPT: u32 = 1;

impl Wharf {
    /// Makes the machine, or continues making it. What is refused leaves nothing behind.
    ///
    /// # Errors
    /// Refused when the name is taken or the driver refuses; otherwise what stopped it. The journal then holds what
    /// was made, for another create to continue or a remove to take away.
    pub async fn create(&self, request: &CreateRequest, call: &Call) -> Result<Created> {
        self.driver(&request.driver)?;
        if !self.is_bare(request)? {
            self.bootstrap.check()?;
        }
        let work = Work::lock(self, &request.name, call).await?;
        let Some(machine) = work.ledger.read().await? else { return work.create(request).await };
        if machine.forgettable() {
            // Its removal was killed at its last step.
            work.ledger.forget().await?;
            drop(work);
            let work = Work::lock(self, &request.name, call).await?;
            return work.create(request).await;
        }
        same_wish(&machine, request, self.driver(&request.driver)?.about())?;
        work.finish(true).await
    }

    /// Whether no engine is brought to what is wished for. A host that exists is taken over for nothing else.
    pub(super) fn is_bare(&self, request: &CreateRequest) -> Result<bool> {
        let About { name, capabilities, .. } = self.driver(&request.driver)?.about();
        if request.bare && capabilities.adopts && capabilities.provisions {
            let message =
                format!("driver `{name}` takes over a host to bring the agent to it, and does nothing else");
            return Err(Error::new(Kind::Refused, message).hint("leave --no-bootstrap out"));
        }
        Ok(request.bare || !capabilities.provisions)
    }

    /// Continues a create that was cut off.
    ///
    /// # Errors
    /// As [`Wharf::create`].
    pub async fn resume(&self, name: &MachineName, call: &Call) -> Result<Created> {
        let work = Work::existing(self, name, call).await?;
        let machine = work.machine()?;
        if !machine.bare {
            self.bootstrap.check()?;
        }
        match machine.life() {
            Life::Removing => Err(being_removed(name)),
            Life::Creating | Life::Bare | Life::Ready => work.finish(true).await,
        }
    }

    /// Takes over a host that exists, without changing what is there.
    ///
    /// # Errors
    /// Refused when the driver makes machines instead; else as [`Wharf::create`].
    pub async fn adopt(&self, request: &CreateRequest, call: &Call) -> Result<Created> {
        let about = self.driver(&request.driver)?.about();
        if !about.capabilities.adopts {
            let message = format!("driver `{}` makes machines and takes over none", about.name);
            return Err(
                Error::new(Kind::Refused, message).hint("`--driver ssh` takes over a host by its address")
            );
        }
        self.create(request, call).await
    }

    /// What a create would do. Nothing is made, here or there.
    ///
    /// # Errors
    /// As [`Wharf::create`].
    pub async fn plan(&self, request: &CreateRequest, call: &Call) -> Result<Vec<PlannedStep>> {
        self.driver(&request.driver)?;
        let work = Work::lock(self, &request.name, call).await?;
        let planned = match work.ledger.read().await? {
            Some(machine) => {
                same_wish(&machine, request, self.driver(&request.driver)?.about())?;
                return Ok(machine.steps().iter().map(|(step, _)| planned("driver", step)).collect());
            }
            None => work.plan_only(request).await,
        };
        work.ledger.forget().await?;
        planned
    }
}

impl Work<'_> {
    async fn create(&self, request: &CreateRequest) -> Result<Created> {
        let begun = match self.begin(request).await {
            Ok(()) => self.finish(false).await,
            Err(error) => Err(error),
        };
        let Err(error) = begun else { return begun };
        Err(self.step_back(error).await)
    }

    /// Checks everything that can be checked, then begins the journal.
    pub(super) async fn begin(&self, request: &CreateRequest) -> Result<()> {
        self.phase(Phase::Checking)?;
        let factory = self.wharf.driver(&request.driver)?;
        let about = factory.about();
        if request.expires.is_some() && !about.capabilities.provisions {
            let message = format!("driver `{}` looks after nothing that could end", about.name);
            return Err(Error::new(Kind::Refused, message).hint("leave --ttl out"));
        }
        let wanted = self.wanted(request).await?;
        let (driver, plan) = self.driver_and_plan(request, &wanted).await?;
        self.wharf.can_sign().await?;
        self.record(Event::Begun {
            machine: wanted.id.clone(),
            name: wanted.name.clone(),
            driver: about.name.to_owned(),
            driver_version: about.version,
            config: request.config.clone(),
            options: Box::new(request.options.clone()),
            owner: wanted.owner.clone(),
            adopts: about.capabilities.adopts,
            account: driver.account(),
            bare: self.wharf.is_bare(request)?,
            fleet: request.fleet.clone(),
        })
        .await?;
        drop(driver);
        if request.expires.is_some() {
            self.say_what_ends(about, self.machine()?.bare);
        }
        self.record(Event::Planned { attempt: ATTEMPT, plan }).await
    }

    /// What the end of its time does to a machine, where that is less than a person may expect.
    fn say_what_ends(&self, about: About, bare: bool) {
        let what = match about.capabilities {
            _ if bare => "nothing on it ends it: when its time is over, `wharf gc --yes` removes it",
            capabilities if capabilities.adopts => {
                "when its time is over its engine takes no new containers; the host itself stays on"
            }
            capabilities => capabilities.still_paid.over,
        };
        if !what.is_empty() {
            self.say(What::Warning(what.to_owned()));
        }
    }

    async fn wanted(&self, request: &CreateRequest) -> Result<MachineSpec> {
        let mut fresh = [0; 16];
        self.wharf.entropy.fill(&mut fresh)?;
        let id = MachineId::from_bytes(fresh);
        let made = milliseconds(&*self.wharf.clock) / 1000;
        let owner = OwnerTag {
            store: self.wharf.store.id().await?,
            machine: id.clone(),
            name: request.name.clone(),
            made,
            expires: request.expires.map(|life| made.saturating_add(life.as_secs())),
        };
        let engine_port = request.options.port;
        Ok(MachineSpec { name: request.name.clone(), id, owner, attempt: ATTEMPT, engine_port })
    }

    async fn driver_and_plan(
        &self,
        request: &CreateRequest,
        wanted: &MachineSpec,
    ) -> Result<(Arc<dyn AnyDriver>, wharf_driver::Plan<serde_json::Value>)> {
        let cx = self.context(&wanted.owner);
        self.wharf.make_places(&cx.places)?;
        let factory = self.wharf.driver(&request.driver)?;
        let connecting = async { Ok(factory.connect(request.config.clone(), &cx).await?) };
        let driver = self.bounded("signing in", connecting).await?;
        let plan = driver.plan(wanted, None, &cx).await?;
        Ok((driver, plan))
    }

    async fn plan_only(&self, request: &CreateRequest) -> Result<Vec<PlannedStep>> {
        self.phase(Phase::Checking)?;
        let wanted = self.wanted(request).await?;
        let (driver, plan) = self.driver_and_plan(request, &wanted).await?;
        let mut steps: Vec<PlannedStep> = plan.steps.iter().map(|step| planned("driver", step)).collect();
        // A host that is there already can be asked what bringing the agent to it would change.
        if !self.wharf.is_bare(request)?
            && let Some(wish) = self.existing_host(&*driver, request, &wanted).await?
        {
            steps.extend(self.wharf.bootstrap.plan(&wish).await?);
        }
        Ok(steps)
    }

    async fn existing_host(
        &self,
        driver: &dyn AnyDriver,
        request: &CreateRequest,
        wanted: &MachineSpec,
    ) -> Result<Option<Provision>> {
        if !driver.about().capabilities.adopts {
            return Ok(None);
        }
        let cx = self.context(&wanted.owner);
        let seen = driver.observe(&[Known::of(&[])], &cx).await?;
        let Some(reach) = seen.into_iter().find_map(|Observation { reach, .. }| reach) else {
            return Ok(None);
        };
        self.hypothetical(request, wanted, reach).map(Some)
    }

    /// Everything after the journal's beginning, wherever an earlier command stopped.
    pub(crate) async fn finish(&self, resumed: bool) -> Result<Created> {
        let mut timer = Timer::new(self.wharf);
        let machine = self.machine()?;
        let driver = self.driver(&machine).await?;
        if machine.steps.is_none() {
            self.plan_late(&machine, &*driver).await?;
        }
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        self.phase(Phase::Making)?;
        self.perform_all(&driver, &keys.seed(self.name)).await?;
        timer.lap("make");
        self.phase(Phase::Addressing)?;
        self.find_address(&driver).await?;
        timer.lap("address");
        if !machine.bare {
            let parts = self.bring_engine(&driver, &keys).await?;
            timer.lap("bootstrap");
            timer.add(parts);
        }
        Ok(Created { connection: self.connection().await?, resumed, timings: timer.timings })
    }

    /// Killed between its first two events.
    async fn plan_late(&self, machine: &Machine, driver: &dyn AnyDriver) -> Result<()> {
        let wanted = MachineSpec {
            name: machine.name.clone(),
            id: machine.id.clone(),
            owner: machine.owner.clone(),
            attempt: ATTEMPT,
            engine_port: machine.options.port,
        };
        let plan = driver.plan(&wanted, None, &self.context(&machine.owner)).await?;
        self.record(Event::Planned { attempt: ATTEMPT, plan }).await
    }

    /// After a first create failed: takes back what it can at once, so that a refusal or an interruption leaves nothing
    /// behind. What cannot be taken back stays in the journal.
    async fn step_back(&self, error: Error) -> Error {
        let Ok(machine) = self.machine() else {
            // Nothing was begun: only the folder of the lock is there.
            return match self.ledger.forget().await {
                Ok(()) => error,
                Err(_) => error.fact("left", self.wharf.places(self.name).machine.display().to_string()),
            };
        };
        // A host that was there before and may be changed is left: it may hold an engine's data from before.
        let mine = !machine.adopts || !self.changes.begun();
        let refused =
            matches!(error.kind(), Kind::Refused | Kind::HostKey | Kind::NotAllowed | Kind::Unreachable);
        if mine && (error.kind() == Kind::Cancelled || machine.adopts && refused) {
            self.say(What::Doing("taking back what was begun".to_owned()));
            if self.take_back().await.is_ok() {
                return error;
            }
        }
        let name = self.name;
        error.hint(format!("`wharf create {name}` again continues, `wharf rm {name}` removes what there is"))
    }
}

/// A wish for a machine that is there must be the same wish, for one that is not finished.
fn same_wish(machine: &Machine, request: &CreateRequest, driver: About) -> Result<()> {
    let name = &machine.name;
    match machine.life() {
        Life::Removing => return Err(being_removed(name)),
        Life::Bare | Life::Ready => {
            return Err(Error::new(Kind::Refused, format!("there is a machine `{name}` already"))
                .hint(format!("choose another name, or remove it with `wharf rm {name}`")));
        }
        Life::Creating => {}
    }
    let bare = request.bare || !driver.capabilities.provisions;
    let same = machine.driver == driver.name
        && machine.config == request.config
        && machine.options == request.options
        && machine.owner.life() == request.expires
        && machine.bare == bare;
    if same {
        return Ok(());
    }
    let message = format!("an unfinished machine `{name}` was begun with other settings");
    let hint =
        format!("run the command it was begun with to continue it, or remove it with `wharf rm {name}`");
    Err(Error::new(Kind::Refused, message).hint(hint))
}

fn being_removed(name: &MachineName) -> Error {
    Error::new(Kind::Refused, format!("machine `{name}` is being removed"))
        .hint(format!("`wharf rm {name}` finishes that"))
}

fn planned<A>(part: &'static str, step: &wharf_driver::Step<A>) -> PlannedStep {
    let verb = format!("{:?}", step.verb).to_lowercase();
    PlannedStep { part, verb, name: step.name.clone(), summary: step.summary.clone() }
}
