//! THE list of images and references: one record, replaced as a whole, read without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::{Image, Names};
use crate::engine::error::Result;
use crate::registry::{Reference, Repository};
use crate::store::record::{self, Record};
use crate::store::{self, Digest, Store};

/// The list and its file. Readers get a snapshot; writers go one after the other.
#[derive(Debug)]
pub(super) struct Catalog {
    file: PathBuf,
    current: RwLock<Arc<Contents>>,
    writer: tokio::sync::Mutex<()>,
}

/// One state of the list.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) images: BTreeMap<Digest, Arc<Image>>,
    pub(super) references: BTreeMap<Reference, Digest>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Listed {
    images: BTreeMap<Digest, Entry>,
    /// Tags and digests in full: `docker.io/library/busybox:latest`.
    references: BTreeMap<String, Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Digest>,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tagged: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Digest>,
}

impl Record for Listed {
    const VERSION: u32 = 1;
}

impl Catalog {
    pub(super) fn open(root: &Path, store: &Store) -> store::Result<Self> {
        let file = root.join("images.json");
        let listed = record::read::<Listed>(&file)?.unwrap_or_default();
        let contents = Contents::read(listed, store);
        Ok(Self { file, current: RwLock::new(Arc::new(contents)), writer: tokio::sync::Mutex::default() })
    }

    pub(super) fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the list: on disk first, then for everybody. A change that fails changes nothing.
    pub(super) async fn change<T>(&self, change: impl FnOnce(&mut Contents) -> Result<T>) -> Result<T> {
        let _writer = self.writer.lock().await;
        let mut contents = Contents::clone(&self.contents());
        let answer = change(&mut contents)?;
        let (file, listed) = (self.file.clone(), contents.listed());
        store::blocking(move || record::write(&file, &listed)).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(contents);
        Ok(answer)
    }
}

impl Contents {
    fn read(listed: Listed, store: &Store) -> Self {
        let mut contents = Self::default();
        for (id, entry) in listed.images {
            match read_configuration(store, &id) {
                Ok(configuration) => {
                    let Entry { manifest, size, tagged, parent } = entry;
                    let image = Image { id, configuration, manifest, size, tagged, parent };
                    contents.images.insert(id, Arc::new(image));
                }
                // One damaged image must not keep the daemon from starting.
                Err(error) => {
                    tracing::error!(image = %id, error = &error as &dyn std::error::Error, "image lost");
                }
            }
        }
        for (name, id) in listed.references {
            match name.parse::<Reference>() {
                Ok(reference) if contents.images.contains_key(&id) => {
                    contents.references.insert(reference, id);
                }
                _ => tracing::error!(%name, image = %id, "reference lost"),
            }
        }
        contents
    }

    fn listed(&self) -> Listed {
        let entry = |image: &Image| Entry {
            manifest: image.manifest,
            size: image.size,
            tagged: image.tagged.clone(),
            parent: image.parent,
        };
        Listed {
            images: self.images.iter().map(|(id, image)| (*id, entry(image))).collect(),
            references: self.references.iter().map(|(reference, id)| (reference.to_string(), *id)).collect(),
        }
    }

    /// What a name means. With a tag and a digest, the digest decides.
    pub(super) fn named(&self, reference: &Reference) -> Option<&Digest> {
        match reference.digest {
            Some(digest) => self.references.get(&reference.with_digest(digest)),
            None => self.references.get(reference),
        }
    }

    /// The one image whose id begins so.
    pub(super) fn by_prefix(&self, prefix: &str) -> Option<Arc<Image>> {
        let digits = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut matching = self.images.values().filter(|image| image.id.hex().starts_with(digits));
        match (matching.next(), matching.next()) {
            (Some(image), None) => Some(Arc::clone(image)),
            _ => None,
        }
    }

    /// Every reference to an image, in order.
    pub(super) fn references_to(&self, id: &Digest) -> Vec<Reference> {
        self.references.iter().filter(|(_, to)| *to == id).map(|(reference, _)| reference.clone()).collect()
    }

    pub(super) fn names(&self, id: &Digest) -> Names {
        let mut names = Names::default();
        for reference in self.references_to(id) {
            let familiar = reference.familiar();
            if reference.digest.is_some() { names.digests.push(familiar) } else { names.tags.push(familiar) }
        }
        names
    }

    /// The layers and the blobs of every image.
    pub(super) fn referenced(&self) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let layers = self.images.values().flat_map(|image| image.layers().iter().copied()).collect();
        let blobs =
            self.images.values().flat_map(|image| std::iter::once(image.id).chain(image.manifest)).collect();
        (layers, blobs)
    }

    /// An image's labels, which go into its events.
    pub(super) fn labels(&self, id: &Digest) -> BTreeMap<String, String> {
        self.images.get(id).and_then(|image| image.configuration.config.labels.clone()).unwrap_or_default()
    }

    /// Whether anything in this repository refers to the image by tag.
    pub(super) fn tagged_in(&self, id: &Digest, repository: &Repository) -> bool {
        self.references.iter().any(|(r, to)| to == id && r.tag.is_some() && r.repository == *repository)
    }
}

pub(super) fn read_configuration(store: &Store, id: &Digest) -> store::Result<Configuration> {
    let bytes = store.blobs.read(id)?;
    serde_json::from_slice(&bytes)
        .map_err(|source| store::Error::Damaged { path: store.blobs.path(id), source })
}
