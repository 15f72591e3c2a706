//! What machines are right now: everybody is asked at once, and nobody is waited for longer than the one deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wharf_driver::{ActionKey, AnyDriver, Context, MachineName, Progress, Reach, State};

use crate::engine::connection::summary;
use crate::engine::ledger::milliseconds;
use crate::engine::states::{Asked, Want};
use crate::engine::work::{bounded, no_such_machine, same_account};
use crate::journal::Machine;
use crate::{Call, EngineFacts, Error, Kind, Observed, Result, Wharf};

/// How much is found out of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Their states.
    States,
    /// Their states, and what their engines say.
    Engines,
    /// That, and whether they are still where they were, though it takes a call more.
    Everything,
}

impl Look {
    const fn want(self) -> Want {
        match self {
            Self::States | Self::Engines => Want::States,
            Self::Everything => Want::Addresses,
        }
    }
}

/// That it is reached by another address than the journal knows.
pub(super) fn moved(machine: &Machine, now: &Reach) -> Option<String> {
    let before = machine.reach.as_ref().filter(|before| before.engine_host != now.engine_host)?;
    Some(format!("its address is {} and was {}", now.engine_host, before.engine_host))
}

impl Wharf {
    /// What these machines are right now, in this order; all machines when `names` is empty. What cannot be found out
    /// before the call's deadline is missing, and the answer says why.
    ///
    /// # Errors
    /// When the store itself cannot be read, or one of `names` is no machine.
    pub async fn observe(&self, names: &[MachineName], look: Look, call: &Call) -> Result<Vec<Observed>> {
        let until = self.clock.now() + call.deadline;
        let (wanted, read): (Vec<MachineName>, Vec<Result<Machine>>) = if names.is_empty() {
            self.all_machines().await?.into_iter().unzip()
        } else {
            (names.to_vec(), join_all(names.iter().map(|name| self.machine(name))).await)
        };
        let machines: Vec<&Machine> = read.iter().filter_map(|machine| machine.as_ref().ok()).collect();
        let engine = async |machine| {
            if look == Look::States {
                return (None, Duration::ZERO);
            }
            let since = self.clock.now();
            let answer = self.ask_engine(machine, call, until).await;
            (Some(answer), self.clock.now().saturating_duration_since(since))
        };
        let engines = join_all(machines.iter().map(|machine| engine(*machine)));
        let (states, engines) = tokio::join!(self.ask_drivers(&machines, look.want(), call, until), engines);
        let mut answers = states.into_iter().zip(engines);
        let mut seen = Vec::with_capacity(wanted.len());
        for (name, machine) in wanted.iter().zip(&read) {
            match machine {
                Ok(machine) => {
                    seen.extend(answers.next().map(|(state, engine)| self.judge(machine, &state, engine)));
                }
                // Removed since the names were read.
                Err(error) if error.kind() == Kind::NoSuchMachine && names.is_empty() => {}
                Err(error) if error.kind() == Kind::NoSuchMachine => return Err(no_such_machine(name)),
                Err(error) => {
                    let mut damaged = nothing_of(name);
                    fault(&mut damaged, error);
                    seen.push(damaged);
                }
            }
        }
        Ok(seen)
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

    fn judge(
        &self,
        machine: &Machine,
        state: &Asked,
        (engine, took): (Option<Result<Option<EngineFacts>>>, Duration),
    ) -> Observed {
        let mut observed = nothing_of(&machine.name);
        observed.summary = Some(summary(machine));
        observed.notes.extend(stays_down(machine));
        if machine.is_over(milliseconds(&*self.clock) / 1000) {
            observed.warnings.push("its time is over: `wharf gc --yes` removes it".to_owned());
        }
        observed.took = state.took.max(took);
        match &state.answer {
            Ok(now) => {
                observed.state = Some(now.state);
                observed.warnings.extend(now.warnings.iter().cloned());
                let moved = now.reach.as_ref().and_then(|reach| moved(machine, reach));
                let mend = |moved| format!("{moved}: `wharf start {}` follows it", machine.name);
                observed.warnings.extend(moved.map(mend));
            }
            Err(error) => fault(&mut observed, error),
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
        observed
    }

    async fn look_at(&self, machine: &Machine, call: &Call, cx: &Context) -> Result<Arc<dyn AnyDriver>> {
        let driver = self.connect_to(machine, call, cx).await?;
        same_account(machine, &*driver)?;
        Ok(driver)
    }

    /// Signs in as the machine's configuration says, whoever that is.
    pub(super) async fn connect_to(
        &self,
        machine: &Machine,
        call: &Call,
        cx: &Context,
    ) -> Result<Arc<dyn AnyDriver>> {
        let factory = self.driver(&machine.driver)?;
        let connecting = async { Ok(factory.connect(machine.config.clone(), cx).await?) };
        bounded(self, call, cx.deadline, "signing in", connecting).await
    }

    pub(super) fn looking(&self, machine: &Machine, call: &Call, until: Instant) -> Context {
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

fn nothing_of(name: &MachineName) -> Observed {
    Observed {
        name: name.clone(),
        summary: None,
        state: None,
        engine: None,
        warnings: Vec::new(),
        notes: Vec::new(),
        took: Duration::ZERO,
        errors: Vec::new(),
        kinds: Vec::new(),
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
