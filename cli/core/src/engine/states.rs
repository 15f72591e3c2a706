//! What drivers say of machines: those of one account and one configuration are asked about by one call, so that a cloud
//! answers for all of them with one list. Where there are no accounts every machine is asked about by itself, and what
//! is wrong with one hides no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wharf_driver::{AnyDriver, Known, Observation, State};

use crate::engine::work::same_account;
use crate::journal::Machine;
use crate::{Call, Error, Result, Wharf};

/// What a driver said, and how long that took.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: Result<Observation, Arc<Error>>,
    pub(super) took: Duration,
}

/// What drivers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// States, and the addresses of those that are in another than the journal knows.
    States,
    /// States and addresses.
    Addresses,
}

impl Want {
    fn knowing(self, machine: &Machine) -> Option<State> {
        if self == Self::States { machine.settled() } else { None }
    }
}

type Answers = Vec<Result<Observation, Arc<Error>>>;

impl Wharf {
    /// One answer for each machine, in order; none is waited for beyond `until`.
    pub(super) async fn ask_drivers(
        &self,
        machines: &[&Machine],
        want: Want,
        call: &Call,
        until: Instant,
    ) -> Vec<Asked> {
        let groups = groups(machines);
        let ask = async |group: &Vec<usize>| {
            let (members, since): (Vec<&Machine>, _) =
                (group.iter().map(|&index| machines[index]).collect(), self.clock.now());
            let answers = self.ask_together(&members, want, call, until).await;
            (answers, self.clock.now().saturating_duration_since(since))
        };
        let answers = join_all(groups.iter().map(ask)).await;
        let mut asked: Vec<(usize, Asked)> = Vec::with_capacity(machines.len());
        for (group, (answers, took)) in groups.iter().zip(answers) {
            asked.extend(group.iter().zip(answers).map(|(&index, answer)| (index, Asked { answer, took })));
        }
        asked.sort_by_key(|(index, _)| *index);
        asked.into_iter().map(|(_, asked)| asked).collect()
    }

    /// Machines of one driver and configuration: one answer for each.
    async fn ask_together(&self, members: &[&Machine], want: Want, call: &Call, until: Instant) -> Answers {
        let Some(first) = members.first() else { return Vec::new() };
        let cx = self.looking(first, call, until);
        let driver = match self.connect_to(first, call, &cx).await {
            Ok(driver) => driver,
            Err(error) => {
                let error = Arc::new(error);
                return members.iter().map(|_| Err(Arc::clone(&error))).collect();
            }
        };
        if driver.account().is_none() {
            return join_all(members.iter().map(|machine| self.ask_alone(machine, &driver, call, until)))
                .await;
        }
        let strange: Vec<Option<Error>> =
            members.iter().map(|machine| same_account(machine, &*driver).err()).collect();
        let ours = members.iter().zip(&strange).filter(|(_, strange)| strange.is_none());
        let resources: Vec<_> =
            ours.map(|(machine, _)| (machine.resources(), want.knowing(machine))).collect();
        let known: Vec<_> = resources.iter().map(|(made, state)| Known { made, state: *state }).collect();
        let seen = if known.is_empty() { Ok(Vec::new()) } else { driver.observe(&known, &cx).await };
        let mut seen = seen.map(Vec::into_iter).map_err(|error| Arc::new(Error::from(error)));
        let answer = |strange| match (strange, &mut seen) {
            (Some(error), _) => Err(Arc::new(error)),
            (None, Ok(seen)) => Ok(seen.next().unwrap_or_else(nothing)),
            (None, Err(error)) => Err(Arc::clone(error)),
        };
        strange.into_iter().map(answer).collect()
    }

    async fn ask_alone(
        &self,
        machine: &Machine,
        driver: &Arc<dyn AnyDriver>,
        call: &Call,
        until: Instant,
    ) -> Result<Observation, Arc<Error>> {
        let cx = self.looking(machine, call, until);
        same_account(machine, &**driver)?;
        let seen = driver.observe(&[Known::of(&machine.resources())], &cx).await.map_err(Error::from)?;
        Ok(seen.into_iter().next().unwrap_or_else(nothing))
    }
}

/// The machines of each driver and configuration, by index.
pub(super) fn groups(machines: &[&Machine]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, machine) in machines.iter().enumerate() {
        let like = |group: &&mut Vec<usize>| {
            group.first().is_some_and(|&first| {
                (&machines[first].driver, &machines[first].config) == (&machine.driver, &machine.config)
            })
        };
        match groups.iter_mut().find(like) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

fn nothing() -> Observation {
    Observation { state: State::Unknown, reach: None, warnings: Vec::new() }
}
