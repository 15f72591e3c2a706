//! A store whose user is killed after so many writes, so that none gets there any more; or while whose writes somebody
//! else is at work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use futures_util::future::BoxFuture;
use wharf_core::journal::Entry;
use wharf_core::store::{Journal, Lease, Store, Subject, Wait};
use wharf_core::{Error, Kind, MachineName, Result, StoreId};

/// How many writes are left to whom, by their home, and whether one was refused.
static LEFT: LazyLock<Mutex<BTreeMap<PathBuf, (usize, bool)>>> = LazyLock::new(Mutex::default);

/// Whoever lives there writes so often, and then never again.
pub(crate) fn after(home: &Path, writes: usize) {
    LEFT.lock().unwrap().insert(home.to_owned(), (writes, false));
}

/// They write again; whether they had been stopped.
pub(crate) fn mend(home: &Path) -> bool {
    LEFT.lock().unwrap().remove(home).is_some_and(|(_, stopped)| stopped)
}

/// What somebody else does right after a file was written.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// What happens once a file of this name was written by whoever lives there.
static THEN: LazyLock<Mutex<BTreeMap<(PathBuf, &'static str), Meanwhile>>> = LazyLock::new(Mutex::default);

/// Once whoever lives there has written a file of this name, and before they do anything else, this happens.
pub(crate) fn then(home: &Path, file: &'static str, meanwhile: impl FnOnce() + Send + 'static) {
    THEN.lock().unwrap().insert((home.to_owned(), file), Box::new(meanwhile));
}

/// The store as somebody has it whose files are below `folder`.
pub(crate) fn under(folder: &Path, store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Cut { store, folder: folder.to_owned() })
}

#[derive(Debug)]
struct Cut {
    store: Arc<dyn Store>,
    folder: PathBuf,
}

impl Cut {
    fn meanwhile(&self, file: &str) -> Option<Meanwhile> {
        let mut then = THEN.lock().unwrap();
        let meant = |(home, name): &&(PathBuf, &str)| *name == file && self.folder.starts_with(home);
        let key = then.keys().find(meant).cloned()?;
        then.remove(&key)
    }

    fn write(&self) -> Result<()> {
        let mut left = LEFT.lock().unwrap();
        match left.iter_mut().find(|(home, _)| self.folder.starts_with(home)) {
            Some((_, (0, stopped))) => {
                *stopped = true;
                Err(Error::new(Kind::Failed, "killed"))
            }
            Some((_, (left, _))) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Store for Cut {
    fn id(&self) -> BoxFuture<'_, Result<StoreId>> {
        self.store.id()
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<MachineName>>> {
        self.store.machines()
    }

    fn lock<'a>(&'a self, subject: &'a Subject, wait: &'a Wait<'a>) -> BoxFuture<'a, Result<Lease>> {
        self.store.lock(subject, wait)
    }

    fn journal<'a>(&'a self, name: &'a MachineName) -> BoxFuture<'a, Result<Vec<Entry>>> {
        self.store.journal(name)
    }

    fn journals(&self) -> BoxFuture<'_, Result<Vec<Journal>>> {
        self.store.journals()
    }

    fn append<'a>(&'a self, lease: &'a Lease, entry: &'a Entry) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write()?;
            self.store.append(lease, entry).await
        })
    }

    fn put<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write()?;
            self.store.put(lease, file, bytes).await?;
            if let Some(meanwhile) = self.meanwhile(file) {
                // A program of its own, with threads of its own.
                std::thread::spawn(meanwhile).join().unwrap();
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, lease: &'a Lease, file: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write()?;
            self.store.delete(lease, file).await
        })
    }

    fn get<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.store.get(subject, file)
    }

    fn put_own<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write()?;
            self.store.put_own(lease, file, bytes).await
        })
    }

    fn own<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.store.own(subject, file)
    }

    fn path(&self, subject: &Subject) -> PathBuf {
        self.store.path(subject)
    }

    fn holder<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Option<String>>> {
        self.store.holder(subject)
    }

    fn unlock<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<()>> {
        self.store.unlock(subject)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.store.settled()
    }

    fn forget<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>> {
        self.store.forget(lease)
    }
}
