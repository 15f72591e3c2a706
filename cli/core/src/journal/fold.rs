//! From events to a machine: pure, total, and strict. An order that no engine could have written is refused with the
//! event's number, since acting on it could destroy or leak something.
//!
//! ```text
//!  begun ─ planned ─ steps ─ seen ─ (admitted | imported) ─ provisioning ─ provisioned ─ (powering ─ powered | certifying ─ certified | revoking ─ revoked | hooking ─ hooked | upgrading ─ rolled back)*
//!    └────────┴────────┴───────┴──────────┴─────────────┴──► removing ─ (purging ─ purged) ─ steps ─ removed
//!
//!  a step:  planned ─ started ─ made ─ destroying ─ destroyed
//!              └◄─ undone ─┘      └────────┴─ kept | left, where machines share it
//! ```

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use wharf_driver::{Account, ActionKey, MachineId, MachineName, OwnerTag, Plan, Power, Reach, State, Step};

use crate::journal::{Entry, Event};
use crate::{EngineOptions, HookEnd, JumpKeys, Life};

/// What the events of a journal add up to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Its name.
    pub name: MachineName,
    /// The driver's name.
    pub driver: String,
    /// The version of the driver's types.
    pub driver_version: u32,
    /// The driver's configuration.
    pub config: Value,
    /// What its engine should be.
    pub options: EngineOptions,
    /// What its resources say of themselves.
    pub owner: OwnerTag,
    /// Whether it existed before wharf and stays after it.
    pub adopts: bool,
    /// The account that it is made in, where there are accounts.
    pub account: Option<Account>,
    /// Whether the machine alone is wanted, without an engine.
    pub bare: bool,
    /// The fleet that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Which attempt the steps belong to.
    pub attempt: u32,
    /// The steps; `None` until they are planned.
    pub steps: Option<Vec<(Step<Value>, Status)>>,
    /// How it is reached.
    pub reach: Option<Reach>,
    /// The SSH host keys that are accepted.
    pub host_keys: Vec<String>,
    /// Those of the hosts on the way.
    pub jump_keys: Vec<JumpKeys>,
    /// The clients that the machine's rules let in, and from where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub admitted: BTreeMap<String, String>,
    /// Which program brought the engine that it has, until wharf brings its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// Whether the agent was ever on its way there.
    pub touched: bool,
    /// What came of that.
    pub provisioned: Option<Provisioned>,
    /// A start or stop without an end.
    pub powering: Option<Power>,
    /// The last that was done to it was a stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// A change of certificates without an end.
    pub certifying: bool,
    /// Its engine should be otherwise than it is known to be: what it should be was not brought to it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub configuring: bool,
    /// Another agent is on its way, and nobody saw how that ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrading: bool,
    /// The number of the list of certificates that were taken back that its engine is being given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoking: Option<u64>,
    /// The number of the list that its engine heeds; 0 where it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revocations: u64,
    /// How each hook of its fleet ended that was begun, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, HookEnd>,
    /// The removal, once it began.
    pub removal: Option<Removal>,
    /// What of it stays although nobody wants it any more, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The number of the last event.
    pub last: u64,
    /// Its writer's fencing token.
    pub fence: u64,
    /// When the first event was written, in milliseconds since 1970.
    pub made: u64,
}

/// Where a step is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun, or known to have left nothing.
    Planned,
    /// Begun; nobody saw the end.
    Started {
        /// The action's key.
        key: ActionKey,
        /// No call for it outlasts this, in milliseconds since 1970.
        deadline: u64,
    },
    /// This is there.
    Made(Value),
    /// This may be there still.
    Destroying(Value),
    /// Gone, or of no concern to this machine any more.
    Destroyed,
}

/// What is known of the engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provisioned {
    /// Its version.
    pub engine: String,
    /// What its certificate holds.
    pub names: Vec<String>,
    /// When that ends, in seconds since 1970.
    pub expires: u64,
    /// The SHA-256 of the agent.
    pub agent: String,
    /// What was found out about the host.
    pub facts: Value,
}

/// How far a removal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Whether the agent goes too.
    pub purge: bool,
    /// Whether it is forgotten whatever happens.
    pub force: bool,
    /// The agent is being taken off.
    pub purging: bool,
    /// It was.
    pub purged: bool,
    /// Nothing is left to do.
    pub done: bool,
}

/// An event that cannot stand where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {number} (`{event}`) cannot stand there: {because}")]
pub struct Illegal {
    /// The event's number.
    pub number: u64,
    /// Its name.
    pub event: &'static str,
    /// Why.
    pub because: String,
}

/// Adds the events up; `None` when there are none.
///
/// # Errors
/// The first event that is out of order.
pub fn fold(entries: &[Entry]) -> Result<Option<Machine>, Illegal> {
    let Some((first, rest)) = entries.split_first() else { return Ok(None) };
    let mut machine = Machine::begin(first)?;
    for entry in rest {
        machine.apply(entry)?;
    }
    Ok(Some(machine))
}

impl Machine {
    /// The machine of a first event.
    ///
    /// # Errors
    /// When it is none.
    pub fn begin(entry: &Entry) -> Result<Self, Illegal> {
        let Event::Begun {
            machine,
            name,
            driver,
            driver_version,
            config,
            options,
            owner,
            adopts,
            account,
            bare,
            fleet,
        } = &entry.event
        else {
            return Err(illegal(entry, "a journal begins with `begun`"));
        };
        if entry.number != 1 {
            return Err(illegal(entry, "a journal begins with number 1"));
        }
        Ok(Self {
            id: machine.clone(),
            name: name.clone(),
            driver: driver.clone(),
            driver_version: *driver_version,
            config: config.clone(),
            options: options.as_ref().clone(),
            owner: owner.clone(),
            adopts: *adopts,
            account: account.clone(),
            bare: *bare,
            fleet: fleet.clone(),
            attempt: 0,
            steps: None,
            reach: None,
            host_keys: Vec::new(),
            jump_keys: Vec::new(),
            admitted: BTreeMap::new(),
            imported: None,
            touched: false,
            provisioned: None,
            powering: None,
            off: false,
            certifying: false,
            configuring: false,
            upgrading: false,
            revoking: None,
            revocations: 0,
            hooks: BTreeMap::new(),
            removal: None,
            left: Vec::new(),
            last: 1,
            fence: entry.fence,
            made: entry.at,
        })
    }

    /// Adds one event. After an error the machine is unchanged.
    ///
    /// # Errors
    /// When the event cannot stand there.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Illegal> {
        if entry.number != self.last + 1 {
            return Err(illegal(entry, format!("the event before it has number {}", self.last)));
        }
        if entry.fence < self.fence {
            return Err(illegal(entry, "its writer had lost the lock to another"));
        }
        if self.forgettable() {
            return Err(illegal(entry, "the machine is removed"));
        }
        self.change(&entry.event).map_err(|because| illegal(entry, because))?;
        (self.last, self.fence) = (entry.number, entry.fence);
        Ok(())
    }

    /// Where it is in its life.
    #[must_use]
    pub fn life(&self) -> Life {
        match (&self.removal, &self.provisioned) {
            (Some(_), _) => Life::Removing,
            (None, Some(_)) => Life::Ready,
            (None, None) if self.imported.is_some() => Life::Ready,
            (None, None) if self.bare && self.complete() && self.reach.is_some() => Life::Bare,
            (None, None) => Life::Creating,
        }
    }

    /// The state that it should be in, and in which its address is known; `None` while something is being done to it.
    #[must_use]
    pub fn settled(&self) -> Option<State> {
        let settled = self.reach.is_some() && self.powering.is_none() && self.removal.is_none();
        settled.then_some(if self.off { State::Stopped } else { State::Running })
    }

    /// Whether it is removed and only its folder is still there.
    #[must_use]
    pub fn forgettable(&self) -> bool {
        self.removal.is_some_and(|removal| removal.done)
    }

    /// What it is made of, in the order of the plan.
    #[must_use]
    pub fn resources(&self) -> Vec<Value> {
        let made = |status: &Status| match status {
            Status::Made(resource) | Status::Destroying(resource) => Some(resource.clone()),
            Status::Planned | Status::Started { .. } | Status::Destroyed => None,
        };
        self.steps().iter().filter_map(|(_, status)| made(status)).collect()
    }

    /// The steps; none until they are planned.
    #[must_use]
    pub fn steps(&self) -> &[(Step<Value>, Status)] {
        self.steps.as_deref().unwrap_or_default()
    }

    /// Whether every step left what it should.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.steps.is_some() && self.steps().iter().all(|(_, status)| matches!(status, Status::Made(_)))
    }

    /// Whether the step at `index` has everything it needs.
    #[must_use]
    pub fn needs_met(&self, index: usize) -> bool {
        let made = |at: &usize| matches!(self.steps().get(*at), Some((_, Status::Made(_))));
        self.steps().get(index).is_some_and(|(step, _)| step.after.iter().all(made))
    }

    /// Whether nothing that may be there needs what the step at `index` left.
    #[must_use]
    pub fn unneeded(&self, index: usize) -> bool {
        let idle = |status: &Status| matches!(status, Status::Planned | Status::Destroyed);
        self.steps().iter().all(|(step, status)| !step.after.contains(&index) || idle(status))
    }

    fn change(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Begun { .. } => Err("a journal begins only once".to_owned()),
            Event::Planned { attempt, plan } => self.planned(*attempt, plan),
            Event::Started { step, key, deadline } => self.started(*step, key, *deadline),
            Event::Made { step, resource } => self.end(*step, Status::Made(resource.clone())),
            Event::Undone { step, .. } => self.end(*step, Status::Planned),
            Event::Destroying { step } => self.destroying(*step),
            Event::Destroyed { step } => self.destroyed(*step),
            Event::Kept { step, .. } => self.kept(*step),
            Event::Left { step, because } => self.left(*step, because),
            Event::Removing { purge, force } => self.removing(*purge, *force),
            Event::Purging | Event::Purged => self.purge(matches!(event, Event::Purged)),
            Event::Removed => self.removed(),
            Event::Joined { .. }
            | Event::Configured { .. }
            | Event::Seen { .. }
            | Event::HostKeys { .. }
            | Event::JumpKeys { .. }
            | Event::Admitted { .. }
            | Event::Imported { .. }
            | Event::Provisioning { .. }
            | Event::Provisioned { .. }
            | Event::Powering { .. }
            | Event::Powered { .. }
            | Event::Certifying { .. }
            | Event::Certified { .. }
            | Event::Hooking { .. }
            | Event::Hooked { .. }
            | Event::Upgrading { .. }
            | Event::RolledBack { .. }
            | Event::Revoking { .. }
            | Event::Revoked { .. } => self.live(event),
        }
    }

    fn planned(&mut self, attempt: u32, plan: &Plan<Value>) -> Result<(), String> {
        self.wanted()?;
        let idle = |(_, status): &(_, Status)| matches!(status, Status::Planned | Status::Destroyed);
        if !self.steps().iter().all(idle) {
            return Err("steps of the plan before it are not settled".to_owned());
        }
        for (index, step) in plan.steps.iter().enumerate() {
            if let Some(later) = step.after.iter().find(|&&needed| needed >= index) {
                return Err(format!("step {index} needs step {later}, which does not come before it"));
            }
            if plan.steps[..index].iter().any(|other| other.name == step.name) {
                return Err(format!("two steps have the name `{}`", step.name));
            }
            if step.shared && !plain(&step.name) {
                return Err(format!("`{}` is no name for something that machines share", step.name));
            }
        }
        self.attempt = attempt;
        self.steps = Some(plan.steps.iter().map(|step| (step.clone(), Status::Planned)).collect());
        Ok(())
    }

    fn started(&mut self, step: usize, key: &ActionKey, deadline: u64) -> Result<(), String> {
        self.wanted()?;
        if !self.needs_met(step) {
            return Err(format!("step {step} is not there, or what it needs is not made"));
        }
        let status = self.status(step)?;
        match status {
            Status::Planned => {}
            Status::Started { key: before, .. } if before == key => {}
            Status::Started { .. } => return Err(format!("step {step} was started under another key")),
            _ => return Err(format!("step {step} is done")),
        }
        *status = Status::Started { key: key.clone(), deadline };
        Ok(())
    }

    fn end(&mut self, step: usize, end: Status) -> Result<(), String> {
        let status = self.status(step)?;
        if !matches!(status, Status::Started { .. }) {
            return Err(format!("step {step} was not started"));
        }
        *status = end;
        Ok(())
    }

    fn destroying(&mut self, step: usize) -> Result<(), String> {
        if self.removal.is_none() {
            return Err("nobody wanted it removed".to_owned());
        }
        if !self.unneeded(step) {
            return Err(format!("something that needs step {step} may still be there"));
        }
        let status = self.status(step)?;
        match status {
            Status::Made(resource) | Status::Destroying(resource) => {
                *status = Status::Destroying(std::mem::take(resource));
                Ok(())
            }
            _ => Err(format!("step {step} left nothing")),
        }
    }

    fn destroyed(&mut self, step: usize) -> Result<(), String> {
        let status = self.status(step)?;
        if !matches!(status, Status::Destroying(_)) {
            return Err(format!("step {step} was not being destroyed"));
        }
        *status = Status::Destroyed;
        Ok(())
    }

    fn kept(&mut self, step: usize) -> Result<(), String> {
        self.shared(step)?;
        if self.removal.is_none() {
            return Err("nobody wanted it removed".to_owned());
        }
        if !self.unneeded(step) {
            return Err(format!("something that needs step {step} may still be there"));
        }
        let status = self.status(step)?;
        if !matches!(status, Status::Made(_) | Status::Destroying(_)) {
            return Err(format!("step {step} left nothing"));
        }
        *status = Status::Destroyed;
        Ok(())
    }

    fn left(&mut self, step: usize, because: &str) -> Result<(), String> {
        let name = self.shared(step)?.to_owned();
        self.destroyed(step)?;
        self.left.push(format!("{name} stays: {because}"));
        Ok(())
    }

    /// The name of the step, which must be one that machines share.
    fn shared(&self, step: usize) -> Result<&str, String> {
        match self.steps().get(step) {
            Some((step, _)) if step.shared => Ok(&step.name),
            _ => Err(format!("no machine shares step {step}")),
        }
    }

    fn removing(&mut self, purge: bool, force: bool) -> Result<(), String> {
        let removal = self.removal.get_or_insert_default();
        (removal.purge, removal.force) = (purge, force);
        Ok(())
    }

    fn purge(&mut self, ended: bool) -> Result<(), String> {
        let removal = self.removal.as_mut().ok_or("nobody wanted it removed")?;
        if ended && !removal.purging {
            return Err("it was not being purged".to_owned());
        }
        (removal.purging, removal.purged) = (!ended, ended);
        Ok(())
    }

    fn removed(&mut self) -> Result<(), String> {
        let idle = self.steps().iter().all(|(_, s)| matches!(s, Status::Planned | Status::Destroyed));
        let removal = self.removal.as_mut().ok_or("nobody wanted it removed")?;
        if !idle && !removal.force {
            return Err("something of it may still be there".to_owned());
        }
        removal.done = true;
        Ok(())
    }

    pub(super) fn wanted(&self) -> Result<(), String> {
        if self.removal.is_some() { Err("it is being removed".to_owned()) } else { Ok(()) }
    }

    fn status(&mut self, step: usize) -> Result<&mut Status, String> {
        let steps = self.steps.as_mut().ok_or("nothing is planned")?;
        steps.get_mut(step).map(|(_, status)| status).ok_or_else(|| format!("there is no step {step}"))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over like this")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether it may stand in a path.
fn plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= LONGEST_SHARED_NAME && !name.starts_with('.') && name.chars().all(fits)
}

/// With the driver's name in front it is still a file's name.
const LONGEST_SHARED_NAME: usize = 200;

fn illegal(entry: &Entry, because: impl Into<String>) -> Illegal {
    Illegal { number: entry.number, event: entry.event.name(), because: because.into() }
}
