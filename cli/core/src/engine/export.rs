//! Machines leave for another store, or come from one, with their journals and keys. No machine is touched or asked: in
//! the other store its engine still believes the authority of this one, until `provision` changes that.

use wharf_driver::{MachineName, Secret};

use crate::bundle::{Bundle, BundledMachine, files};
use crate::engine::connection::CHECKPOINT;
use crate::engine::keys::{HOST, SIGN_IN, public_file};
use crate::engine::work::Work;
use crate::journal::{Entry, Machine, fold};
use crate::store::Subject;
use crate::{Call, Error, Kind, Life, Result, Wharf};

/// What becomes of a machine that is imported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bundled {
    /// Its name.
    pub name: MachineName,
    /// Its driver.
    pub driver: String,
    /// Whether it has an engine of wharf's, which believes another store's authority.
    pub engine: bool,
    /// What it needs of the computer that it came from, and does not find here.
    pub lacks: Vec<String>,
}

impl Wharf {
    /// The machines with all that another store needs.
    ///
    /// # Errors
    /// Refused for a machine that is not finished, that another program's engine is on, or that is made of this
    /// computer's own files.
    pub async fn export(&self, names: &[MachineName]) -> Result<Bundle> {
        let mut bundle =
            Bundle { store: self.store.id().await?, machines: std::collections::BTreeMap::new() };
        for name in names {
            bundle.machines.insert(name.clone(), self.export_one(name).await?);
        }
        Ok(bundle)
    }

    async fn export_one(&self, name: &MachineName) -> Result<BundledMachine> {
        let machine = self.machine(name).await?;
        movable(&machine)?;
        let subject = Subject::Machine(name.clone());
        // What is in somebody's account is there, whatever the driver noted here while it made it.
        let elsewhere = machine.account.is_some() || machine.adopts;
        let kept = std::fs::read_dir(self.store.path(&subject).join(KEPT));
        if !elsewhere && kept.is_ok_and(|mut kept| kept.next().is_some()) {
            let message =
                format!("what driver `{}` keeps of machine `{name}` is on this computer", machine.driver);
            return Err(Error::new(Kind::Refused, message).hint("make another one where it is wanted"));
        }
        let mut bundled = BundledMachine::of(&self.store.journal(name).await?)?;
        for key in [SIGN_IN, HOST] {
            if let Some(secret) = self.vault.read(&subject, key).await? {
                let bytes = secret.expose().as_bytes().to_vec();
                bundled.files.insert(key.file.to_owned(), Secret::new(bytes));
            }
            let public = public_file(key);
            if let Some(bytes) = self.store.get(&subject, &public).await? {
                bundled.files.insert(public, Secret::new(bytes));
            }
        }
        Ok(bundled)
    }

    /// What an import of this machine would do; refused where the import would be.
    ///
    /// # Errors
    /// Refused when a machine of its name is here, or its driver is not in this build.
    pub async fn try_in(&self, name: &MachineName, bundled: &BundledMachine) -> Result<Bundled> {
        let (machine, entries) = self.read_bundled(name, bundled)?;
        self.vault.can_keep().await?;
        self.missing(name, &entries).await?;
        Ok(looked_at(&machine))
    }

    /// Takes a machine over, whole; or goes on with an import of it that was killed.
    ///
    /// # Errors
    /// As [`Wharf::try_in`].
    pub async fn take_in(
        &self,
        name: &MachineName,
        bundled: &BundledMachine,
        call: &Call,
    ) -> Result<Bundled> {
        let (machine, entries) = self.read_bundled(name, bundled)?;
        self.vault.can_keep().await?;
        // Without the lock first, which makes a folder.
        self.missing(name, &entries).await?;
        let work = Work::lock(self, name, call).await?;
        let there = self.missing(name, &entries).await?;
        let lease = work.ledger.lease();
        // The keys go first: a journal without them would be taken for one that lost them.
        for key in [SIGN_IN, HOST] {
            if let Some(bytes) = bundled.files.get(key.file) {
                self.vault.put(lease, key, &text(bytes)?).await?;
            }
            if let Some(bytes) = bundled.files.get(&public_file(key)) {
                self.store.put(lease, &public_file(key), bytes.expose()).await?;
            }
        }
        for entry in entries.into_iter().skip(there) {
            self.store.append(lease, &Entry { fence: lease.fence, ..entry }).await?;
        }
        work.ledger.read().await?;
        work.export().await?;
        Ok(looked_at(&machine))
    }

    /// How many of these events are here, of an import that was killed. Refuses any other machine.
    async fn missing(&self, name: &MachineName, entries: &[Entry]) -> Result<usize> {
        let there = self.store.journal(name).await?;
        let begun = there.iter().zip(entries).all(|(here, theirs)| here.event == theirs.event);
        if begun && there.len() < entries.len() {
            return Ok(there.len());
        }
        // What programs read on this computer is written last.
        let subject = Subject::Machine(name.clone());
        if begun && there.len() == entries.len() && self.store.own(&subject, CHECKPOINT).await?.is_none() {
            return Ok(there.len());
        }
        Err(Error::new(Kind::Refused, format!("there is a machine `{name}` here already")).hint(
            "it is left as it is; `wharf rm` removes it, if the one in the bundle is to take its place",
        ))
    }

    fn read_bundled(&self, name: &MachineName, bundled: &BundledMachine) -> Result<(Machine, Vec<Entry>)> {
        let entries = bundled.entries()?;
        let folded = fold(&entries).map_err(|e| {
            Error::new(Kind::Refused, format!("the journal of `{name}` in the bundle is damaged: {e}"))
        })?;
        let machine = folded.filter(|machine| machine.name == *name).ok_or_else(|| {
            Error::new(Kind::Refused, format!("the journal of `{name}` in the bundle is another machine's"))
        })?;
        movable(&machine)?;
        self.driver(&machine.driver)?;
        let known = files();
        if let Some(stray) = bundled.files.keys().find(|file| !known.contains(file)) {
            return Err(Error::new(Kind::Refused, format!("`{stray}` is no file of a machine")));
        }
        Ok((machine, entries))
    }
}

fn movable(machine: &Machine) -> Result<()> {
    let name = &machine.name;
    if let Some(from) = &machine.imported {
        return Err(Error::new(Kind::Refused, format!("the engine of machine `{name}` is {from}'s"))
            .hint(format!("import it from {from} there, too")));
    }
    match machine.life() {
        Life::Bare | Life::Ready => Ok(()),
        Life::Creating => Err(Error::new(Kind::Refused, format!("machine `{name}` is not finished"))
            .hint(format!("`wharf create {name}` goes on where it stopped"))),
        Life::Removing => Err(Error::new(Kind::Refused, format!("machine `{name}` is being removed"))
            .hint(format!("`wharf rm {name}` finishes that"))),
    }
}

fn looked_at(machine: &Machine) -> Bundled {
    let access = machine.reach.as_ref().map(|reach| &reach.access);
    let file = access.and_then(|access| access.identity.as_ref()).filter(|file| !file.exists());
    let lacks = file.map(|file| format!("the SSH key {}, which it is signed in to with", file.display()));
    Bundled {
        name: machine.name.clone(),
        driver: machine.driver.clone(),
        engine: machine.provisioned.is_some(),
        lacks: lacks.into_iter().collect(),
    }
}

fn text(bytes: &Secret<Vec<u8>>) -> Result<Secret<String>> {
    let text = String::from_utf8(bytes.expose().clone());
    text.map(Secret::new)
        .map_err(|_| Error::new(Kind::Refused, "a key in the bundle is damaged: it is not text"))
}

/// Where a driver keeps its own, under a machine's folder.
const KEPT: &str = "driver";
