//! Where machines are remembered: a seam, with the local folder as its first implementation.
//!
//! A store holds numbered events, one lock a machine with a fencing token, a checkpoint that can be rebuilt, and small
//! files. Whoever appends holds the lock; a writer that lost it is refused by its token, and an event that is not the
//! next one by its number. So an object store with conditional writes can stand behind the same seam.
//!
//! Files are of two sorts. What everybody needs who works with the machines goes with the store, wherever that is. What
//! is a person's own (the certificate that signs in) and what is written for other programs to read stays on this
//! computer, and can be made again from the rest.

mod folder;
mod identity;
mod layout;
mod lock;
mod replace;
mod sweep;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wharf_driver::{MachineName, StoreId};

pub use folder::Folder;
pub use replace::{failed, make_folder, replace};

use crate::Result;
use crate::journal::Entry;

/// Where machines are remembered.
pub trait Store: fmt::Debug + Send + Sync {
    /// The store's id, made with it.
    fn id(&self) -> BoxFuture<'_, Result<StoreId>>;

    /// Every machine that is remembered, by name.
    fn machines(&self) -> BoxFuture<'_, Result<Vec<MachineName>>>;

    /// Takes the lock of `subject`, or says who holds it. Waits as `wait` says.
    fn lock<'a>(&'a self, subject: &'a Subject, wait: &'a Wait<'a>) -> BoxFuture<'a, Result<Lease>>;

    /// The journal of a machine; an empty one when there is none. Needs no lock, and leaves a torn line alone.
    fn journal<'a>(&'a self, name: &'a MachineName) -> BoxFuture<'a, Result<Vec<Entry>>>;

    /// The journals of all machines, by name; or why one cannot be read. Needs no lock.
    fn journals(&self) -> BoxFuture<'_, Result<Vec<Journal>>> {
        Box::pin(async {
            let mut all = Vec::new();
            for name in self.machines().await? {
                let journal = self.journal(&name).await;
                all.push((name, journal));
            }
            Ok(all)
        })
    }

    /// Appends an event that is on the disk when this returns.
    ///
    /// Refused when the lease is not the newest one, or the event's number is not the next one.
    fn append<'a>(&'a self, lease: &'a Lease, entry: &'a Entry) -> BoxFuture<'a, Result<()>>;

    /// Replaces one of the subject's files. Everything in a store is readable by its owner alone.
    fn put<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// Takes one of the subject's files away. Being gone already is success.
    fn delete<'a>(&'a self, lease: &'a Lease, file: &'a str) -> BoxFuture<'a, Result<()>>;

    /// One of the subject's files; `None` when it is not there.
    fn get<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Replaces one of the subject's files that stay on this computer, under [`Store::path`].
    fn put_own<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// One of the subject's files on this computer; `None` when it is not there.
    fn own<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Where the subject's own files are on this computer, for programs that read them there.
    fn path(&self, subject: &Subject) -> PathBuf;

    /// Who holds the lock of `subject`, in words; `None` when nobody does.
    fn holder<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Option<String>>>;

    /// Frees the lock of `subject` though somebody holds it, whose next write is then refused.
    fn unlock<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<()>>;

    /// Whether others work with this store from computers of their own. Then keys in it are encrypted, and what this
    /// computer has of a machine may be older than its journal.
    fn is_shared(&self) -> bool {
        false
    }

    /// Returns once what is left to do for leases that were dropped is done. A program asks for it before it ends; where
    /// it does not, others wait for those locks until they run out.
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Forgets the machine of this lease, all at once: afterwards its name is free, and the lease is worth nothing.
    fn forget<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>>;
}

/// A machine's journal; or why it cannot be read.
pub type Journal = (MachineName, Result<Vec<Entry>>);

/// What a lock and files belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One machine.
    Machine(MachineName),
    /// The certificate authority and the person's own certificate.
    Authority,
    /// Something that machines share, by its driver's and its own name. It has a lock and nothing else: who uses it
    /// stands in the journals of the machines.
    Shared(String),
    /// The machines that one file declares. It has a lock and nothing else: which they are stands in their journals.
    Fleet(String),
}

impl Subject {
    /// In words, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Machine(name) => format!("machine `{name}`"),
            Self::Authority => "the certificate authority".to_owned(),
            Self::Shared(name) => format!("`{name}`, which machines share,"),
            Self::Fleet(name) => format!("fleet `{name}`"),
        }
    }
}

/// How to wait for a lock.
pub struct Wait<'a> {
    /// Until when.
    pub until: Instant,
    /// Ends the waiting.
    pub cancel: &'a CancellationToken,
    /// What to tell others that wait for us.
    pub holder: &'a str,
    /// Called once when somebody else holds it, with what they told.
    pub held: &'a (dyn Fn(&str) + Send + Sync),
}

/// A lock that is held until this is dropped.
pub struct Lease {
    /// What is locked.
    pub subject: Subject,
    /// Goes up with every taking of the lock.
    pub fence: u64,
    /// How many bytes of a torn last line were cut when the lock was taken.
    pub torn: usize,
    /// Cancelled when the lock is lost: whoever held it does no more then.
    pub ended: CancellationToken,
    /// What the implementation keeps.
    guard: Box<dyn Any + Send + Sync>,
}

impl Lease {
    /// A lease with whatever `guard` holds the lock until it is dropped.
    #[must_use]
    pub fn new(
        subject: Subject,
        fence: u64,
        torn: usize,
        ended: CancellationToken,
        guard: Box<dyn Any + Send + Sync>,
    ) -> Self {
        Self { subject, fence, torn, ended, guard }
    }

    /// What the implementation keeps.
    #[must_use]
    pub fn guard<T: 'static>(&self) -> Option<&T> {
        self.guard.downcast_ref()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("subject", &self.subject)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
