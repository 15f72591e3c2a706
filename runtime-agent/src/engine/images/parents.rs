//! Images that were made from images: the chain that a build leaves, which is its cache.
//!
//! An image without a name that another one was made from is *intermediate*: it is listed only when asked for, and goes
//! with the last image that was made from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalog::Contents;
use super::{Image, Images};
use crate::store::Digest;

/// Images that operations under way stand on.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<BTreeMap<Digest, usize>>>);

/// Keeps an image from being pruned until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Held,
    id: Digest,
}

impl Held {
    pub(super) fn holds(&self, id: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.id);
            }
        }
    }
}

impl Images {
    /// Keeps an image from being pruned; somebody who names it may still remove it.
    pub(crate) fn hold(&self, id: Digest) -> Hold {
        let held = self.shared.held.clone();
        *held.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
        Hold { held, id }
    }

    /// Whether other images were made from this one.
    pub(crate) fn has_children(&self, id: &Digest) -> bool {
        self.shared.catalog.contents().has_children(id)
    }

    /// The images that this one was made from, nearest first.
    pub(crate) fn ancestors(&self, image: &Image) -> Vec<Arc<Image>> {
        let contents = self.shared.catalog.contents();
        let next = |parent: &Option<Digest>| contents.images.get(parent.as_ref()?).cloned();
        let mut ancestors: Vec<Arc<Image>> = Vec::new();
        let mut at = next(&image.parent);
        while let Some(parent) = at {
            at = next(&parent.parent);
            ancestors.push(parent);
        }
        ancestors
    }
}

impl Contents {
    pub(super) fn has_children(&self, id: &Digest) -> bool {
        self.images.values().any(|image| image.parent == Some(*id))
    }
}
