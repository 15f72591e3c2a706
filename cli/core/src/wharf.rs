//! The library's front door: everything that a verb needs, as values.

use std::path::PathBuf;
use std::sync::Arc;

use wharf_driver::{AnyDriver, Clock, Factory, Session, SystemClock, layers};

use crate::bootstrap::Bootstrap;
use crate::engine::Shared;
use crate::entropy::{Entropy, OsEntropy};
use crate::host::OverSsh;
use crate::store::{Folder, Store};
use crate::vault::Vault;
use crate::{Error, Keeping, Kind, Result};

/// What a program hands over once, at its start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder of the store, or of what stays on this computer of another store.
    pub home: PathBuf,
    /// The store, where it is not that folder.
    pub store: Option<Arc<dyn Store>>,
    /// The folder for what may be deleted at any time; `None` puts it into `home`.
    pub cache: Option<PathBuf>,
    /// The drivers of this build.
    pub drivers: Vec<Factory>,
    /// The program itself, which some drivers start again as a supervisor.
    pub program: PathBuf,
    /// The agent's executable, where one was found.
    pub agent: Option<PathBuf>,
    /// What the person signs in with over SSH to hosts that wharf did not make.
    pub ssh: Person,
    /// Who the person is, for the client certificate's name: `user@computer`.
    pub person: String,
    /// Where private keys are to be kept.
    pub keys: Keeping,
}

/// The person's own SSH files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Files in OpenSSH's `known_hosts` format.
    pub known_hosts: Vec<PathBuf>,
    /// Private keys to try when none is named; those that are not there are passed over.
    pub identities: Vec<PathBuf>,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
}

/// The engine: machines, without a terminal or a cloud.
///
/// Verbs may run concurrently on one of these, in one process or in several.
#[derive(Debug)]
pub struct Wharf {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Vault,
    pub(crate) drivers: Vec<Factory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) bootstrap: Arc<dyn Bootstrap>,
    pub(crate) cache: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) person: String,
    pub(crate) shared: Shared,
    pub(crate) session: Session,
}

/// The seams below the engine, for whoever puts something else there.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where machines are remembered.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What happens on the machines.
    pub bootstrap: Arc<dyn Bootstrap>,
}

impl Wharf {
    /// The engine over the store or the local folder, the system's clock and randomness, and SSH. Must be called within tokio.
    #[must_use]
    pub fn open(setup: Setup) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let store = setup.store.clone().unwrap_or_else(|| {
            let folder = Folder::new(setup.home.clone(), Arc::clone(&clock), Arc::clone(&entropy));
            folder.sweep();
            Arc::new(folder)
        });
        let bootstrap = OverSsh::new(setup.agent.clone(), setup.ssh.clone(), Arc::clone(&clock));
        let parts = Parts { store, clock, entropy, bootstrap: Arc::new(bootstrap) };
        Self::with(setup, parts)
    }

    /// The engine over other parts; `home` is then only where the cache goes, and `agent` is not looked at.
    #[must_use]
    pub fn with(setup: Setup, parts: Parts) -> Self {
        let Parts { store, clock, entropy, bootstrap } = parts;
        let around = Arc::clone(&clock);
        let session = Session::new(Arc::clone(&clock)).of_client(&setup.person);
        let layered = |factory: Factory| {
            let clock = Arc::clone(&around);
            factory.layered(move |driver: Arc<dyn AnyDriver>| layers::standard(driver, &clock))
        };
        Self {
            vault: Vault::new(Arc::clone(&store), setup.keys),
            store,
            drivers: setup.drivers.into_iter().map(layered).collect(),
            clock,
            entropy,
            bootstrap,
            cache: setup.cache.unwrap_or_else(|| setup.home.join("cache")),
            program: setup.program,
            person: setup.person,
            shared: Shared::default(),
            session,
        }
    }

    /// In a run of the program that `change` knows more of: the person's environment, and whether somebody is there.
    #[must_use]
    pub fn in_session(self, change: impl FnOnce(Session) -> Session) -> Self {
        let session = change(self.session.clone());
        Self { session, ..self }
    }

    /// The drivers of this build.
    #[must_use]
    pub fn drivers(&self) -> &[Factory] {
        &self.drivers
    }

    pub(crate) fn driver(&self, name: &str) -> Result<&Factory> {
        self.drivers.iter().find(|factory| factory.answers_to(name)).ok_or_else(|| {
            let known: Vec<&str> = self.drivers.iter().map(|factory| factory.about().name).collect();
            Error::new(Kind::Refused, format!("there is no driver `{name}`"))
                .hint(format!("the drivers of this build: {}", known.join(", ")))
        })
    }
}
