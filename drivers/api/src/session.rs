//! What one run of the program has, whatever machine it is about: the person's environment, the time, and what the
//! connections of one command share. A driver reads no environment and keeps no globals; it gets both from here.
//!
//! Nothing of this is ever written down: a machine's configuration names *how* to sign in, and the person's own
//! environment holds with what.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::memory::Forgetful;
use crate::{AskKeyring, Clock, Memory, Profile, Result, Secret, Settings, SystemClock};

/// One run of the program.
#[derive(Clone)]
pub struct Session {
    clock: Arc<dyn Clock>,
    client: Arc<str>,
    environment: Arc<BTreeMap<String, String>>,
    profiles: Arc<[Profile]>,
    keyring: AskKeyring,
    memory: Arc<dyn Memory>,
    tell: Option<Arc<Tell>>,
    shared: Arc<Mutex<BTreeMap<(TypeId, String), Kept>>>,
}

type Tell = dyn Fn(&str) + Send + Sync;
type Kept = Arc<dyn Any + Send + Sync>;

impl Session {
    /// A run with an empty environment and nobody to tell anything.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            client: Arc::from(""),
            environment: Arc::default(),
            profiles: Arc::default(),
            keyring: AskKeyring::nobody(),
            memory: Arc::new(Forgetful),
            tell: None,
            shared: Arc::default(),
        }
    }

    /// Of this client: who runs it, and on which computer, `person@computer`.
    #[must_use]
    pub fn of_client(self, client: &str) -> Self {
        Self { client: Arc::from(client), ..self }
    }

    /// Who runs it, and on which computer: `person@computer`.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// With this environment: the process's own, and what the person set for a driver that is nobody else's business.
    #[must_use]
    pub fn with_environment(self, environment: BTreeMap<String, String>) -> Self {
        Self { environment: Arc::new(environment), ..self }
    }

    /// With the places that the person has set up, the one that is meant first, and the keyring that their secrets may
    /// be in.
    #[must_use]
    pub fn with_profiles(self, profiles: Vec<Profile>, keyring: AskKeyring) -> Self {
        Self { profiles: profiles.into(), keyring, ..self }
    }

    /// With something that remembers for the next run what a person signed in with.
    #[must_use]
    pub fn with_memory(self, memory: Arc<dyn Memory>) -> Self {
        Self { memory, ..self }
    }

    /// What remembers for the next run what a person signed in with.
    #[must_use]
    pub fn memory(&self) -> &dyn Memory {
        &*self.memory
    }

    /// With somebody at a terminal, who can be asked to do something elsewhere while a call waits.
    #[must_use]
    pub fn with_person(self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)), ..self }
    }

    /// The person's profile of a place of `driver`: the first one whose settings `fits` says yes to.
    pub fn profile(&self, driver: &str, fits: impl Fn(&Settings) -> bool) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.driver == driver && fits(&profile.settings))
    }

    /// The session at that place: what the person set up for signing in there counts before the environment.
    ///
    /// # Errors
    /// Not allowed when something that the profile needs is not where it should be.
    pub async fn at(&self, profile: Option<&Profile>) -> Result<Self> {
        let Some(profile) = profile else { return Ok(self.clone()) };
        let mut environment = (*self.environment).clone();
        for (variable, reference) in &profile.personal {
            let word = reference.resolve(&self.environment, &self.keyring).await;
            let word = word.map_err(|error| error.fact("cloud", profile.name.clone()))?;
            environment.insert(variable.clone(), word.expose().clone());
        }
        Ok(self.clone().with_environment(environment))
    }

    /// The time.
    #[must_use]
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The variable `name`; an empty one counts as unset.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable `name`, as something that cannot be printed.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.var(name).map(|value| Secret::new(value.to_owned()))
    }

    /// Tells the person at the terminal something to act on; whether there is one.
    #[must_use]
    pub fn tell(&self, what: &str) -> bool {
        self.tell.as_ref().is_some_and(|tell| {
            tell(what);
            true
        })
    }

    /// Whether somebody sits at a terminal.
    #[must_use]
    pub fn has_person(&self) -> bool {
        self.tell.is_some()
    }

    /// What all connections of this run share under `key`: made by whoever asks first.
    ///
    /// # Panics
    /// Never: what is kept under a type is of that type.
    pub fn shared<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = shared.entry((TypeId::of::<T>(), key.to_owned()));
        if let std::collections::btree_map::Entry::Occupied(there) = &kept
            && let Ok(there) = Arc::clone(there.get()).downcast::<T>()
        {
            return there;
        }
        let made = Arc::new(make());
        kept.insert_entry(Arc::clone(&made) as Kept);
        made
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::new()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("person", &self.has_person()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_is_shared_is_made_once_and_is_of_its_type() {
        let session = Session::default();
        let count = session.shared("a", || AtomicU32::new(1));
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(session.clone().shared("a", || AtomicU32::new(9)).load(Ordering::Relaxed), 2);
        assert_eq!(session.shared("b", || AtomicU32::new(9)).load(Ordering::Relaxed), 9);
        assert_eq!(*session.shared("a", || "another type".to_owned()), "another type");
    }

    #[tokio::test]
    async fn a_place_has_its_own_way_to_sign_in() {
        let profile = |name: &str, endpoint: &str| {
            let mut settings = Settings::default();
            settings.set("x-endpoint", vec![endpoint.to_owned()]);
            let personal = BTreeMap::from([("X_USER".to_owned(), crate::Reference::Text(name.to_owned()))]);
            Profile { name: name.to_owned(), driver: "x".to_owned(), settings, personal }
        };
        let profiles = vec![profile("first", "a"), profile("second", "b"), profile("third", "b")];
        let environment = ["X_USER", "OTHER"].map(|name| (name.to_owned(), "environment".to_owned()));
        let session = Session::default()
            .with_environment(environment.into())
            .with_profiles(profiles, AskKeyring::nobody());
        let user = async |driver: &str, endpoint: &str| {
            let profile = session.profile(driver, |set| set.text("x-endpoint") == Some(endpoint));
            let at = session.at(profile).await.unwrap();
            assert_eq!(at.var("OTHER"), Some("environment"));
            at.var("X_USER").unwrap().to_owned()
        };
        assert_eq!(user("x", "a").await, "first");
        assert_eq!(user("x", "b").await, "second");
        assert_eq!(user("x", "c").await, "environment");
        assert_eq!(user("y", "a").await, "environment");
    }

    #[test]
    fn an_environment_is_never_printed() {
        let set =
            BTreeMap::from([("TOKEN".to_owned(), "hunter2".to_owned()), ("NONE".to_owned(), String::new())]);
        let session = Session::default().with_environment(set);
        assert_eq!((session.var("TOKEN"), session.var("NONE")), (Some("hunter2"), None));
        assert!(!format!("{session:?}").contains("hunter2"));
        assert!(!session.tell("nobody hears this"));
    }
}
