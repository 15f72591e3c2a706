//! Images: references, pulls, loads, and what an image's configuration says.
//!
//! An image's id is the digest of its configuration. References (tags and digests) point to ids; an image without one
//! is *dangling*. The list of both is one record, replaced as a whole: an image is listed when all of it is on disk.

mod catalog;
pub(crate) mod changes;
pub(crate) mod commit;
pub(crate) mod configuration;
mod error;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod load;
mod new;
pub(crate) mod parents;
pub(crate) mod progress;
pub(crate) mod pull;
mod push;
mod registry;
pub(crate) mod remove;
mod save;
pub(crate) mod step;
mod tag;
#[cfg(test)]
pub(crate) mod testing;
mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::config::Config;
use crate::engine::error::{Error, Result};
use crate::engine::events::{EventKind, Events};
use crate::registry::{Reference, Registries, Settings};
use crate::store::{Collected, Digest, Mounting, Snapshots, Store};
use catalog::Catalog;
use configuration::Configuration;
use transfer::Transfers;

/// Where people put registries' authorities: ours, and where they lie already.
const CERTIFICATES: [&str; 2] = ["/etc/wharf/certs.d", "/etc/docker/certs.d"];

/// The images of this engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    catalog: Catalog,
    registries: Registries,
    transfers: Transfers,
    events: Events,
    users: OnceLock<Users>,
    held: parents::Held,
}

/// Tells which containers were made from an image.
type Users = Box<dyn Fn(&Digest) -> Vec<ContainerUse> + Send + Sync>;

/// A container that was made from an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerUse {
    /// The full id.
    pub(crate) id: String,
    pub(crate) running: bool,
}

/// An image that is whole on this disk. Its names change without it; see [`Images::names`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    /// The digest of its configuration.
    pub(crate) id: Digest,
    pub(crate) configuration: Configuration,
    /// The manifest that it came with, if it came with one.
    pub(crate) manifest: Option<Digest>,
    /// Bytes of all its unpacked layers.
    pub(crate) size: u64,
    /// When it last got a tag here.
    pub(crate) tagged: Option<String>,
    /// The image that it was built or committed from, as long as that is here.
    pub(crate) parent: Option<Digest>,
}

/// What an image is called, as people type it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// `busybox:latest`.
    pub(crate) tags: Vec<String>,
    /// `busybox@sha256:…`.
    pub(crate) digests: Vec<String>,
}

impl Image {
    /// The base that has nothing: `FROM scratch`. It is not listed.
    pub(crate) fn scratch() -> Self {
        let configuration = Configuration::default();
        Self { id: Digest::of(b""), configuration, manifest: None, size: 0, tagged: None, parent: None }
    }

    /// The unpacked layers, lowest first: what a snapshot stands on.
    pub(crate) fn layers(&self) -> &[Digest] {
        &self.configuration.rootfs.diff_ids
    }
}

impl Images {
    /// Opens the images under the data root, and sweeps what a killed daemon left half done.
    pub(crate) async fn open(config: &Config, events: Events) -> Result<Self> {
        let settings = Settings {
            mirrors: config.registry_mirrors.clone(),
            insecure: config.insecure_registries.clone(),
            certificates: CERTIFICATES.iter().map(PathBuf::from).collect(),
        };
        Self::open_at(&config.data_root, settings, events, Mounting::Overlay).await
    }

    async fn open_at(root: &Path, settings: Settings, events: Events, mounting: Mounting) -> Result<Self> {
        let root = root.to_owned();
        let (store, catalog) = crate::store::blocking(move || {
            let store = Store::open(&root, mounting)?;
            let catalog = Catalog::open(&root, &store)?;
            Ok((store, catalog))
        })
        .await?;
        let (registries, transfers) = (Registries::new(settings), Transfers::new());
        let shared = Shared {
            store,
            catalog,
            registries,
            transfers,
            events,
            users: OnceLock::new(),
            held: parents::Held::default(),
        };
        let images = Self { shared: Arc::new(shared) };
        images.collect().await;
        Ok(images)
    }

    /// What is on disk.
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Containers' filesystems, which stand on images' layers.
    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.shared.store.snapshots
    }

    /// Says once how to find the containers made from an image, so that images in use are not removed.
    pub(crate) fn in_use_by(&self, users: impl Fn(&Digest) -> Vec<ContainerUse> + Send + Sync + 'static) {
        // A second caller would be a mistake in the engine's wiring; the first answer stays.
        let _ = self.shared.users.set(Box::new(users));
    }

    /// Finds an image by name, name and tag, name and digest, id, or the beginning of an id.
    pub(crate) fn resolve(&self, wanted: &str) -> Result<Arc<Image>> {
        let contents = self.shared.catalog.contents();
        let by_id = |id: &Digest| contents.images.get(id).cloned();
        if let Ok(id) = wanted.parse::<Digest>() {
            return by_id(&id).ok_or_else(|| no_such_image(wanted));
        }
        let reference = wanted.parse::<Reference>().map(Reference::or_latest);
        if let Some(image) =
            reference.as_ref().ok().and_then(|reference| contents.named(reference)).and_then(by_id)
        {
            return Ok(image);
        }
        match (contents.by_prefix(wanted), reference) {
            (Some(image), _) => Ok(image),
            (None, Ok(reference)) => Err(no_such_image(&reference.familiar())),
            // 64 digits are an id that isn't here, not a bad name.
            (None, Err(_)) if wanted.len() == 64 => Err(no_such_image(wanted)),
            (None, Err(invalid)) => Err(Error::invalid(invalid.to_string())),
        }
    }

    /// What an image is called now.
    pub(crate) fn names(&self, id: &Digest) -> Names {
        self.shared.catalog.contents().names(id)
    }
}

impl Images {
    /// Removes content that nothing refers to. A failure is logged: the next collection finds it again.
    async fn collect(&self) -> Collected {
        let images = self.clone();
        let collected = crate::store::blocking(move || {
            images.shared.store.collect(|| images.shared.catalog.contents().referenced())
        });
        collected.await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot remove unused image content");
            Collected::default()
        })
    }

    fn event(&self, action: &str, actor: &str, id: &Digest, name: &str) {
        self.event_of(self.shared.catalog.contents().labels(id), action, actor, name);
    }

    /// The same about an image whose labels are at hand, also when it is listed no more.
    fn event_of(&self, mut attributes: BTreeMap<String, String>, action: &str, actor: &str, name: &str) {
        attributes.insert("name".to_owned(), name.to_owned());
        self.shared.events.publish(EventKind::Image, action, actor, attributes);
    }
}

/// dockerd's text; the docker CLI pulls when it reads it.
fn no_such_image(name: &str) -> Error {
    Error::not_found(format!("No such image: {name}"))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("store", &self.store).finish_non_exhaustive()
    }
}
