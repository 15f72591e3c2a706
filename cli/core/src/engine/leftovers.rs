//! What accounts hold that carries the tag of a store and belongs to no journal, and what would become of it. Nothing is
//! removed here.
//!
//! What is found is judged: a journal of this store that names it, a journal that cannot be read, another store's tag, or
//! less than an hour of age by the place's own clock each keep it. A machine whose time is over goes although a journal
//! names it. What another program seems to have left is listed and never more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;
use wharf_driver::{AnyDriver, Found, MachineId, MachineName, Owned, OwnerTag, Places, Progress, StoreId};

use crate::engine::work::bounded;
use crate::journal::{Machine, Status};
use crate::{Call, Error, Kind, Life, Result, Wharf};

/// What is younger may be what somebody is making just now.
const YOUNG: Duration = Duration::from_secs(3600);

/// Where to look: a driver with its configuration, and what people call that.
#[derive(Debug, Clone)]
pub struct Place {
    /// For people, where it cannot be asked.
    pub called: String,
    /// The driver's name or one of its aliases.
    pub driver: String,
    /// Its configuration, as JSON of its `Config` type.
    pub config: Value,
}

/// Everything that was found and that no machine of this store needs.
#[derive(Debug)]
pub struct Leftovers {
    /// The store whose things were looked for: what carries another one's tag stays.
    pub store: StoreId,
    /// In a fixed order: by place, store, machine and the order in which things are removed.
    pub things: Vec<Leftover>,
    /// The places that cannot be asked, and why.
    pub trouble: Vec<(String, Error)>,
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Leftover {
    /// Its driver's name.
    pub driver: String,
    /// The account that it is in, where there are accounts.
    pub account: Option<String>,
    /// What it is, in words.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The store whose tag it carries; `None` where it carries none.
    pub store: Option<String>,
    /// The machine that it was made for.
    pub machine: Option<MachineName>,
    /// How old it is by the place's clock, in seconds.
    pub age: Option<u64>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why.
    pub because: String,
    /// What removing it needs.
    #[serde(skip)]
    pub(super) hold: Option<Hold>,
}

/// What becomes of something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is removed.
    Remove,
    /// A machine of this store whose time is over: it is removed as `rm` does.
    Expired,
    /// It stays.
    Keep,
}

/// A thing and the connection that removes it.
#[derive(Clone)]
pub(super) struct Hold {
    pub(super) driver: Arc<dyn AnyDriver>,
    pub(super) owned: Owned<Value>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("step", &self.owned.step).finish_non_exhaustive()
    }
}

/// The journals of this store: those that can be read by machine, and the names of the others.
#[derive(Debug, Default)]
pub(super) struct Journals {
    machines: BTreeMap<MachineId, Machine>,
    damaged: BTreeSet<MachineName>,
}

/// What things of one place are judged by.
struct Judge<'a> {
    driver: &'static str,
    account: Option<String>,
    now: SystemTime,
    store: &'a StoreId,
    /// Whether that is this store.
    own: bool,
    journals: &'a Journals,
}

/// What is to be said of one thing; `None` of what belongs where it is.
type Verdict = Option<(Fate, String)>;

impl Wharf {
    /// What these places hold that carries the tag of `store` (of this one, when `None`) and belongs to no journal; with
    /// it, to be seen and not removed, what carries other stores' tags or seems to be another program's.
    ///
    /// # Errors
    /// When the store itself cannot be read. A place that cannot be asked is trouble and hides no other.
    pub async fn leftovers(
        &self,
        places: &[Place],
        store: Option<&StoreId>,
        call: &Call,
    ) -> Result<Leftovers> {
        let own = self.store.id().await?;
        let store = store.unwrap_or(&own);
        // Read before anybody is asked: what begins meanwhile is young.
        let journals = self.journals().await?;
        let asked = join_all(places.iter().map(|place| self.search(place, store, call))).await;
        let mut leftovers = Leftovers { store: store.clone(), things: Vec::new(), trouble: Vec::new() };
        let mut seen = BTreeSet::new();
        for (place, answer) in places.iter().zip(asked) {
            let (driver, found) = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    leftovers.trouble.push((place.called.clone(), error));
                    continue;
                }
            };
            let about = driver.about();
            let account = driver.account().map(|account| account.to_string());
            // Several profiles may lead to one account.
            if !seen.insert((about.name, account.clone())) {
                continue;
            }
            let own = *store == own;
            let judge =
                Judge { driver: about.name, account, now: found.now, store, own, journals: &journals };
            leftovers.things.extend(judge.all(&driver, found));
        }
        leftovers.things.sort_by(|a, b| a.place_in_order().cmp(&b.place_in_order()));
        Ok(leftovers)
    }

    async fn search(
        &self,
        place: &Place,
        store: &StoreId,
        call: &Call,
    ) -> Result<(Arc<dyn AnyDriver>, Found<Value>)> {
        let factory = self.driver(&place.driver)?;
        let until = self.clock.now() + call.deadline;
        let mut cx = self.at_large(nobody(store)?, call, until);
        cx.progress = Progress::silent();
        let cache = cx.places.cache.clone();
        self.make_places(&Places { machine: cache, ..cx.places.clone() })?;
        let asking = async {
            let driver = factory.connect(place.config.clone(), &cx).await?;
            let found = driver.find_owned(&cx).await?;
            Ok((driver, found))
        };
        bounded(self, call, until, "looking for what is left", asking).await
    }

    pub(super) async fn journals(&self) -> Result<Journals> {
        let mut journals = Journals::default();
        for name in self.store.machines().await? {
            match self.machine(&name).await {
                Ok(machine) => drop(journals.machines.insert(machine.id.clone(), machine)),
                // Removed since the names were read.
                Err(error) if error.kind() == Kind::NoSuchMachine => {}
                Err(_) => drop(journals.damaged.insert(name)),
            }
        }
        Ok(journals)
    }
}

/// Who keeps something that machines share.
pub(super) enum User {
    /// A machine whose journal names it.
    Known,
    /// One whose journal cannot be read.
    Unreadable(MachineName),
}

impl Journals {
    /// Whether the journal of its machine names it; one that is not finished may yet.
    pub(super) fn name(&self, owned: &Owned<Value>) -> bool {
        self.machines
            .get(&owned.tag.machine)
            .is_some_and(|machine| !matches!(machine.life(), Life::Ready | Life::Bare) || has(machine, owned))
    }

    /// Who keeps what machines share.
    pub(super) fn user_of(&self, driver: &str, owned: &Owned<Value>) -> Option<User> {
        let uses = |machine: &&Machine| machine.driver == driver && has(machine, owned);
        let user = self.machines.values().any(|machine| uses(&machine)).then_some(User::Known);
        user.or_else(|| self.damaged.first().cloned().map(User::Unreadable))
    }
}

/// Whether a step of this machine left it, or may have.
fn has(machine: &Machine, owned: &Owned<Value>) -> bool {
    machine.steps().iter().any(|(step, status)| match status {
        Status::Planned | Status::Destroyed => false,
        Status::Started { .. } => step.name.eq_ignore_ascii_case(&owned.step),
        Status::Made(resource) | Status::Destroying(resource) => is(owned, &step.name, resource),
    })
}

/// Whether what was found is what this step left: by its name, which clouds spell as they like and people may hide behind
/// one of their own, or by its id.
pub(super) fn is(owned: &Owned<Value>, step: &str, resource: &Value) -> bool {
    let id = |resource: &Value| resource["id"].as_str().map(str::to_ascii_lowercase);
    step.eq_ignore_ascii_case(&owned.step)
        || id(&owned.resource).is_some_and(|found| id(resource).as_ref() == Some(&found))
}

impl Judge<'_> {
    fn all(&self, driver: &Arc<dyn AnyDriver>, found: Found<Value>) -> Vec<Leftover> {
        let mut things = Vec::new();
        let mut somebody = false;
        let expired = self.expired(&found.owned);
        for owned in found.owned.iter().filter(|owned| !owned.shared || owned.tag.store != *self.store) {
            match self.verdict(owned) {
                Some((fate, because)) => {
                    somebody |= fate == Fate::Keep && owned.tag.store == *self.store;
                    things.push(self.thing(owned, driver, fate, because));
                }
                None => somebody |= !self.own && owned.tag.store == *self.store,
            }
        }
        for owned in found.owned.iter().filter(|owned| owned.shared && owned.tag.store == *self.store) {
            if let Some((fate, because)) = self.of_shared(owned, somebody) {
                things.push(self.thing(owned, driver, fate, because));
            }
        }
        let strange = found.strange.into_iter().map(|one| Leftover {
            driver: self.driver.to_owned(),
            account: self.account.clone(),
            kind: one.kind,
            name: one.name,
            store: None,
            machine: None,
            age: None,
            fate: Fate::Keep,
            because: format!("{}; nothing else says whose it is", one.because),
            hold: None,
        });
        things.extend(expired.values().filter_map(|ended| ended.as_ref().map(|since| self.over(since))));
        things.extend(strange);
        things
    }

    /// What is a machine's own.
    fn verdict(&self, owned: &Owned<Value>) -> Verdict {
        let OwnerTag { store, name, .. } = &owned.tag;
        if self.journals.name(owned) {
            return None;
        }
        if store != self.store {
            return Some((Fate::Keep, self.others(store, owned)));
        }
        if self.own && self.journals.damaged.contains(name) {
            return Some((Fate::Keep, format!("the journal of machine `{name}` cannot be read")));
        }
        Some(self.by_age(owned))
    }

    fn of_shared(&self, owned: &Owned<Value>, somebody: bool) -> Verdict {
        if self.own {
            match self.journals.user_of(self.driver, owned) {
                Some(User::Known) => return None,
                Some(User::Unreadable(name)) => {
                    let why = format!("the journal of machine `{name}` cannot be read, which may use it");
                    return Some((Fate::Keep, why));
                }
                None => {}
            }
        }
        if somebody {
            return Some((Fate::Keep, "what is left here of its machines may need it".to_owned()));
        }
        Some(self.by_age(owned))
    }

    fn by_age(&self, owned: &Owned<Value>) -> (Fate, String) {
        if self.age(owned) < YOUNG {
            return (Fate::Keep, "it is younger than an hour".to_owned());
        }
        let because = match (self.own, owned.shared) {
            (false, _) => format!("it is of store {}, which was named", self.store.0),
            (true, true) => "no machine uses it".to_owned(),
            (true, false) => "no journal names it".to_owned(),
        };
        (Fate::Remove, because)
    }

    fn others(&self, store: &StoreId, owned: &Owned<Value>) -> String {
        let over = owned.tag.expires.is_some_and(|end| end <= seconds(self.now));
        format!("it is of store {}{}", store.0, if over { ", and its time is over" } else { "" })
    }

    /// The machines of this store whose every thing says that its time is over.
    fn expired(&self, found: &[Owned<Value>]) -> BTreeMap<MachineId, Option<Ended>> {
        let mut ends = BTreeMap::new();
        for owned in found.iter().filter(|owned| self.own && owned.tag.store == *self.store && !owned.shared)
        {
            let Some(machine) = self.journals.machines.get(&owned.tag.machine) else { continue };
            let end = owned.tag.expires.filter(|end| *end <= seconds(self.now));
            let ended = end.map(|end| Ended { machine: machine.name.clone(), end });
            ends.entry(machine.id.clone())
                .and_modify(|there: &mut Option<Ended>| *there = there.take().filter(|_| ended.is_some()))
                .or_insert(ended);
        }
        ends
    }

    fn over(&self, ended: &Ended) -> Leftover {
        let ago = seconds(self.now).saturating_sub(ended.end);
        Leftover {
            driver: self.driver.to_owned(),
            account: self.account.clone(),
            kind: "machine".to_owned(),
            name: ended.machine.to_string(),
            store: Some(self.store.0.clone()),
            machine: Some(ended.machine.clone()),
            age: None,
            fate: Fate::Expired,
            because: format!("its time has been over for {}", span(Duration::from_secs(ago))),
            hold: None,
        }
    }

    fn age(&self, owned: &Owned<Value>) -> Duration {
        self.now.duration_since(owned.since).unwrap_or_default()
    }

    fn thing(
        &self,
        owned: &Owned<Value>,
        driver: &Arc<dyn AnyDriver>,
        fate: Fate,
        because: String,
    ) -> Leftover {
        let hold = Hold { driver: Arc::clone(driver), owned: owned.clone() };
        Leftover {
            driver: self.driver.to_owned(),
            account: self.account.clone(),
            kind: owned.kind.to_owned(),
            name: owned.name.clone(),
            store: Some(owned.tag.store.0.clone()),
            machine: Some(owned.tag.name.clone()),
            age: Some(self.age(owned).as_secs()),
            fate,
            because,
            hold: (fate == Fate::Remove).then_some(hold),
        }
    }
}

/// A machine and when its time was over, in seconds since 1970.
#[derive(Debug, Clone)]
struct Ended {
    machine: MachineName,
    end: u64,
}

impl Leftover {
    fn place_in_order(&self) -> (&str, Option<&str>, Fate, Option<&str>, Option<&MachineName>, u8, &str) {
        let stage = self.hold.as_ref().map_or(0, |hold| hold.owned.stage);
        let store = self.store.as_deref();
        let account = self.account.as_deref();
        (&self.driver, account, self.fate, store, self.machine.as_ref(), stage, &self.name)
    }
}

/// Whoever looks for things that belong to `store` and to no machine.
fn nobody(store: &StoreId) -> Result<OwnerTag> {
    let name = "nobody".parse().map_err(Error::from)?;
    let machine = MachineId::from_bytes([0; 16]);
    Ok(OwnerTag { store: store.clone(), machine, name, made: 0, expires: None })
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How long, to one part: `3 days`, `5 h`, `12 min`.
fn span(long: Duration) -> String {
    match long.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds if seconds < 3600 => format!("{} min", seconds / 60),
        seconds if seconds < 2 * 86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_named_otherwise_is_known_by_its_id() {
        let tag = nobody(&StoreId("5t0re".into())).unwrap();
        let owned = |step: &str, resource: Value| Owned {
            resource,
            kind: "instance",
            step: step.to_owned(),
            name: step.to_owned(),
            shared: false,
            stage: 0,
            tag: tag.clone(),
            lacks: Vec::new(),
            since: UNIX_EPOCH,
        };
        let made = json!({ "id": "i-1", "name": "web-1-vm" });
        assert!(is(&owned("my web", json!({ "id": "I-1" })), "web-1-vm", &made));
        assert!(is(&owned("WEB-1-vm", json!({ "name": "x" })), "web-1-vm", &json!({})));
        assert!(!is(&owned("my web", json!({ "id": "i-2" })), "web-1-vm", &made));
        assert!(!is(&owned("my web", json!({})), "web-1-vm", &json!({})), "nothing is no id");
    }
}
