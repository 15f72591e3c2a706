//! Whether machines' things in a cloud still carry their tags. What does not say whose it is is found by nobody who lost
//! their store, and by no end of its time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

use futures_util::future::join_all;
use serde_json::Value;
use wharf_driver::{Found, MachineName};

use crate::engine::leftovers::is;
use crate::engine::states::groups;
use crate::engine::work::Work;
use crate::journal::{Machine, Status};
use crate::{Call, Phase, Result, Wharf, What};

/// Lists lag: what is younger is not missed in them.
const SHOWN_BY: Duration = Duration::from_secs(300);

impl Wharf {
    /// What is wrong with the tags of each machine, where there are accounts and they can be listed.
    pub(super) async fn unmarked(
        &self,
        machines: &[&Machine],
        call: &Call,
        until: Instant,
    ) -> BTreeMap<MachineName, Vec<String>> {
        let look = async |group: &Vec<usize>| {
            let members: Vec<&Machine> = group.iter().map(|&index| machines[index]).collect();
            let Some(first) = members.first() else { return Vec::new() };
            let cx = self.looking(first, call, until);
            // Whoever cannot be asked was asked about states, too, and that says so.
            let Ok(driver) = self.connect_to(first, call, &cx).await else { return Vec::new() };
            if driver.account().is_none() {
                return Vec::new();
            }
            match driver.find_owned(&cx).await {
                Ok(found) => {
                    members.iter().map(|machine| (machine.name.clone(), missing(machine, &found))).collect()
                }
                Err(error) => {
                    let why = format!("whether its tags are there cannot be seen: {error}");
                    call.events.say(&first.name, What::Warning(why));
                    Vec::new()
                }
            }
        };
        let groups = groups(machines);
        join_all(groups.iter().map(look)).await.into_iter().flatten().collect()
    }

    /// Puts the tags back on everything that is the machine's own.
    ///
    /// # Errors
    /// When there is no such machine, it is not finished, or its driver refuses.
    pub async fn mark(&self, name: &MachineName, call: &Call) -> Result<()> {
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        let machine = work.machine()?;
        let driver = work.driver(&machine).await?;
        work.phase(Phase::Marking)?;
        let cx = work.context(&machine.owner);
        for (step, status) in machine.steps() {
            if let (false, Status::Made(resource)) = (step.shared, status) {
                driver.mark(resource, &cx).await?;
            }
        }
        Ok(())
    }
}

fn missing(machine: &Machine, found: &Found<Value>) -> Vec<String> {
    let made = UNIX_EPOCH + Duration::from_millis(machine.made);
    if found.now.duration_since(made).unwrap_or_default() < SHOWN_BY {
        return Vec::new();
    }
    let mut missing = Vec::new();
    for (step, status) in machine.steps() {
        let (false, Status::Made(resource)) = (step.shared, status) else { continue };
        let mine = |owned: &&wharf_driver::Owned<Value>| {
            owned.tag.machine == machine.id && is(owned, &step.name, resource)
        };
        match found.owned.iter().find(mine) {
            None => missing.push(format!("{} does not say whose it is any more", step.name)),
            Some(owned) if !owned.lacks.is_empty() => {
                missing.push(format!("{} lacks the tags {}", step.name, owned.lacks.join(", ")));
            }
            Some(_) => {}
        }
    }
    missing
}
