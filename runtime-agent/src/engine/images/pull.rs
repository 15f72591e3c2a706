//! Pulling: manifest, configuration, all missing layers at once, then one moment in which the image is there.
//!
//! Failures before the manifest is known come before any progress, so that the API can still answer with a status.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;

use super::Images;
use super::configuration::Configuration;
use super::new::New;
use super::progress::Reporter;
use super::transfer::{State, Transfer, Wanted};
use crate::engine::error::{Error, Result};
use crate::registry::manifest::{Descriptor, Manifest, Parsed, Platform, media};
use crate::registry::session::Fetched;
use crate::registry::{self, Credentials, Reference, Session};
use crate::store::{self, Digest};

/// What to pull.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) reference: Reference,
    /// Another platform than this machine's.
    pub(crate) platform: Option<Platform>,
    pub(crate) credentials: Credentials,
}

/// A manifest that was chosen, and where it came from.
struct Found {
    session: Arc<Session>,
    /// What the reference itself names: the digest that people see.
    top: Digest,
    fetched: Fetched,
    manifest: Manifest,
}

impl Images {
    /// Pulls one image.
    pub(crate) async fn pull(&self, pull: &Pull, report: &Reporter) -> Result<()> {
        if let Some(digest) = self.unchanged(pull).await {
            report
                .about(pull.reference.wanted(), format!("Pulling from {}", pull.reference.repository.path()))
                .await;
            return finish(pull, &digest, false, report).await;
        }
        let found = self.find(pull).await?;
        let Found { session, top, fetched, manifest } = &found;
        let reference = &pull.reference;
        report.about(reference.wanted(), format!("Pulling from {}", reference.repository.path())).await;

        let config = session.configuration(&manifest.config).await?;
        let configuration = read_configuration(&config, manifest, pull)?;
        let content = [manifest.config.digest, fetched.digest, *top];
        let layers = manifest
            .layers
            .iter()
            .map(|layer| layer.digest)
            .chain(configuration.rootfs.diff_ids.iter().copied());
        // Dropped when all is listed, or when the pull fails or its client goes away.
        let lease = self.shared.store.lease(content.into_iter().chain(layers));
        let result = self.fetch_and_list(pull, &found, configuration, config, report).await;
        drop(lease);
        if result.is_err() {
            self.collect().await;
        }
        finish(pull, top, result?, report).await
    }

    /// The digest behind a tag that is here already and means the same in the registry: one request without a body,
    /// which Docker Hub doesn't count.
    async fn unchanged(&self, pull: &Pull) -> Option<Digest> {
        let reference = &pull.reference;
        let contents = self.shared.catalog.contents();
        let id =
            contents.named(reference).filter(|_| pull.platform.is_none() && reference.digest.is_none())?;
        for session in self.shared.registries.sessions(&reference.repository, &pull.credentials).ok()? {
            // A failure here says nothing: the pull itself meets it again and tells it.
            if let Ok(digest) = session.digest_of(&reference.wanted()).await {
                return digest
                    .filter(|digest| contents.references.get(&reference.with_digest(*digest)) == Some(id));
            }
        }
        None
    }

    /// Every tag of a repository, for `docker pull --all-tags`.
    pub(crate) async fn tags(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Vec<Reference>> {
        let mut last = None;
        for session in self.shared.registries.sessions(&reference.repository, credentials)? {
            match session.tags().await {
                Ok(tags) => return Ok(tags.iter().filter_map(|tag| reference.with_tag(tag).ok()).collect()),
                Err(error) => last = more_telling(last, error),
            }
        }
        Err(last.map_or_else(|| no_endpoint(reference), |error| pull_error(error, reference)))
    }

    async fn fetch_and_list(
        &self,
        pull: &Pull,
        found: &Found,
        configuration: Configuration,
        config: Vec<u8>,
        report: &Reporter,
    ) -> Result<bool> {
        self.fetch_layers(found, &configuration, report).await?;
        let (reference, by_digest) = (&pull.reference, pull.reference.with_digest(found.top));
        let mut references = vec![by_digest];
        references.extend(reference.digest.is_none().then(|| reference.clone()));
        let before = self.shared.catalog.contents();
        let id = found.manifest.config.digest;
        let newer = references.iter().any(|reference| before.references.get(reference) != Some(&id));
        let manifest = Some(found.fetched.bytes.clone());
        self.list_new(New { configuration, document: config, manifest, parent: None, references }).await?;
        self.event("pull", &reference.familiar(), &id, &reference.repository.familiar());
        Ok(newer)
    }

    /// Asks every endpoint until one has the manifest.
    async fn find(&self, pull: &Pull) -> Result<Found> {
        let reference = &pull.reference;
        let mut last = None;
        for session in self.shared.registries.sessions(&reference.repository, &pull.credentials)? {
            match find_at(session, pull).await {
                Ok(found) => return Ok(found),
                Err(error) => last = more_telling(last, error),
            }
        }
        Err(last.map_or_else(|| no_endpoint(reference), |error| pull_error(error, reference)))
    }

    async fn fetch_layers(
        &self,
        found: &Found,
        configuration: &Configuration,
        report: &Reporter,
    ) -> Result<()> {
        if self.shared.catalog.contents().images.contains_key(&found.manifest.config.digest) {
            return Ok(());
        }
        let store = &self.shared.store;
        let mut wanted = BTreeMap::new();
        for (diff_id, blob) in configuration.rootfs.diff_ids.iter().zip(&found.manifest.layers) {
            if store.layers.find(diff_id)?.is_some() {
                report.about(blob.digest.short(), "Already exists").await;
            } else if wanted.insert(*diff_id, blob.clone()).is_none() {
                report.about(blob.digest.short(), "Pulling fs layer").await;
            }
        }
        let mut following = JoinSet::new();
        for (diff_id, blob) in wanted {
            let session = Arc::clone(&found.session);
            let transfer = self.shared.transfers.join(store, Wanted { diff_id, blob: blob.clone(), session });
            following.spawn(follow(transfer, blob, report.clone()));
        }
        // Dropping the rest at the first failure lets go of their transfers.
        while let Some(followed) = following.join_next().await {
            followed.map_err(|error| Error::internal("pulling a layer", error))??;
        }
        Ok(())
    }
}

async fn finish(pull: &Pull, top: &Digest, newer: bool, report: &Reporter) -> Result<()> {
    report.say(format!("Digest: {top}")).await;
    let status = if newer { "Downloaded newer image for" } else { "Image is up to date for" };
    report.say(format!("Status: {status} {}", pull.reference.familiar())).await;
    Ok(())
}

pub(super) fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

async fn find_at(session: Session, pull: &Pull) -> registry::Result<Found> {
    let session = Arc::new(session);
    let first = session.manifest(&pull.reference.wanted()).await?;
    let top = first.digest;
    match Parsed::read(&first.media_type, &first.bytes)? {
        Parsed::Image(manifest) => Ok(Found { session, top, fetched: first, manifest }),
        Parsed::Index(index) => {
            let platform = pull.platform.clone().unwrap_or_else(Platform::host);
            let chosen = index.choose(&platform)?;
            let fetched = session.manifest(&chosen.digest.to_string()).await?;
            match Parsed::read(&fetched.media_type, &fetched.bytes)? {
                Parsed::Image(manifest) => Ok(Found { session, top, fetched, manifest }),
                Parsed::Index(_) => Err(registry::Error::MediaType("an index in an index".into())),
            }
        }
    }
}

fn read_configuration(bytes: &[u8], manifest: &Manifest, pull: &Pull) -> Result<Configuration> {
    let known = [media::DOCKER_CONFIG, media::OCI_CONFIG, "application/octet-stream", ""];
    if !known.contains(&manifest.config.media_type.as_str()) {
        return Err(registry::Error::MediaType(manifest.config.media_type.clone()).into());
    }
    let configuration: Configuration = serde_json::from_slice(bytes)
        .map_err(|error| Error::internal("reading the image's configuration", error))?;
    if configuration.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(Error::new(
            crate::engine::error::Kind::Internal,
            "invalid image: its configuration and its manifest have different numbers of layers",
        ));
    }
    match &pull.platform {
        Some(wanted) if !wanted.accepts(&configuration.platform()) => Err(Error::not_found(format!(
            "image with reference {} was found but its platform ({}) does not match the specified platform ({wanted})",
            pull.reference.familiar(),
            configuration.platform()
        ))),
        _ => Ok(configuration),
    }
}

/// Retells a transfer until it ends.
async fn follow(transfer: Arc<Transfer>, blob: Descriptor, report: Reporter) -> Result<()> {
    let id = blob.digest.short();
    let mut state = transfer.watch();
    let mut downloaded = false;
    loop {
        let now = state.borrow_and_update().clone();
        if !downloaded && matches!(now, State::Extracting(_) | State::Done) {
            downloaded = true;
            report.about(&id, "Verifying Checksum").await;
            report.about(&id, "Download complete").await;
        }
        match now {
            State::Waiting => report.about(&id, "Waiting").await,
            State::Downloading(current) => report.bytes(&id, "Downloading", current, blob.size).await,
            State::Retrying(seconds) => report.about(&id, format!("Retrying in {seconds} seconds")).await,
            State::Extracting(current) => report.bytes(&id, "Extracting", current, blob.size).await,
            State::Done => {
                report.about(&id, "Pull complete").await;
                return Ok(());
            }
            State::Failed(error) => return Err(Error::new(error.kind(), error.to_string())),
        }
        if state.changed().await.is_err() {
            return Err(store::Error::Stopped.into());
        }
    }
}

/// A registry that says "no such thing" tells more than the next one's failure to answer.
pub(super) fn more_telling(known: Option<registry::Error>, new: registry::Error) -> Option<registry::Error> {
    match known {
        Some(known) if known.is_absence() && !new.is_absence() => Some(known),
        // An insecure registry is asked over TLS first; that it speaks none is what anybody expects of plain HTTP.
        _ => Some(new),
    }
}

fn no_endpoint(reference: &Reference) -> Error {
    Error::invalid(format!("no registry to ask for {}", reference.familiar()))
}

/// dockerd's words and statuses; scripts match on them.
pub(super) fn pull_error(error: registry::Error, reference: &Reference) -> Error {
    use registry::error::Refusal;
    let registry::Error::Refused { refusal } = &error else { return error.into() };
    let name = reference.repository.familiar();
    match refusal.code.as_str() {
        Refusal::DENIED => Error::not_found(format!(
            "pull access denied for {name}, repository does not exist or may require 'docker login': {error}"
        )),
        Refusal::NAME_UNKNOWN => Error::not_found(format!("repository {name} not found: {error}")),
        Refusal::MANIFEST_UNKNOWN => {
            Error::not_found(format!("manifest for {} not found: {error}", reference.familiar()))
        }
        _ => error.into(),
    }
}
