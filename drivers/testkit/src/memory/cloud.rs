//! The cloud: named things, and what will happen to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use wharf_driver::{Account, Clock, Error, Kind, OwnerTag, Result, SystemClock};

/// How a cloud behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// A change is there this long after it was asked for, whether or not anybody waits.
    pub late: Duration,
    /// A list shows a change this long after it is there.
    pub lag: Duration,
}

/// Something in the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// `network`, `disk` or `server`.
    pub kind: String,
    /// The idempotency token that it was made under.
    pub key: String,
    /// Whose it is.
    pub owner: OwnerTag,
    /// Whether it is on.
    pub on: bool,
    /// Whether it carries a tag that says whose it is.
    pub marked: bool,
    /// The last part of its address; another one after every start.
    pub address: u32,
    made: Instant,
    /// When it was made, by the cloud's calendar.
    pub(super) since: SystemTime,
}

/// A cloud in memory.
#[derive(Debug)]
pub struct Cloud {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    habits: Habits,
    things: BTreeMap<String, Thing>,
    coming: Vec<(Instant, Change)>,
    /// How far its calendar is ahead of this computer's.
    ahead: Duration,
    used: BTreeSet<String>,
    account: Option<Account>,
    calls: BTreeMap<&'static str, usize>,
    addresses: u32,
}

#[derive(Debug, Clone)]
enum Change {
    Make(String, Box<Thing>),
    Remove(String),
    Power(String, bool),
}

/// Clouds outlive the drivers that connect to them and are found by their name, as real ones are by their address.
static CLOUDS: Mutex<BTreeMap<String, Arc<Cloud>>> = Mutex::new(BTreeMap::new());

impl Cloud {
    /// The cloud of this name, made empty when somebody asks for it first. Within tokio.
    #[must_use]
    pub fn named(name: &str) -> Arc<Self> {
        let mut clouds = CLOUDS.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Self { clock: Arc::new(SystemClock::new()), state: Mutex::default() });
        Arc::clone(clouds.entry(name.to_owned()).or_insert_with(fresh))
    }

    /// Takes up these habits.
    pub fn behave(&self, habits: Habits) {
        self.state().habits = habits;
    }

    /// Lets so much time pass on its calendar alone: what is there is older by that.
    pub fn age(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// What time it is on its calendar.
    pub(super) fn today(&self) -> SystemTime {
        self.clock.wall() + self.state().ahead
    }

    /// Whoever connects from now on is signed in to this account.
    pub fn sign_in(&self, account: &str) {
        self.state().account = Some(Account(account.to_owned()));
    }

    pub(super) fn account(&self) -> Option<Account> {
        self.state().account.clone()
    }

    /// What is there now, and what is still to come, by name.
    #[must_use]
    pub fn everything(&self) -> Vec<String> {
        let state = self.state();
        let mut names: Vec<String> = state.things.keys().cloned().collect();
        for (_, change) in &state.coming {
            match change {
                Change::Make(name, _) if !names.contains(name) => names.push(name.clone()),
                _ => {}
            }
        }
        names
    }

    /// How often each call was made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, usize> {
        self.state().calls.clone()
    }

    /// What an answer would show of the thing of this name. One that is being removed is still shown.
    pub(super) fn get(&self, name: &str) -> Option<Thing> {
        let mut state = self.state();
        state.count("get");
        state.things.get(name).cloned()
    }

    /// Whether the thing of this name is being removed.
    pub(super) fn going(&self, name: &str) -> bool {
        self.state().gone_at(name).is_some()
    }

    /// What machines share and something else uses, as a person would make it by hand.
    pub fn use_by_hand(&self, name: &str) {
        self.state().used.insert(name.to_owned());
    }

    /// Takes the tags off all of a machine, as a person would by hand.
    pub fn unmark_by_hand(&self, machine: &str) {
        for thing in self.state().things.values_mut().filter(|thing| thing.owner.name.as_str() == machine) {
            thing.marked = false;
        }
    }

    /// Puts the tag back on.
    pub(super) fn mark(&self, name: &str) {
        if let Some(thing) = self.state().things.get_mut(name) {
            thing.marked = true;
        }
    }

    /// Removes all of a machine, as a person would by hand.
    pub fn delete_by_hand(&self, machine: &str) {
        self.state().things.retain(|_, thing| thing.owner.name.as_str() != machine);
    }

    /// Turns a machine off, or gives it another address, as a person would by hand.
    pub fn change_by_hand(&self, machine: &str, on: bool) {
        let mut state = self.state();
        state.addresses += 1;
        let address = state.addresses;
        for thing in state.things.values_mut().filter(|thing| thing.owner.name.as_str() == machine) {
            (thing.on, thing.address) = (on, address);
        }
    }

    /// What a list would show.
    pub(super) fn list(&self) -> Vec<(String, Thing)> {
        let (now, mut state) = (self.clock.now(), self.state());
        state.count("list");
        let lag = state.habits.lag;
        let shown = state.things.iter().filter(|(_, thing)| thing.marked && thing.made + lag <= now);
        shown.map(|(name, thing)| (name.clone(), thing.clone())).collect()
    }

    /// Makes a thing, and waits until it is there. Once asked for, it comes whether or not anybody waits.
    pub(super) async fn make(&self, name: &str, kind: &str, key: &str, owner: &OwnerTag) -> Result<()> {
        let wait = {
            let (now, since, mut state) = (self.clock.now(), self.today(), self.state());
            state.count("make");
            if let Some(at) = state.gone_at(name) {
                let left = at.saturating_duration_since(now);
                return Err(Error::new(Kind::Transient, format!("`{name}` is being removed")).after(left));
            }
            let coming = state.coming.iter().find_map(|(at, change)| match change {
                Change::Make(other, thing) if other == name => Some((*at, thing.key.clone())),
                _ => None,
            });
            let there = state.things.get(name).map(|thing| (now, thing.key.clone()));
            match there.or(coming) {
                Some((at, other)) if other == key => at.saturating_duration_since(now),
                Some(_) => {
                    return Err(Error::new(Kind::NameTaken, format!("`{name}` is there and not ours")));
                }
                None => {
                    state.addresses += 1;
                    let (late, address) = (state.habits.late, state.addresses);
                    let (kind, key, owner) = (kind.to_owned(), key.to_owned(), owner.clone());
                    let made = now + late;
                    let thing = Thing { kind, key, owner, on: true, marked: true, address, made, since };
                    state.coming.push((made, Change::Make(name.to_owned(), Box::new(thing))));
                    late
                }
            }
        };
        self.clock.sleep(wait).await;
        Ok(())
    }

    /// Removes a thing, and waits until it is gone. What is not there yet is "not found", and comes all the same.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        self.change("remove", name, Change::Remove(name.to_owned())).await
    }

    /// Turns a thing on or off.
    pub(super) async fn power(&self, name: &str, on: bool) -> Result<()> {
        self.change("power", name, Change::Power(name.to_owned(), on)).await
    }

    async fn change(&self, call: &'static str, name: &str, change: Change) -> Result<()> {
        let late = {
            let (now, mut state) = (self.clock.now(), self.state());
            state.count(call);
            if !state.things.contains_key(name) {
                return Ok(());
            }
            if matches!(change, Change::Remove(_)) && state.used.contains(name) {
                return Err(Error::new(Kind::InUse, "something else uses it"));
            }
            let late = state.habits.late;
            state.coming.push((now + late, change));
            late
        };
        self.clock.sleep(late).await;
        Ok(())
    }

    /// The state with everything in it that should have happened by now.
    fn state(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.coming.sort_by_key(|(at, _)| *at);
        while state.coming.first().is_some_and(|(at, _)| *at <= now) {
            let (_, change) = state.coming.remove(0);
            state.happen(change);
        }
        state
    }
}

impl State {
    fn count(&mut self, call: &'static str) {
        *self.calls.entry(call).or_default() += 1;
    }

    /// When the thing of this name will be gone, while it is being removed.
    fn gone_at(&self, name: &str) -> Option<Instant> {
        self.coming.iter().find_map(|(at, change)| match change {
            Change::Remove(other) if other == name && self.things.contains_key(name) => Some(*at),
            _ => None,
        })
    }

    fn happen(&mut self, change: Change) {
        match change {
            Change::Make(name, thing) => {
                self.things.insert(name, *thing);
            }
            Change::Remove(name) => {
                self.things.remove(&name);
            }
            Change::Power(name, on) => {
                self.addresses += 1;
                let address = self.addresses;
                if let Some(thing) = self.things.get_mut(&name).filter(|thing| thing.on != on) {
                    (thing.on, thing.address) = (on, address);
                }
            }
        }
    }
}
