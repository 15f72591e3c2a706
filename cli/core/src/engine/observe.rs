//! What machines are right now: everybody is asked at once, and nobody is waited for longer than the one deadline.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wharf_driver::{ActionKey, AnyDriver, Context, MachineName, Observation, Progress, State};

use crate::engine::connection::summary;
use crate::engine::work::{bounded, same_account};
use crate::journal::Machine;
use crate::{Call, Error, Kind, Observed, Result, Wharf};

impl Wharf {
    /// What these machines are right now, in this order; all machines when `names` is empty. What cannot be found out
    /// before the call's deadline is missing, and the answer says why.
    ///
    /// # Errors
    /// When the store itself cannot be read, or one of `names` is no machine.
    pub async fn observe(
        &self,
        names: &[MachineName],
        ask_engine: bool,
        call: &Call,
    ) -> Result<Vec<Observed>> {
        let until = self.clock.now() + call.deadline;
        let wanted = if names.is_empty() { self.store.machines().await? } else { names.to_vec() };
        let answers =
            join_all(wanted.iter().map(|name| self.observe_one(name, ask_engine, call, until))).await;
        let gone = |answer: &Result<Observed>| {
            // Removed since the names were read.
            names.is_empty() && answer.as_ref().is_err_and(|error| error.kind() == Kind::NoSuchMachine)
        };
        answers.into_iter().filter(|answer| !gone(answer)).collect()
    }

    /// The tail of the machine's console, where its driver has one.
    ///
    /// # Errors
    /// When there is no such machine, or the driver cannot be asked.
    pub async fn console(&self, name: &MachineName, call: &Call) -> Result<Option<String>> {
        let machine = self.machine(name).await?;
        let until = self.clock.now() + call.deadline;
        let cx = self.looking(&machine, call, until);
        let driver = self.look_at(&machine, call, &cx).await?;
        Ok(driver.console(&machine.resources(), &cx).await?)
    }

    async fn observe_one(
        &self,
        name: &MachineName,
        ask_engine: bool,
        call: &Call,
        until: Instant,
    ) -> Result<Observed> {
        let mut observed = Observed {
            name: name.clone(),
            summary: None,
            state: None,
            engine: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            took: Duration::ZERO,
            errors: Vec::new(),
            kinds: Vec::new(),
        };
        let machine = match self.machine(name).await {
            Ok(machine) => machine,
            Err(error) if error.kind() == Kind::NoSuchMachine => return Err(error),
            Err(error) => {
                fault(&mut observed, &error);
                return Ok(observed);
            }
        };
        observed.summary = Some(summary(&machine));
        observed.notes.extend(stays_down(&machine));
        let since = self.clock.now();
        let state = self.ask_driver(&machine, call, until);
        let engine =
            async { if ask_engine { Some(self.ask_engine(&machine, call, until).await) } else { None } };
        let (state, engine) = tokio::join!(state, engine);
        observed.took = self.clock.now().saturating_duration_since(since);
        match state {
            Ok(now) => (observed.state, observed.warnings) = (Some(now.state), now.warnings),
            Err(error) => fault(&mut observed, &error),
        }
        match engine {
            Some(Ok(facts)) => observed.engine = facts,
            // That a machine which is off does not answer is no news.
            Some(Err(error)) if may_answer(observed.state) => {
                let shut_out = machine.may_be_shut_out(self.session.client());
                observed.notes.extend(shut_out.filter(|_| error.kind() == Kind::Unreachable));
                fault(&mut observed, &error);
            }
            Some(Err(_)) | None => {}
        }
        Ok(observed)
    }

    async fn ask_driver(&self, machine: &Machine, call: &Call, until: Instant) -> Result<Observation> {
        let cx = self.looking(machine, call, until);
        let driver = self.look_at(machine, call, &cx).await?;
        let seen = driver.observe(&[machine.resources().as_slice()], &cx).await?;
        let nothing = Observation { state: State::Unknown, reach: None, warnings: Vec::new() };
        Ok(seen.into_iter().next().unwrap_or(nothing))
    }

    async fn look_at(
        &self,
        machine: &Machine,
        call: &Call,
        cx: &Context,
    ) -> Result<std::sync::Arc<dyn AnyDriver>> {
        let factory = self.driver(&machine.driver)?;
        let connecting = async { Ok(factory.connect(machine.config.clone(), cx).await?) };
        let driver = bounded(self, call, cx.deadline, "signing in", connecting).await?;
        same_account(machine, &*driver)?;
        Ok(driver)
    }

    fn looking(&self, machine: &Machine, call: &Call, until: Instant) -> Context {
        Context {
            key: ActionKey::derive(&machine.id, "", 0),
            owner: machine.owner.clone(),
            seed: None,
            deadline: until,
            cancel: call.cancel.clone(),
            progress: Progress::silent(),
            places: self.places(&machine.name),
            session: self.session.clone(),
        }
    }
}

/// Whether a reboot is the end of the engine.
fn stays_down(machine: &Machine) -> Option<String> {
    let facts = &machine.provisioned.as_ref()?.facts;
    (facts.get("init")?.as_str()? == "none").then(|| {
        format!(
            "a reboot does not bring its engine back, since the host has no init system that wharf knows: \
             `wharf provision {}` does",
            machine.name
        )
    })
}

/// Says what is missing and why, in one line: a wrong key is nothing without its fingerprints.
fn fault(observed: &mut Observed, error: &Error) {
    let facts = error.facts().iter().filter(|_| error.kind() == Kind::HostKey);
    let facts = facts.map(|(name, value)| format!("; {name}: {value}"));
    observed.errors.push(error.to_string() + &facts.collect::<String>());
    observed.kinds.push(error.kind());
}

fn may_answer(state: Option<State>) -> bool {
    !matches!(state, Some(State::Stopped | State::Absent | State::Partial | State::Stopping))
}
