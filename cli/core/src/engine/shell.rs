//! Commands on a machine over SSH, with its accepted host keys. Only a first meeting changes what wharf knows of it,
//! and takes the lock.

use std::time::Instant;

use wharf_driver::{HostKeyTrust, MachineName, Progress, Secret};

use crate::bootstrap::{Accept, Changes, Host, Ran};
use crate::engine::keys::{HOST, Keys, SIGN_IN, public_file};
use crate::engine::tunnel::reach_of;
use crate::engine::work::{Work, bounded};
use crate::journal::Machine;
use crate::store::Subject;
use crate::vault::Place;
use crate::{Call, Connection, Error, Kind, Result, Wharf};

/// What to do about a host key that nobody has vouched for.
const FIRST_KEY: &str = "compare the fingerprint with the host's own, and answer at a terminal or add the key to your \
                         known_hosts; an import with --ssh-accept-new-host-key accepts what is shown at first";

impl Wharf {
    /// Signs in and out again: tells a wrong host key from a wrong key from nobody there.
    ///
    /// # Errors
    /// Which of them it is.
    pub async fn check_ssh(&self, name: &MachineName, call: &Call) -> Result<()> {
        self.over_ssh(name, None, &[], call).await.map(drop)
    }

    /// How to reach a machine over SSH. One that nobody signed in to yet is met first, so that there is a host key to
    /// hold it to: what it shows is accepted as its driver's settings say, and written down.
    ///
    /// # Errors
    /// When there is no such machine, or its first host key is not accepted.
    pub async fn meet(&self, name: &MachineName, call: &Call) -> Result<Connection> {
        let machine = self.machine(name).await?;
        self.is_more_than_an_engine(&machine)?;
        if machine.imported.is_none() || !self.host_keys(&machine).await?.is_empty() {
            return self.connection(name).await;
        }
        let work = Work::existing(self, name, call).await?;
        let machine = work.machine()?;
        let host = work.host(&machine, reach_of(&machine)?, &Keys::unkept()?);
        let met = work.bounded("signing in", self.bootstrap.run(&host, None, &[])).await;
        met.map_err(|error| if error.kind() == Kind::Refused { error.hint(FIRST_KEY) } else { error })?;
        work.connection().await
    }

    /// Runs a command on the machine, fed with `input`.
    ///
    /// # Errors
    /// When it cannot be run; a command that fails is no error, look at its status.
    pub async fn run_over_ssh(
        &self,
        name: &MachineName,
        command: &str,
        input: &[u8],
        call: &Call,
    ) -> Result<Ran> {
        self.over_ssh(name, Some(command), input, call).await
    }

    /// Refuses what is the address of an engine and no host to sign in to.
    pub(super) fn is_more_than_an_engine(&self, machine: &Machine) -> Result<()> {
        let about = self.driver(&machine.driver)?.about();
        if about.capabilities.provisions {
            return Ok(());
        }
        let (name, driver) = (&machine.name, about.name);
        let message =
            format!("machine `{name}` cannot be signed in to: driver `{driver}` knows its engine alone");
        Err(Error::new(Kind::Refused, message).hint("ask whoever looks after it"))
    }

    async fn over_ssh(
        &self,
        name: &MachineName,
        command: Option<&str>,
        input: &[u8],
        call: &Call,
    ) -> Result<Ran> {
        let machine = self.machine(name).await?;
        self.is_more_than_an_engine(&machine)?;
        let until = self.clock.now() + call.deadline;
        let host = Host { confirm: call.confirm.clone(), ..self.visited(&machine, call, until).await? };
        let ran = bounded(self, call, until, "the command", self.bootstrap.run(&host, command, input)).await;
        ran.map_err(|error| machine.explain(error, self.session.client()))
    }

    /// The private key that signs in to the machine over SSH, where it is in no file that another program could read.
    ///
    /// # Errors
    /// When it is kept where this session cannot ask for it.
    pub async fn held_key(&self, name: &MachineName) -> Result<Option<Secret<String>>> {
        let machine = self.machine(name).await?;
        let subject = Subject::Machine(name.clone());
        let held = !matches!(self.vault.place(&subject, SIGN_IN).await?, Place::File | Place::Missing);
        if machine.adopts || !held {
            return Ok(None);
        }
        self.vault.read(&subject, SIGN_IN).await
    }

    /// The machine's accepted host keys: the one that it was born with until it has others.
    pub(crate) async fn host_keys(&self, machine: &Machine) -> Result<Vec<String>> {
        let seeded =
            machine.reach.as_ref().is_some_and(|reach| reach.access.host_key == HostKeyTrust::Seeded);
        if !machine.host_keys.is_empty() || !seeded {
            return Ok(machine.host_keys.clone());
        }
        let born = self.store.get(&Subject::Machine(machine.name.clone()), &public_file(HOST)).await?;
        Ok(born.iter().map(|key| String::from_utf8_lossy(key).trim().to_owned()).collect())
    }

    /// The machine as somebody reaches it who only visits: nothing is written down, and nobody is asked about keys.
    pub(crate) async fn visited(&self, machine: &Machine, call: &Call, until: Instant) -> Result<Host> {
        let name = &machine.name;
        let reach = reach_of(machine)?;
        let subject = Subject::Machine(name.clone());
        // A host that was there before has never seen the key made here.
        let key = if machine.adopts { None } else { self.vault.read(&subject, SIGN_IN).await? };
        Ok(Host {
            machine: machine.id.clone(),
            name: name.clone(),
            reach,
            key: key.unwrap_or_else(|| Secret::new(String::new())),
            host_keys: self.host_keys(machine).await?,
            jump_keys: machine.jump_keys.clone(),
            deadline: until,
            cancel: call.cancel.clone(),
            confirm: None,
            progress: Progress::silent(),
            accept: Accept::nothing(),
            changes: Changes::default(),
        })
    }
}
