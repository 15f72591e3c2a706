//! Pushing: every blob that the registry lacks, then the manifest, which makes the image appear there at once.

use std::sync::Arc;

use serde_json::json;

use super::Images;
use super::progress::Reporter;
use super::save::{manifest_of, media_type};
use crate::engine::error::{Error, Result};
use crate::registry::{self, Credentials, Reference, Session};
use crate::store::{self, Digest, Layer};

impl Images {
    /// Pushes one tag, or, without one, every tag of the repository that is here.
    pub(crate) async fn push(
        &self,
        name: &Reference,
        credentials: &Credentials,
        report: &Reporter,
    ) -> Result<()> {
        if name.digest.is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        // As with dockerd, the answer begins here: what goes wrong from now on stands inside it.
        report.say(format!("The push refers to repository [{}]", name.repository)).await;
        let tags = self.tags_of(name)?;
        let session = Arc::new(self.usable_session(name, credentials).await?);
        for tag in tags {
            self.push_tag(&tag, &session, report).await?;
        }
        Ok(())
    }

    fn tags_of(&self, name: &Reference) -> Result<Vec<Reference>> {
        let contents = self.shared.catalog.contents();
        let wanted = |tag: &&Reference| {
            tag.repository == name.repository
                && tag.tag.is_some()
                && (name.tag.is_none() || tag.tag == name.tag)
        };
        let tags: Vec<Reference> = contents.references.keys().filter(wanted).cloned().collect();
        if tags.is_empty() {
            let repository = name.repository.to_string();
            let known = contents.references.keys().any(|have| have.repository == name.repository);
            return Err(Error::not_found(match name.tag.as_ref().filter(|_| known) {
                Some(tag) => format!("tag does not exist: {}:{tag}", name.repository.familiar()),
                None => format!("An image does not exist locally with the tag: {repository}"),
            }));
        }
        Ok(tags)
    }

    /// The registry itself, over TLS or, where that is allowed, without.
    async fn usable_session(&self, name: &Reference, credentials: &Credentials) -> Result<Session> {
        let mut last = None;
        for session in self.shared.registries.sessions(&name.repository, credentials)? {
            if session.endpoint().mirror {
                continue;
            }
            match session.ping().await {
                // Whoever may not read everything may still write here.
                Err(error) if !error.is_absence() => last = Some(error),
                _ => return Ok(session),
            }
        }
        Err(last.map_or_else(|| Error::invalid("no registry to push to"), Error::from))
    }

    async fn push_tag(&self, tag: &Reference, session: &Arc<Session>, report: &Reporter) -> Result<()> {
        let image = self.resolve(&tag.to_string())?;
        let store = &self.shared.store;
        let content = image.layers().iter().copied().chain([image.id]).chain(image.manifest);
        let _lease = store.lease(content);
        let document = store.blobs.read(&image.id)?;
        let layers = image.layers().iter().map(|layer| Ok((*layer, store.layers.get(layer)?)));
        let layers = layers.collect::<store::Result<Vec<(Digest, Layer)>>>()?;
        let manifest = manifest_of(store, &image, document.len(), &layers);
        for (diff_id, _) in &layers {
            report.about(diff_id.short(), "Preparing").await;
        }
        for (diff_id, layer) in &layers {
            let id = diff_id.short();
            if session.has_blob(&layer.blob).await.map_err(|error| push_error(error, tag))? {
                report.about(id, "Layer already exists").await;
                continue;
            }
            report.bytes(&id, "Pushing", 0, layer.blob_size).await;
            let file = tokio::fs::File::from_std(store.blobs.open_file(&layer.blob)?);
            session
                .upload(&layer.blob, layer.blob_size, file)
                .await
                .map_err(|error| push_error(error, tag))?;
            report.about(id, "Pushed").await;
        }
        let pushed = async {
            if !session.has_blob(&image.id).await? {
                session.upload(&image.id, document.len() as u64, std::io::Cursor::new(document)).await?;
            }
            session.put_manifest(&tag.wanted(), &media_type(&manifest), manifest.clone()).await
        };
        pushed.await.map_err(|error| push_error(error, tag))?;
        self.pushed(tag, &manifest, &image.id, report).await
    }

    /// The digest under which the registry knows it is a name of the image from now on.
    async fn pushed(&self, tag: &Reference, manifest: &[u8], id: &Digest, report: &Reporter) -> Result<()> {
        let (digest, size) = (Digest::of(manifest), manifest.len());
        let by_digest = tag.with_digest(digest);
        let id = *id;
        self.shared
            .catalog
            .change(|contents| {
                if contents.images.contains_key(&id) {
                    contents.references.insert(by_digest, id);
                }
                Ok(())
            })
            .await?;
        self.event("push", &tag.familiar(), &id, &tag.repository.familiar());
        let name = tag.tag.clone().unwrap_or_default();
        report.say(format!("{name}: digest: {digest} size: {size}")).await;
        report.aux(json!({ "Tag": name, "Digest": digest, "Size": size })).await;
        Ok(())
    }
}

fn push_error(error: registry::Error, tag: &Reference) -> Error {
    if error.is_absence() {
        let name = tag.repository.familiar();
        return Error::new(
            crate::engine::error::Kind::Internal,
            format!(
                "push access denied for {name}, repository does not exist or may require authorization: {error}"
            ),
        );
    }
    error.into()
}
