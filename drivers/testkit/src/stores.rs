//! What every store promises, whatever it keeps its machines in: one suite for the folder and for objects.
//!
//! It works through several openings of one store, as several commands have them.
#![expect(clippy::unwrap_used, reason = "a suite panics at the first promise that is broken")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use wharf_core::journal::{Entry, Event};
use wharf_core::store::{Lease, Store, Subject, Wait};
use wharf_core::{Kind, MachineName, Result};
use wharf_driver::Clock;

/// Runs the suite on a store that is empty. `open` opens it once more.
///
/// # Panics
/// At the first promise that is broken.
pub async fn contract(open: &dyn Fn() -> Arc<dyn Store>, clock: &Arc<dyn Clock>) {
    let desks = [Desk::new(open(), clock), Desk::new(open(), clock)];
    assert_eq!(desks[0].store.id().await.unwrap(), desks[1].store.id().await.unwrap(), "one store, one id");
    assert!(desks[0].store.machines().await.unwrap().is_empty(), "an empty store");
    one_holder(&desks).await;
    journals(&desks).await;
    files(&desks).await;
    forgetting(&desks).await;
    interrupted_waiting(&desks).await;
    many_writers(open, clock).await;
}

/// One command at work.
#[derive(Debug)]
pub struct Desk {
    /// Its opening of the store.
    pub store: Arc<dyn Store>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Ends its waiting.
    pub cancel: CancellationToken,
}

impl Desk {
    /// A desk with its own opening of the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        Self { store, clock: Arc::clone(clock), cancel: CancellationToken::new() }
    }

    /// Takes a lock, waiting this long.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lock(&self, subject: &Subject, patience: Duration) -> Result<Lease> {
        self.lock_hearing(subject, patience, &|_| {}).await
    }

    /// Takes a machine's lock that is free, or soon will be.
    ///
    /// # Panics
    /// When it is not.
    pub async fn machine(&self, name: &str) -> Lease {
        self.lock(&machine(name), PATIENCE).await.unwrap()
    }

    async fn lock_hearing(
        &self,
        subject: &Subject,
        patience: Duration,
        held: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Lease> {
        let until = self.clock.now() + patience;
        let wait = Wait { until, cancel: &self.cancel, holder: "wharf try", held };
        self.store.lock(subject, &wait).await
    }

    /// Appends an event that says nothing but its number.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn append(&self, lease: &Lease, number: u64) -> Result<()> {
        let entry = Entry { number, at: number, fence: lease.fence, event: Event::Purging };
        self.store.append(lease, &entry).await
    }

    /// The numbers of a machine's events.
    ///
    /// # Panics
    /// When the journal cannot be read.
    pub async fn numbers(&self, name: &str) -> Vec<u64> {
        let entries = self.store.journal(&name.parse().unwrap()).await.unwrap();
        entries.iter().map(|entry| entry.number).collect()
    }
}

/// A machine as a subject.
///
/// # Panics
/// When the name is none.
#[must_use]
pub fn machine(name: &str) -> Subject {
    Subject::Machine(name.parse().unwrap())
}

async fn one_holder([first, second]: &[Desk; 2]) {
    let subjects =
        [machine("web"), Subject::Authority, Subject::Shared("net".into()), Subject::Fleet("web".into())];
    for subject in &subjects {
        assert_eq!(first.store.holder(subject).await.unwrap(), None, "nobody has held it");
        let lease = first.lock(subject, PATIENCE).await.unwrap();
        let fence = lease.fence;
        let heard = AtomicUsize::new(0);
        let hear = |by: &str| {
            assert!(by.contains("wharf try"), "{by}");
            heard.fetch_add(1, Ordering::Relaxed);
        };
        let refused = second.lock_hearing(subject, SHORT, &hear).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Locked);
        assert!(refused.message().contains("wharf try"), "who holds it is said: {refused}");
        assert_eq!(heard.load(Ordering::Relaxed), 1, "and said once while waiting");
        assert!(second.store.holder(subject).await.unwrap().is_some_and(|by| by.contains("wharf try")));
        drop(lease);
        first.store.settled().await;
        assert_eq!(second.store.holder(subject).await.unwrap(), None, "dropped is free");
        let next = second.lock(subject, PATIENCE).await.unwrap();
        assert!(next.fence > fence, "the token goes up");
        drop(next);
        second.store.settled().await;
    }
    assert!(first.store.machines().await.unwrap().is_empty(), "a lock makes no machine");
}

async fn journals([first, second]: &[Desk; 2]) {
    let lease = first.machine("web").await;
    assert!(first.append(&lease, 2).await.is_err(), "a journal begins with 1");
    first.append(&lease, 1).await.unwrap();
    assert!(first.append(&lease, 1).await.is_err(), "a number comes once");
    assert!(first.append(&lease, 3).await.is_err(), "and none is left out");
    first.append(&lease, 2).await.unwrap();
    assert_eq!(second.numbers("web").await, [1, 2], "what is appended is there for all");
    let names: Vec<MachineName> = vec!["web".parse().unwrap()];
    assert_eq!(second.store.machines().await.unwrap(), names);
    drop(lease);
    let lease = second.machine("web").await;
    second.append(&lease, 3).await.unwrap();
    assert_eq!(first.numbers("web").await, [1, 2, 3]);
    let fleet = first.lock(&Subject::Fleet("web".into()), PATIENCE).await.unwrap();
    assert!(first.append(&fleet, 1).await.is_err(), "only machines have journals");
}

async fn files([first, second]: &[Desk; 2]) {
    for subject in [machine("web"), Subject::Authority] {
        let lease = first.lock(&subject, PATIENCE).await.unwrap();
        let get = async |desk: &Desk| desk.store.get(&subject, "keys/a").await.unwrap();
        assert_eq!(get(first).await, None);
        first.store.delete(&lease, "keys/a").await.unwrap();
        for text in [b"one".as_slice(), b"two\nlines", b"", b"one"] {
            first.store.put(&lease, "keys/a", text).await.unwrap();
            assert_eq!(get(second).await.as_deref(), Some(text));
        }
        first.store.delete(&lease, "keys/a").await.unwrap();
        assert_eq!((get(first).await, get(second).await), (None, None));
        first.store.put(&lease, "keys/a", b"again").await.unwrap();
        first.store.put_own(&lease, "own/b", b"mine").await.unwrap();
        assert_eq!(first.store.own(&subject, "own/b").await.unwrap().as_deref(), Some(b"mine".as_slice()));
        let there = std::fs::read(first.store.path(&subject).join("own/b")).unwrap();
        assert_eq!(there, b"mine", "own files are on this computer");
        assert_eq!(first.store.own(&subject, "own/c").await.unwrap(), None);
    }
}

async fn forgetting([first, second]: &[Desk; 2]) {
    let lease = first.machine("web").await;
    first.store.forget(&lease).await.unwrap();
    assert!(second.numbers("web").await.is_empty(), "forgotten");
    assert!(second.store.machines().await.unwrap().is_empty());
    assert_eq!(second.store.get(&machine("web"), "keys/a").await.unwrap(), None);
    assert!(!first.store.path(&machine("web")).join("own/b").exists());
    let next = second.machine("web").await;
    second.append(&next, 1).await.unwrap();
    assert!(first.append(&lease, 4).await.is_err(), "the lease is worth nothing");
    assert!(first.store.put(&lease, "keys/a", b"late").await.is_err());
    assert!(first.store.forget(&lease).await.is_err());
    drop(lease);
    assert_eq!(second.numbers("web").await, [1], "the name begins anew");
    assert_eq!(second.store.get(&machine("web"), "keys/a").await.unwrap(), None);
    second.append(&next, 2).await.unwrap();
    second.store.forget(&next).await.unwrap();
}

async fn interrupted_waiting([first, second]: &[Desk; 2]) {
    let _lease = first.machine("busy").await;
    let waiting = Desk::new(Arc::clone(&second.store), &second.clock);
    let cancel = waiting.cancel.clone();
    let hear = move |_: &str| cancel.cancel();
    let ended = waiting.lock_hearing(&machine("busy"), PATIENCE, &hear).await.unwrap_err();
    assert_eq!(ended.kind(), Kind::Cancelled);
}

/// Everybody counts one up, in one file and one journal, some through one opening and some through another.
async fn many_writers(open: &dyn Fn() -> Arc<dyn Store>, clock: &Arc<dyn Clock>) {
    let desks = [Desk::new(open(), clock), Desk::new(open(), clock)];
    let subject = machine("many");
    let count = async |index: usize| {
        let desk = &desks[index % 2];
        let lease = desk.lock(&subject, PATIENCE).await.unwrap();
        let before = desk.store.get(&subject, "count").await.unwrap().map_or(0, |text| text.len());
        desk.store.put(&lease, "count", &vec![b'x'; before + 1]).await.unwrap();
        let next = desk.numbers("many").await.len() as u64 + 1;
        desk.append(&lease, next).await.unwrap();
    };
    join_all((0..WRITERS).map(count)).await;
    for desk in &desks {
        desk.store.settled().await;
        assert_eq!(desk.store.get(&subject, "count").await.unwrap().map(|text| text.len()), Some(WRITERS));
        assert_eq!(desk.numbers("many").await.len(), WRITERS);
    }
}

const PATIENCE: Duration = Duration::from_secs(100);
const SHORT: Duration = Duration::from_millis(200);
const WRITERS: usize = 12;
