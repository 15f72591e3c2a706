//! `docker load`: images out of an archive, as `docker save` of any age wrote it, or an OCI layout.
//!
//! The archive is spooled first, since what names its parts comes last; names in it are only ever keys of a table. Then
//! layers are unpacked, several at once, and checked against the configuration's diff ids.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::sync::Arc;

use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio::task::JoinSet;
use tokio_util::io::SyncIoBridge;

use super::Images;
use super::configuration::Configuration;
use super::new::New;
use super::progress::Reporter;
use crate::engine::error::{Error, Result};
use crate::registry::Reference;
use crate::registry::manifest::{Descriptor, Parsed, Platform, media};
use crate::store::{self, Digest, Lease, Store, spool::Spool};

/// How many layers are unpacked at once.
const AT_ONCE: usize = 4;
/// How deep an index may lie in an index.
const DEPTH: usize = 3;

/// One image of the archive, before its layers are looked at.
struct Found {
    document: Vec<u8>,
    manifest: Option<Vec<u8>>,
    /// Names of the layers' files in the archive.
    layers: Vec<String>,
    references: Vec<Reference>,
}

impl Images {
    /// Loads every image of the archive; with a platform, only those that run there.
    pub(crate) async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        platform: Option<Platform>,
        quiet: bool,
        report: &Reporter,
    ) -> Result<()> {
        let archive = SyncIoBridge::new(archive);
        let store = self.shared.store.clone();
        let spool = Arc::new(store::blocking(move || Spool::read(&store, archive)).await?);
        let found = find(&spool, platform.as_ref())?;
        if found.is_empty() {
            return Err(Error::not_found("the archive holds no image for this platform"));
        }
        let result = self.load_all(found, &spool, quiet, report).await;
        if result.is_err() {
            self.collect().await;
        }
        result
    }

    async fn load_all(
        &self,
        found: Vec<Found>,
        spool: &Arc<Spool>,
        quiet: bool,
        report: &Reporter,
    ) -> Result<()> {
        for image in found {
            let configuration: Configuration = serde_json::from_slice(&image.document)
                .map_err(|error| Error::invalid(format!("invalid image configuration: {error}")))?;
            let diff_ids = configuration.rootfs.diff_ids.clone();
            if diff_ids.len() != image.layers.len() {
                let (expected, found) = (diff_ids.len(), image.layers.len());
                return Err(Error::invalid(format!(
                    "invalid manifest, layers length mismatch: expected {expected}, got {found}"
                )));
            }
            let _lease = self.load_layers(&diff_ids, &image.layers, spool, quiet, report).await?;
            let Found { document, manifest, references, .. } = image;
            let names = references.clone();
            let (id, replaced) =
                self.list_new(New { configuration, document, manifest, parent: None, references }).await?;
            for (reference, before) in replaced {
                let name = reference.familiar();
                let text = format!(
                    "The image {name} already exists, renaming the old one with ID {before} to empty string\n"
                );
                report.stream(text).await;
            }
            if names.is_empty() {
                report.stream(format!("Loaded image ID: {id}\n")).await;
            }
            for name in names {
                report.stream(format!("Loaded image: {}\n", name.familiar())).await;
            }
            self.event("load", &id.to_string(), &id, &id.to_string());
        }
        Ok(())
    }

    async fn load_layers(
        &self,
        diff_ids: &[Digest],
        files: &[String],
        spool: &Arc<Spool>,
        quiet: bool,
        report: &Reporter,
    ) -> Result<Lease> {
        let store = &self.shared.store;
        let lease = store.lease(diff_ids.iter().copied());
        let mut waiting: BTreeMap<Digest, String> = BTreeMap::new();
        for (diff_id, file) in diff_ids.iter().zip(files) {
            if store.layers.find(diff_id)?.is_none() {
                waiting.insert(*diff_id, file.clone());
            }
        }
        let mut running = JoinSet::new();
        while let Some((diff_id, file)) = waiting.pop_first() {
            if running.len() >= AT_ONCE {
                finished(running.join_next().await, quiet, report).await?;
            }
            let (store, spool) = (store.clone(), Arc::clone(spool));
            running.spawn(async move {
                store::blocking(move || load_layer(&store, &spool, &diff_id, &file))
                    .await
                    .map(|size| (diff_id, size))
            });
        }
        while let Some(done) = running.join_next().await {
            finished(Some(done), quiet, report).await?;
        }
        Ok(lease)
    }
}

type Loaded = Option<std::result::Result<store::Result<(Digest, u64)>, tokio::task::JoinError>>;

async fn finished(done: Loaded, quiet: bool, report: &Reporter) -> Result<()> {
    let Some(done) = done else { return Ok(()) };
    let (diff_id, size) = done.map_err(|error| Error::internal("loading a layer", error))??;
    if !quiet {
        report.bytes(&diff_id.short(), "Loading layer", size, size).await;
    }
    Ok(())
}

/// Unpacks one layer and keeps its file as the layer's blob.
fn load_layer(store: &Store, spool: &Spool, expected: &Digest, file: &str) -> store::Result<u64> {
    let spooled = spool.find(file).ok_or(store::Error::InvalidArchive("a layer's file is missing"))?;
    let unpacked = store.layers.unpack(BufReader::with_capacity(128 * 1024, spooled.open()?))?;
    if unpacked.diff_id != *expected {
        return Err(store::Error::WrongDigest { expected: *expected, found: unpacked.diff_id });
    }
    store.settle(|| {
        let blob = spooled.keep(&store.blobs)?;
        store.layers.commit(unpacked, blob, spooled.size)?;
        Ok(spooled.size)
    })
}

fn find(spool: &Spool, platform: Option<&Platform>) -> Result<Vec<Found>> {
    if let Some(manifest) = spool.document("manifest.json")? {
        return docker_archive(spool, &manifest, platform);
    }
    let Some(index) = spool.document("index.json")? else {
        return Err(Error::invalid("invalid archive: it holds neither manifest.json nor index.json"));
    };
    let mut found = Vec::new();
    oci_index(spool, &index, platform, None, DEPTH, &mut found)?;
    Ok(found)
}

/// What `docker save` writes: a list of images, their files by name.
fn docker_archive(spool: &Spool, manifest: &[u8], platform: Option<&Platform>) -> Result<Vec<Found>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        config: String,
        #[serde(default)]
        repo_tags: Option<Vec<String>>,
        #[serde(default)]
        layers: Option<Vec<String>>,
    }
    let items: Vec<Item> = serde_json::from_slice(manifest)
        .map_err(|error| Error::invalid(format!("invalid manifest.json: {error}")))?;
    let mut found = Vec::new();
    for item in items {
        let document = spool.document(&item.config)?;
        let document =
            document.ok_or_else(|| Error::invalid(format!("invalid archive: {} is missing", item.config)))?;
        let tags = item.repo_tags.unwrap_or_default();
        let references =
            tags.iter().map(|tag| Ok(tag.parse::<Reference>()?.or_latest())).collect::<Result<Vec<_>>>()?;
        if wanted_here(&document, platform) {
            found.push(Found {
                document,
                manifest: None,
                layers: item.layers.unwrap_or_default(),
                references,
            });
        }
    }
    Ok(found)
}

fn wanted_here(document: &[u8], platform: Option<&Platform>) -> bool {
    let Some(platform) = platform else { return true };
    serde_json::from_slice::<Configuration>(document).is_ok_and(|c| platform.accepts(&c.platform()))
}

/// An OCI layout: indexes and manifests by digest. Of one name's several platforms, the wanted or this machine's.
fn oci_index(
    spool: &Spool,
    bytes: &[u8],
    platform: Option<&Platform>,
    name: Option<&Reference>,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<()> {
    let too_deep = || Error::invalid("invalid archive: its indexes are nested too deep");
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let Parsed::Index(index) = Parsed::read(media::OCI_INDEX, bytes)? else {
        return Err(Error::invalid("invalid index.json: it is no index"));
    };
    let chosen: BTreeSet<Digest> = if name.is_some() || depth + 1 < DEPTH {
        let host = platform.cloned().unwrap_or_else(Platform::host);
        index.choose(&host).map(|descriptor| descriptor.digest).into_iter().collect()
    } else {
        index.manifests.iter().map(|descriptor| descriptor.digest).collect()
    };
    for descriptor in index.manifests.iter().filter(|descriptor| chosen.contains(&descriptor.digest)) {
        let own = name_of(descriptor);
        let name = own.as_ref().or(name);
        let Some(bytes) = spool.document(&blob_name(&descriptor.digest))? else {
            // Layouts made for one platform still list the others.
            continue;
        };
        match Parsed::read(&descriptor.media_type, &bytes)? {
            Parsed::Index(_) => oci_index(spool, &bytes, platform, name, depth, found)?,
            Parsed::Image(manifest) => {
                let Some(document) = spool.document(&blob_name(&manifest.config.digest))? else {
                    return Err(Error::invalid(format!(
                        "invalid archive: {} is missing",
                        manifest.config.digest
                    )));
                };
                let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
                if wanted_here(&document, platform) {
                    let references = name.cloned().into_iter().collect();
                    found.push(Found { document, manifest: Some(bytes), layers, references });
                }
            }
        }
    }
    Ok(())
}

/// containerd's annotation holds the whole name; OCI's often only a tag, which names nothing.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let annotations = descriptor.annotations.as_ref()?;
    let whole = annotations.get("io.containerd.image.name");
    let whole = whole.or_else(|| {
        annotations.get("org.opencontainers.image.ref.name").filter(|name| name.contains(['/', ':']))
    });
    Some(whole?.parse::<Reference>().ok()?.or_latest())
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
