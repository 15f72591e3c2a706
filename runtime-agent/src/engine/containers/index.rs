//! The list of containers: by id, by name, by the beginning of an id. A name is taken from the moment it is reserved.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::container::Container;
use crate::engine::error::{Error, Result};

/// One a daemon.
#[derive(Debug, Default)]
pub(crate) struct Index {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<String, Container>,
    /// Name to id.
    names: BTreeMap<String, String>,
}

impl Index {
    /// Finds by full id, name, or the beginning of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Container> {
        let inner = self.read();
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        let by_name = || inner.names.get(name).and_then(|id| inner.by_id.get(id));
        if let Some(container) = inner.by_id.get(wanted).or_else(by_name) {
            return Ok(container.clone());
        }
        let mut matching =
            inner.by_id.range(wanted.to_owned()..).take_while(|(id, _)| id.starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) if !wanted.is_empty() => Ok(container.clone()),
            (Some(_), Some(_)) if !wanted.is_empty() => {
                Err(Error::invalid(format!("multiple IDs found with provided prefix: {wanted}")))
            }
            _ => Err(Error::not_found(format!("No such container: {wanted}"))),
        }
    }

    /// The process of a container whose namespaces another one joins.
    pub(crate) fn running_pid(&self, wanted: &str) -> Result<i32> {
        let container = self.find(wanted)?;
        let snapshot = container.snapshot();
        let state = &snapshot.record.state;
        if state.status.has_process() {
            return Ok(state.pid);
        }
        Err(Error::conflict(format!("cannot join namespace of a non running container: {}", container.id)))
    }

    /// Takes a name for an id, or says who has it.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut inner = self.write();
        if let Some(owner) = inner.names.get(name) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            )));
        }
        inner.names.insert(name.to_owned(), id.to_owned());
        Ok(())
    }

    pub(crate) fn release(&self, name: &str) {
        self.write().names.remove(name);
    }

    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.read().names.contains_key(name)
    }

    pub(crate) fn insert(&self, container: Container) {
        self.write().by_id.insert(container.id.clone(), container);
    }

    /// Takes a container and all its names out.
    pub(crate) fn forget(&self, id: &str) {
        let mut inner = self.write();
        inner.by_id.remove(id);
        inner.names.retain(|_, owner| owner != id);
    }

    pub(crate) fn all(&self) -> Vec<Container> {
        self.read().by_id.values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
