//! One step of a build: an image over another one, and how the cache finds it again.

use std::io::Read;
use std::sync::Arc;

use super::configuration::{Config, Configuration, History, RootFs};
use super::import::import_layer;
use super::new::New;
use super::pull::now;
use super::{Image, Images};
use crate::engine::error::{Error, Result};
use crate::registry::manifest::Platform;
use crate::store::{self, Digest};

/// What a step makes.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// `None` is `scratch`.
    pub(crate) parent: Option<Arc<Image>>,
    /// For `scratch`, which has none of its own.
    pub(crate) platform: Platform,
    pub(crate) author: String,
    /// What containers of the image get.
    pub(crate) config: Config,
    /// What the step itself was, its command above all: the cache's key.
    pub(crate) container_config: Config,
    /// The container that it ran in, if any.
    pub(crate) container: String,
}

impl Images {
    /// Makes the image. `layer` is an archive of the difference; an empty one makes no layer.
    pub(crate) async fn add_step(
        &self,
        step: Step,
        layer: Option<Box<dyn Read + Send>>,
    ) -> Result<Arc<Image>> {
        let store = self.shared.store.clone();
        let (diff_id, _lease) = match layer {
            Some(layer) => {
                let (diff_id, lease) = store::blocking(move || import_layer(&store, layer)).await?;
                (Some(diff_id).filter(|diff_id| *diff_id != empty()), Some(lease))
            }
            None => (None, None),
        };
        let parent = step.parent.as_ref().map(|parent| parent.id);
        self.list_step(step.configuration(diff_id), parent).await
    }

    /// The newest image that the same step made before.
    pub(crate) fn find_step(&self, parent: Option<&Digest>, container_config: &Config) -> Option<Arc<Image>> {
        let contents = self.shared.catalog.contents();
        let same = |image: &&Arc<Image>| {
            image.parent.as_ref() == parent
                && image.configuration.container_config.as_deref() == Some(container_config)
        };
        contents.images.values().filter(same).max_by_key(|image| image.created()).cloned()
    }

    /// The same step as some other engine made it, found by the history of `source`, which is here as a whole.
    pub(crate) async fn adopt_step(&self, step: Step, source: &Image) -> Result<Option<Arc<Image>>> {
        let (done, layers) = step
            .parent
            .as_ref()
            .map_or((&[][..], &[][..]), |parent| (parent.configuration.history.as_slice(), parent.layers()));
        let theirs = &source.configuration.history;
        let Some(next) = theirs.get(done.len()) else { return Ok(None) };
        let same = theirs.starts_with(done)
            && source.layers().starts_with(layers)
            && next.created_by == step.container_config.cmd.as_deref().unwrap_or_default().join(" ");
        if !same {
            return Ok(None);
        }
        let layer = if next.empty_layer { None } else { source.layers().get(layers.len()).copied() };
        if layer.is_none() && !next.empty_layer {
            return Ok(None);
        }
        let (parent, next) = (step.parent.as_ref().map(|parent| parent.id), next.clone());
        let mut configuration = step.configuration(layer);
        configuration.created.clone_from(&next.created);
        if let Some(last) = configuration.history.last_mut() {
            *last = next;
        }
        self.list_step(configuration, parent).await.map(Some)
    }

    async fn list_step(&self, configuration: Configuration, parent: Option<Digest>) -> Result<Arc<Image>> {
        let document =
            serde_json::to_vec(&configuration).map_err(|e| Error::internal("writing the image", e))?;
        let new = New { configuration, document, manifest: None, parent, references: Vec::new() };
        let listed = self.list_new(new).await;
        if listed.is_err() {
            self.collect().await;
        }
        self.resolve(&listed?.0.to_string())
    }
}

impl Step {
    fn configuration(self, diff_id: Option<Digest>) -> Configuration {
        let history = History {
            created: Some(now()),
            author: self.author.clone(),
            created_by: self.container_config.cmd.as_deref().unwrap_or_default().join(" "),
            empty_layer: diff_id.is_none(),
            ..History::default()
        };
        let mut configuration = self.parent.as_ref().map_or_else(
            || Configuration {
                architecture: self.platform.architecture.clone(),
                variant: self.platform.variant.clone(),
                os: self.platform.os.clone(),
                rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
                ..Configuration::default()
            },
            |parent| parent.configuration.clone(),
        );
        configuration.created.clone_from(&history.created);
        configuration.author = self.author;
        configuration.comment = String::new();
        configuration.docker_version = env!("CARGO_PKG_VERSION").to_owned();
        configuration.container = self.container;
        configuration.container_config = Some(Box::new(self.container_config));
        configuration.config = self.config;
        configuration.rootfs.diff_ids.extend(diff_id);
        configuration.history.push(history);
        configuration
    }
}

/// The digest of an archive without entries.
fn empty() -> Digest {
    Digest::of(&[0; 1024])
}
