//! Garbage: what no listed image, no snapshot and no operation under way refers to.
//!
//! Whoever is about to refer to content takes a lease on its digest *before* looking whether it is here. A collection
//! holds the gate while it decides and takes names away, so it sees either the lease or the reference; the slow part,
//! removing unpacked trees, happens behind the gate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Digest, Error, Result, Store};

/// What is needed by operations under way, and how often.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    gate: Arc<RwLock<()>>,
    held: Arc<Mutex<BTreeMap<Digest, usize>>>,
}

/// Keeps content from being collected until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Leases,
    content: Vec<Digest>,
}

/// What a collection took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) layers: Vec<Digest>,
    /// Bytes of the layers' files.
    pub(crate) bytes: u64,
}

impl Store {
    /// Removes every layer that is not among `layers` (diff ids), and every blob that belongs to none of those and is
    /// not among `blobs`. `referenced` is asked while nothing can begin to refer to anything.
    pub(crate) fn collect(
        &self,
        referenced: impl FnOnce() -> (BTreeSet<Digest>, BTreeSet<Digest>),
    ) -> Result<Collected> {
        let gate = self.leases.gate.write().unwrap_or_else(PoisonError::into_inner);
        let (mut layers, mut blobs) = referenced();
        layers.extend(self.snapshots.referenced()?);
        let leased: BTreeSet<Digest> = self.leases.held().keys().copied().collect();
        let mut collected = Collected::default();
        let mut trash = Vec::new();
        for layer in self.layers.list()? {
            let record = self.layers.find(&layer).ok().flatten();
            if layers.contains(&layer) || leased.contains(&layer) {
                blobs.extend(record.map(|record| record.blob));
                continue;
            }
            collected.bytes += record.map_or(0, |record| record.size);
            trash.extend(self.layers.discard(&layer)?);
            collected.layers.push(layer);
        }
        for blob in self.blobs.list()?.iter().filter(|blob| !blobs.contains(blob) && !leased.contains(blob)) {
            self.blobs.remove(blob)?;
        }
        drop(gate);
        for folder in trash {
            std::fs::remove_dir_all(&folder).map_err(Error::io("remove", folder))?;
        }
        Ok(collected)
    }
}

impl Store {
    /// Runs `work` while nothing is collected: for steps that only together make content referenced. Must not take a
    /// lease, which would wait for the same gate.
    pub(crate) fn settle<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _gate = self.leases.gate.read().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

impl Leases {
    pub(super) fn new(gate: Arc<RwLock<()>>) -> Self {
        Self { gate, held: Arc::default() }
    }

    pub(super) fn take(&self, content: impl IntoIterator<Item = Digest>) -> Lease {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let content: Vec<Digest> = content.into_iter().collect();
        let mut held = self.held();
        for digest in &content {
            *held.entry(*digest).or_default() += 1;
        }
        drop(held);
        Lease { leases: self.clone(), content }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        for digest in &self.content {
            if let Some(count) = held.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    held.remove(digest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Mounting;

    #[test]
    fn collects_what_nothing_refers_to_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), Mounting::Pretend).unwrap();
        let [kept, leased, garbage] =
            [b"kept", b"leas", b"garb"].map(|bytes| store.blobs.put(bytes).unwrap());
        let lease = store.lease([leased]);
        store.collect(|| (BTreeSet::new(), BTreeSet::from([kept]))).unwrap();
        assert!(
            store.blobs.contains(&kept) && store.blobs.contains(&leased) && !store.blobs.contains(&garbage)
        );
        drop(lease);
        store.collect(|| (BTreeSet::new(), BTreeSet::from([kept]))).unwrap();
        assert!(!store.blobs.contains(&leased));
    }

    #[test]
    fn what_was_arriving_when_the_daemon_died_is_swept() {
        let root = tempfile::tempdir().unwrap();
        drop(Store::open(root.path(), Mounting::Pretend).unwrap());
        std::fs::create_dir_all(root.path().join("ingest/layer-x/fs/etc")).unwrap();
        let store = Store::open(root.path(), Mounting::Pretend).unwrap();
        assert_eq!(std::fs::read_dir(store.ingest()).unwrap().count(), 0);
    }
}
