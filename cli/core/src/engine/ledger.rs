//! A machine's journal while its lock is held: every event is folded before it is written, and written before it is
//! acted on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use wharf_driver::{Clock, MachineName};

use crate::journal::{Entry, Event, Illegal, Machine, fold};
use crate::store::{Lease, Store, Subject, Wait};
use crate::{Error, Kind, Result};

/// A locked machine's journal.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    machine: Mutex<Option<Machine>>,
    /// Held across a write, so that numbers follow each other.
    writing: tokio::sync::Mutex<()>,
}

impl Ledger {
    /// Takes the machine's lock. The journal is not looked at yet.
    pub(crate) async fn lock(
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        name: &MachineName,
        wait: &Wait<'_>,
    ) -> Result<Self> {
        let lease = store.lock(&Subject::Machine(name.clone()), wait).await?;
        Ok(Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            lease,
            machine: Mutex::new(None),
            writing: tokio::sync::Mutex::new(()),
        })
    }

    /// Reads the journal; `None` when there is no machine of this name.
    pub(crate) async fn read(&self) -> Result<Option<Machine>> {
        let entries = match &self.lease.subject {
            Subject::Machine(name) => self.store.journal(name).await?,
            Subject::Authority | Subject::Shared(_) | Subject::Fleet(_) => Vec::new(),
        };
        let machine = fold(&entries).map_err(|illegal| refused(&self.lease.subject, illegal))?;
        self.set(machine.clone());
        Ok(machine)
    }

    /// The lock that is held.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// How many bytes of a torn last line were cut.
    pub(crate) fn torn(&self) -> usize {
        self.lease.torn
    }

    /// The machine as of the last event.
    pub(crate) fn machine(&self) -> Result<Machine> {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.clone().ok_or_else(|| Error::new(Kind::Failed, "the machine has no journal yet"))
    }

    /// Folds `event` and writes it; it is on the disk when this returns.
    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        let _writing = self.writing.lock().await;
        let before = self.machine.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let entry = Entry {
            number: before.as_ref().map_or(0, |machine| machine.last) + 1,
            at: milliseconds(&*self.clock),
            fence: self.lease.fence,
            event,
        };
        let after = match before {
            None => Machine::begin(&entry),
            Some(mut machine) => machine.apply(&entry).map(|()| machine),
        };
        let after = after.map_err(|illegal| refused(&self.lease.subject, illegal))?;
        self.store.append(&self.lease, &entry).await?;
        self.set(Some(after));
        Ok(())
    }

    /// Replaces one of the machine's files, unless it holds these bytes already.
    pub(crate) async fn put(&self, file: &str, bytes: &[u8]) -> Result<()> {
        if self.get(file).await?.as_deref() == Some(bytes) {
            return Ok(());
        }
        self.store.put(&self.lease, file, bytes).await
    }

    /// One of the machine's files.
    pub(crate) async fn get(&self, file: &str) -> Result<Option<Vec<u8>>> {
        self.store.get(&self.lease.subject, file).await
    }

    /// Replaces one of the machine's files on this computer, unless it holds these bytes already.
    pub(crate) async fn put_own(&self, file: &str, bytes: &[u8]) -> Result<()> {
        if self.store.own(&self.lease.subject, file).await?.as_deref() == Some(bytes) {
            return Ok(());
        }
        self.store.put_own(&self.lease, file, bytes).await
    }

    /// Forgets the machine.
    pub(crate) async fn forget(&self) -> Result<()> {
        self.store.forget(&self.lease).await
    }

    fn set(&self, machine: Option<Machine>) {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = machine;
    }
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(clock: &dyn Clock) -> u64 {
    let since = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn refused(subject: &Subject, illegal: Illegal) -> Error {
    let what = match subject {
        Subject::Machine(name) => format!("the journal of machine `{name}` is damaged: {illegal}"),
        Subject::Authority | Subject::Shared(_) | Subject::Fleet(_) => illegal.to_string(),
    };
    let hint = "bring the journal back from a backup; `wharf rm --force` forgets the machine and leaves what it is \
                made of";
    Error::new(Kind::Failed, what).hint(hint).caused_by(illegal)
}
