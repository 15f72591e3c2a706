//! One world with a store: where a verb is run, killed, and run again as by another process.

use std::sync::Arc;

use tempfile::TempDir;
use wharf_core::store::Folder;
use wharf_core::{
    Call, CreateRequest, Created, EngineOptions, Keeping, Kind, Life, OsEntropy, Parts, Person, Power,
    RemoveOptions, Removed, Result, Setup, Wharf,
};
use wharf_driver::{AnyDriver, MachineName};

use crate::suite::World;
use crate::{CrashDriver, CrashHosts, CrashStore, Hosts, Switch};

/// One world with a store.
#[derive(Debug)]
pub struct Bench<W> {
    /// The world.
    pub world: W,
    /// Its hosts.
    pub hosts: Arc<Hosts>,
    home: TempDir,
}

impl<W: World> Bench<W> {
    /// An empty store for `world`.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    #[must_use]
    pub fn new(world: W) -> Self {
        Self { world, hosts: Arc::default(), home: folder() }
    }

    /// The same world from another computer with a store of its own: the one that was here is lost.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self { home: folder(), ..self }
    }

    /// Loses what the store remembers of its machines, and keeps its identity.
    ///
    /// # Panics
    /// When that cannot be removed.
    pub fn lose_journals(&self) {
        let lost = std::fs::remove_dir_all(self.home.path().join("machines"));
        lost.unwrap_or_else(|error| panic!("the journals cannot be lost: {error}"));
    }

    /// The engine as a new process would have it, with faults or the like around its driver.
    pub fn process(
        &self,
        switch: &Switch,
        wrap: impl Fn(Arc<dyn AnyDriver>) -> Arc<dyn AnyDriver> + Send + Sync + 'static,
    ) -> Wharf {
        let clock = self.world.clock();
        let folder = Folder::new(self.home.path().to_owned(), Arc::clone(&clock), Arc::new(OsEntropy));
        folder.sweep();
        let store = Arc::new(CrashStore::new(Arc::new(folder), switch.clone()));
        let bootstrap = Arc::new(CrashHosts::new(Arc::clone(&self.hosts) as _, switch.clone()));
        let crashing = switch.clone();
        let killed = move |driver| Arc::new(CrashDriver::new(driver, crashing.clone())) as Arc<dyn AnyDriver>;
        let setup = Setup {
            home: self.home.path().to_owned(),
            store: None,
            cache: None,
            drivers: vec![self.world.factory().layered(wrap).layered(killed)],
            program: self.world.program(),
            agent: None,
            ssh: Person::default(),
            person: "ada@engine".to_owned(),
            keys: Keeping::default(),
        };
        let environment = self.world.environment();
        Wharf::with(setup, Parts { store, clock, entropy: Arc::new(OsEntropy), bootstrap })
            .in_session(|session| session.with_environment(environment))
    }

    /// Creates the machine, or continues to; `None` when killed.
    pub async fn create(&self, switch: &Switch) -> Option<Result<Created>> {
        let wharf = self.process(switch, |driver| driver);
        let request = self.request();
        switch.run(wharf.create(&request, &self.call("create"))).await
    }

    /// Creates the machine, or continues to, until it is ready.
    ///
    /// # Panics
    /// When that fails.
    pub async fn ready(&self, after: &str) {
        let never = Switch::default();
        let wharf = self.process(&never, |driver| driver);
        let name = name();
        match wharf.create(&self.request(), &self.call("create")).await {
            Ok(created) => {
                assert_eq!(created.connection.life, Life::Ready, "{after}: not ready after a create");
            }
            // Killed after its last event: the person is told that it is there.
            Err(error) if error.kind() == Kind::Refused && self.life(&wharf).await == Some(Life::Ready) => {}
            Err(error) => panic!("{after}: create failed: {error:?}"),
        }
        let connection = wharf.connection(&name).await;
        let connection = connection.unwrap_or_else(|e| panic!("{after}: no connection: {e:?}"));
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            assert!(connection.certificates.join(file).is_file(), "{after}: {file} is not there");
        }
        assert_eq!(self.hosts.agents(), [connection.id.to_string()], "{after}: agents");
    }

    /// Removes the machine; `None` when killed.
    pub async fn remove(&self, switch: &Switch) -> Option<Result<Removed>> {
        let wharf = self.process(switch, |driver| driver);
        let options = RemoveOptions { purge: true, force: false };
        switch.run(wharf.remove(&name(), options, &self.call("rm"))).await
    }

    /// Removes the machine and sees that nothing of it is left anywhere.
    ///
    /// # Panics
    /// When something is.
    pub async fn gone(&self, after: &str) {
        match self.remove(&Switch::default()).await {
            Some(Ok(removed)) => assert_eq!(removed.left, [""; 0], "{after}: left by its own account"),
            Some(Err(error)) if error.kind() == Kind::NoSuchMachine => {}
            other => panic!("{after}: remove failed: {other:?}"),
        }
        assert_eq!(self.world.remains().await, [""; 0], "{after}: left in the world");
        let adopts = self.world.factory().about().capabilities.adopts;
        if adopts {
            assert_eq!(self.hosts.agents(), [""; 0], "{after}: left on the host");
        }
        let wharf = self.process(&Switch::default(), |driver| driver);
        assert!(wharf.list().await.is_ok_and(|list| list.is_empty()), "{after}: still listed");
        // A create that died before its first event leaves an empty folder, which the next one takes.
        let folder = self.home.path().join("machines").join(name().as_str());
        assert!(!folder.join("journal.jsonl").exists(), "{after}: {} is there", folder.display());
        let removed = self.home.path().join("removed");
        assert!(!removed.exists() || is_empty(&removed), "{after}: {} is not empty", removed.display());
    }

    /// Starts or stops the machine; `None` when killed.
    pub async fn power(&self, to: Power, switch: &Switch) -> Option<Result<wharf_core::Connection>> {
        let wharf = self.process(switch, |driver| driver);
        switch.run(wharf.power(&name(), to, &self.call("power"))).await
    }

    /// The wish that every trial has.
    pub fn request(&self) -> CreateRequest {
        CreateRequest {
            name: name(),
            driver: self.world.factory().about().name.to_owned(),
            config: self.world.config(),
            options: EngineOptions::default(),
            expires: None,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        }
    }

    /// A call with this world's deadline.
    pub fn call(&self, verb: &str) -> Call {
        Call { deadline: self.world.deadline(), ..Call::new(format!("wharf {verb}")) }
    }

    async fn life(&self, wharf: &Wharf) -> Option<Life> {
        let list = wharf.list().await.ok()?;
        list.into_iter().find_map(|(_, summary)| summary.ok()).map(|summary| summary.life)
    }
}

/// The name of the machine in every trial.
///
/// # Panics
/// Never.
#[expect(clippy::expect_used, reason = "the name is a constant")]
pub(super) fn name() -> MachineName {
    "trial".parse().expect("a name")
}

/// A folder in memory where there is one: the kills here lose no page cache, so waiting for a disk shows nothing.
///
/// # Panics
/// When no folder can be made.
#[expect(clippy::expect_used, reason = "a test without a folder cannot go on")]
pub(super) fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("wharf-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a temporary folder")
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}
