//! `docker commit`: what a container changed becomes a layer over its image's.

use std::io::Read;

use super::changes::apply_all;
use super::configuration::{Config, Configuration, History};
use super::import::import_layer;
use super::new::New;
use super::pull::now;
use super::{Image, Images};
use crate::engine::error::{Error, Result};
use crate::registry::Reference;
use crate::store::{self, Digest};

/// What the new image says beside its files.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) parent: Digest,
    pub(crate) reference: Option<Reference>,
    pub(crate) message: String,
    pub(crate) author: String,
    /// The container's program, for the history.
    pub(crate) command: String,
    /// As the container has it.
    pub(crate) config: Config,
    /// Dockerfile instructions such as `CMD ["sh"]`.
    pub(crate) changes: Vec<String>,
}

impl Images {
    /// Makes the image and lists it; `layer` is an archive of the difference.
    pub(crate) async fn commit(&self, commit: Commit, layer: impl Read + Send + 'static) -> Result<Digest> {
        let mut config = commit.config.clone();
        apply_all(&mut config, &commit.changes).map_err(Error::invalid)?;
        let parent = self.resolve(&commit.parent.to_string())?;
        let store = self.shared.store.clone();
        let (diff_id, _lease) = store::blocking(move || import_layer(&store, layer)).await?;
        let configuration = configuration(&commit, &parent, config, diff_id);
        let document =
            serde_json::to_vec(&configuration).map_err(|e| Error::internal("writing the image", e))?;
        let reference = commit.reference.map(Reference::or_latest);
        let references = reference.clone().into_iter().collect();
        let listed = self
            .list_new(New { configuration, document, manifest: None, parent: Some(parent.id), references })
            .await;
        if listed.is_err() {
            self.collect().await;
        }
        let (id, _) = listed?;
        if let Some(reference) = reference {
            self.event("tag", &id.to_string(), &id, &reference.familiar());
        }
        Ok(id)
    }
}

fn configuration(commit: &Commit, parent: &Image, config: Config, diff_id: Digest) -> Configuration {
    let mut configuration = parent.configuration.clone();
    let history = History {
        created: Some(now()),
        author: commit.author.clone(),
        created_by: commit.command.clone(),
        comment: commit.message.clone(),
        ..History::default()
    };
    configuration.created.clone_from(&history.created);
    configuration.author.clone_from(&commit.author);
    configuration.comment.clone_from(&commit.message);
    configuration.container = String::new();
    configuration.container_config = None;
    configuration.config = config;
    configuration.rootfs.diff_ids.push(diff_id);
    configuration.history.push(history);
    configuration
}
