//! What machines share: made by the first that needs it, taken away with the last one that does.
//!
//! Who uses it follows from the journals of the machines: from `started` on, until it is undone, destroyed, kept or left.
//! One lock for each shared thing makes that sound. It is held from before a machine's journal says that it uses the
//! thing until the thing is there, and from the look at everybody's journals until the thing is gone. So whoever finds
//! nobody else may remove it, and whoever comes meanwhile makes it anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use wharf_driver::{AnyDriver, Context, MachineName, OwnerTag, Step};

use crate::engine::work::Work;
use crate::journal::{Machine, Status, fold};
use crate::store::{Lease, Subject, Wait};
use crate::{Result, What};

/// What this process has seen with its own eyes, by the lock that it held then.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<BTreeMap<String, Seen>>);

#[derive(Debug, Clone)]
struct Seen {
    fence: u64,
    resource: Value,
}

/// The lock of a shared thing.
#[derive(Debug)]
pub(crate) struct Hold {
    name: String,
    lease: Lease,
}

impl Shared {
    /// What was there when this process held the lock last, if nobody else has held it since.
    fn unchanged(&self, hold: &Hold) -> Option<Value> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&hold.name)
            .filter(|seen| seen.fence + 1 == hold.lease.fence)
            .map(|seen| seen.resource.clone())
    }

    fn saw(&self, hold: &Hold, resource: Option<&Value>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match resource {
            Some(resource) => {
                let fresh = Seen { fence: hold.lease.fence, resource: resource.clone() };
                seen.insert(hold.name.clone(), fresh);
            }
            None => drop(seen.remove(&hold.name)),
        }
    }
}

impl Work<'_> {
    /// Takes the lock of a step that machines share; `None` for one that they do not.
    pub(crate) async fn hold(&self, machine: &Machine, step: &Step<Value>) -> Result<Option<Hold>> {
        if !step.shared {
            return Ok(None);
        }
        let name = format!("{}-{}", machine.driver, step.name);
        let held = |holder: &str| self.say(What::Waiting { holder: holder.to_owned() });
        // Somebody may be removing it, which takes as long as it takes.
        let call = self.call;
        let wait = Wait { until: self.until, cancel: &call.cancel, holder: &call.command, held: &held };
        let lease = self.wharf.store.lock(&Subject::Shared(name.clone()), &wait).await?;
        Ok(Some(Hold { name, lease }))
    }

    /// What is there already, or what is made now.
    pub(crate) async fn share(
        &self,
        driver: &Arc<dyn AnyDriver>,
        hold: &Hold,
        step: &Step<Value>,
        made: &[Value],
        cx: Context,
    ) -> wharf_driver::Result<Value> {
        let cx = Context { owner: OwnerTag { expires: None, ..cx.owner }, ..cx };
        let there = match self.wharf.shared.unchanged(hold) {
            Some(seen) => Some(seen),
            None => driver.settle(&step.action, &cx).await?,
        };
        let resource = match there {
            Some(there) => there,
            None => driver.perform(&step.action, made, &cx).await?,
        };
        self.wharf.shared.saw(hold, Some(&resource));
        Ok(resource)
    }

    /// Another machine that uses what `step` left. A machine whose journal cannot be read may use it.
    pub(crate) async fn other_user(
        &self,
        machine: &Machine,
        step: &Step<Value>,
        hold: &Hold,
    ) -> Result<Option<MachineName>> {
        for name in self.wharf.store.machines().await? {
            if name == machine.name {
                continue;
            }
            let journal = self.wharf.store.journal(&name).await.ok();
            let other = journal.and_then(|entries| fold(&entries).ok());
            // Forgotten between the list and the look at it.
            if other.as_ref().is_some_and(Option::is_none) {
                continue;
            }
            if other.flatten().is_none_or(|other| uses(&other, &machine.driver, &step.name)) {
                self.wharf.shared.saw(hold, None);
                return Ok(Some(name));
            }
        }
        self.wharf.shared.saw(hold, None);
        Ok(None)
    }
}

fn uses(machine: &Machine, driver: &str, name: &str) -> bool {
    let idle = |status: &Status| matches!(status, Status::Planned | Status::Destroyed);
    let mut steps = machine.steps().iter();
    machine.driver == driver && steps.any(|(step, status)| step.shared && step.name == name && !idle(status))
}
