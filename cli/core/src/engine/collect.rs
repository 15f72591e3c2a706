//! Removes what no journal names: machine by machine, of each what needs others first, and what machines share last.
//!
//! Each is done under the lock that whoever makes it would hold, and after another look at the journals: what is held or
//! was begun since it was found stays. Somebody else may remove the same meanwhile, since being gone already is success.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use wharf_driver::{Kind as DriverKind, OwnerTag};

use crate::engine::leftovers::{Hold, Leftover};
use crate::store::{Lease, Subject, Wait};
use crate::{Call, Error, Kind, Result, Wharf, What};

/// What came of one thing.
#[derive(Debug)]
pub enum End {
    /// It is gone.
    Removed,
    /// It stays, and why.
    Left(String),
    /// It could not be removed.
    Failed(Error),
}

/// Things of one machine, or one that machines share, each with its index.
type Batch<'a> = Vec<(usize, &'a Hold)>;

impl Wharf {
    /// Removes those of `things` whose fate that is; what came of each, by its index.
    pub async fn collect(&self, things: &[Leftover], call: &Call) -> Vec<(usize, End)> {
        let held = things.iter().enumerate().filter_map(|(at, thing)| Some((at, thing.hold.as_ref()?)));
        let (shared, own): (Batch<'_>, Batch<'_>) = held.partition(|(_, hold)| hold.owned.shared);
        let mut machines: BTreeMap<_, Batch<'_>> = BTreeMap::new();
        for (at, hold) in own {
            machines.entry((hold.driver.about().name, &hold.owned.tag.machine)).or_default().push((at, hold));
        }
        let ends = join_all(machines.into_values().map(|batch| self.collect_machine(batch, call))).await;
        let mut ends: Vec<(usize, End)> = ends.into_iter().flatten().collect();
        for batch in by_stage(shared) {
            // What needs it is still there.
            let stays = ends.iter().any(|(_, end)| !matches!(end, End::Removed));
            let done = join_all(batch.into_iter().map(async |(at, hold)| {
                let left = || End::Left("what needs it is still there".to_owned());
                (at, if stays { left() } else { self.collect_shared(hold, call).await })
            }));
            ends.extend(done.await);
        }
        ends.sort_by_key(|(at, _)| *at);
        ends
    }

    async fn collect_machine(&self, batch: Batch<'_>, call: &Call) -> Vec<(usize, End)> {
        let whole: Vec<usize> = batch.iter().map(|(at, _)| *at).collect();
        let Some(tag) = batch.first().map(|(_, hold)| hold.owned.tag.clone()) else { return Vec::new() };
        let lease = match self.take(&Subject::Machine(tag.name.clone()), call).await {
            Ok(lease) => lease,
            Err(why) => return whole.into_iter().map(|at| (at, why.clone().into())).collect(),
        };
        let mut ends = Vec::new();
        for stage in by_stage(batch) {
            let over = call.cancel.is_cancelled() || ends.iter().any(|(_, end)| !matches!(end, End::Removed));
            let done = join_all(stage.into_iter().map(async |(at, hold)| {
                let left = || End::Left("what needs it is still there".to_owned());
                (at, if over { left() } else { self.collect_own(hold, call).await })
            }));
            ends.extend(done.await);
        }
        drop(lease);
        ends
    }

    /// One thing of a machine whose lock is held.
    async fn collect_own(&self, hold: &Hold, call: &Call) -> End {
        let tag = &hold.owned.tag;
        match self.journals().await {
            Ok(journals) if journals.name(&hold.owned) => {
                End::Left(format!("machine `{}` was begun since", tag.name))
            }
            Ok(_) => self.destroy_found(hold, call).await,
            Err(error) => End::Failed(error),
        }
    }

    async fn collect_shared(&self, hold: &Hold, call: &Call) -> End {
        let (driver, step) = (hold.driver.about().name, &hold.owned.step);
        let _lease = match self.take(&Subject::Shared(format!("{driver}-{step}")), call).await {
            Ok(lease) => lease,
            Err(why) => return why.into(),
        };
        match self.journals().await {
            Ok(journals) if journals.user_of(driver, &hold.owned).is_some() => {
                End::Left("a machine was begun since that uses it".to_owned())
            }
            Ok(_) => self.destroy_found(hold, call).await,
            Err(error) => End::Failed(error),
        }
    }

    async fn destroy_found(&self, hold: &Hold, call: &Call) -> End {
        let owned = &hold.owned;
        let OwnerTag { name, .. } = &owned.tag;
        let say = |what: What| call.events.say(name, what);
        let summary = format!("remove the {} {}", owned.kind, owned.name);
        say(What::StepStarted { name: owned.step.clone(), summary: summary.clone() });
        let cx = self.at_large(owned.tag.clone(), call, self.clock.now() + call.deadline);
        match hold.driver.destroy(&owned.resource, &cx).await {
            Ok(()) => {
                say(What::StepDone { name: owned.step.clone() });
                End::Removed
            }
            Err(error) if error.kind() == DriverKind::InUse => {
                say(What::StepDone { name: owned.step.clone() });
                End::Left(error.to_string())
            }
            Err(error) => {
                say(What::StepFailed { name: owned.step.clone() });
                End::Failed(Error::from(error).during(&summary))
            }
        }
    }

    /// Takes a lock that nobody holds. The folder that a machine's lock makes is swept away by the next command.
    async fn take(&self, subject: &Subject, call: &Call) -> Result<Lease, Untaken> {
        let wait =
            Wait { until: self.clock.now(), cancel: &call.cancel, holder: &call.command, held: &|_| {} };
        self.store.lock(subject, &wait).await.map_err(|error| match error.kind() {
            Kind::Locked => Untaken { held: true, why: error.to_string() },
            _ => Untaken { held: false, why: error.to_string() },
        })
    }
}

/// Why a lock was not taken.
#[derive(Debug, Clone)]
struct Untaken {
    /// Somebody holds it.
    held: bool,
    why: String,
}

impl From<Untaken> for End {
    fn from(untaken: Untaken) -> Self {
        if untaken.held {
            Self::Left(untaken.why)
        } else {
            Self::Failed(Error::new(Kind::Failed, untaken.why))
        }
    }
}

/// Lower stages first.
fn by_stage(batch: Batch<'_>) -> impl Iterator<Item = Batch<'_>> {
    let mut stages: BTreeMap<u8, Batch<'_>> = BTreeMap::new();
    for (at, hold) in batch {
        stages.entry(hold.owned.stage).or_default().push((at, hold));
    }
    stages.into_values()
}
