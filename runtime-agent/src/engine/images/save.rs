//! `docker save`: an archive that every docker loads, and an OCI layout at the same time.
//!
//! Layers go out as the blobs that they came from, so a manifest that is still true goes out as it came, too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::json;

use super::{Image, Images};
use crate::engine::error::Result;
use crate::registry::Reference;
use crate::registry::manifest::{Descriptor, Index, Manifest, Platform, media};
use crate::store::{self, Digest, Layer, Packing, Store};

/// What goes into one archive. Nothing of it is removed while this lives.
#[derive(Debug)]
pub(crate) struct Saving {
    store: Store,
    images: Vec<Selected>,
    _lease: store::Lease,
}

#[derive(Debug)]
struct Selected {
    image: Arc<Image>,
    tags: Vec<Reference>,
    document: Vec<u8>,
    layers: Vec<(Digest, Layer)>,
    manifest: Vec<u8>,
}

impl Images {
    /// Chooses what to save. A name without a tag means all tags of that repository.
    pub(crate) fn select(&self, names: &[String]) -> Result<Saving> {
        let store = self.shared.store.clone();
        let mut chosen: Vec<(Arc<Image>, BTreeSet<Reference>)> = Vec::new();
        for name in names {
            for (image, tag) in self.named(name)? {
                let at = chosen.iter().position(|(known, _)| known.id == image.id).unwrap_or_else(|| {
                    chosen.push((Arc::clone(&image), BTreeSet::new()));
                    chosen.len() - 1
                });
                chosen[at].1.extend(tag);
            }
        }
        let content = |image: &Image| {
            image.layers().iter().copied().chain([image.id]).chain(image.manifest).collect::<Vec<_>>()
        };
        let lease = store.lease(chosen.iter().flat_map(|(image, _)| content(image)));
        let select = |(image, tags): (Arc<Image>, BTreeSet<Reference>)| Selected::read(&store, image, tags);
        let images = chosen.into_iter().map(select).collect::<store::Result<Vec<_>>>()?;
        for Selected { image, .. } in &images {
            self.event("save", &image.id.to_string(), &image.id, &image.id.to_string());
        }
        Ok(Saving { store, images, _lease: lease })
    }

    fn named(&self, name: &str) -> Result<Vec<(Arc<Image>, Option<Reference>)>> {
        let reference = name.parse::<Reference>().ok();
        if let Some(bare) = reference.as_ref().filter(|r| r.tag.is_none() && r.digest.is_none()) {
            let contents = self.shared.catalog.contents();
            let tags = contents
                .references
                .iter()
                .filter(|(r, _)| r.repository == bare.repository && r.tag.is_some());
            let found: Vec<_> = tags
                .filter_map(|(tag, id)| Some((Arc::clone(contents.images.get(id)?), Some(tag.clone()))))
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let image = self.resolve(name)?;
        let tag = reference.filter(|tag| tag.tag.is_some() && tag.digest.is_none());
        let tag = tag.filter(|tag| self.shared.catalog.contents().named(tag) == Some(&image.id));
        Ok(vec![(image, tag)])
    }
}

impl Selected {
    fn read(store: &Store, image: Arc<Image>, tags: BTreeSet<Reference>) -> store::Result<Self> {
        let document = store.blobs.read(&image.id)?;
        let layers = image.layers().iter().map(|layer| Ok((*layer, store.layers.get(layer)?)));
        let layers = layers.collect::<store::Result<Vec<_>>>()?;
        let manifest = manifest_of(store, &image, document.len(), &layers);
        Ok(Self { image, tags: tags.into_iter().collect(), document, layers, manifest })
    }
}

impl Saving {
    /// Writes the archive.
    pub(crate) fn write(&self, to: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(to);
        folder(&mut archive, "blobs/")?;
        folder(&mut archive, "blobs/sha256/")?;
        let mut written = BTreeSet::new();
        let mut once = |digest: Digest| written.insert(digest);
        for selected in &self.images {
            for (_, layer) in &selected.layers {
                if once(layer.blob) {
                    let file = self.store.blobs.open_file(&layer.blob).map_err(io::Error::other)?;
                    archive.append(&header(&blob_name(&layer.blob), layer.blob_size)?, file)?;
                }
            }
            for bytes in [&selected.document, &selected.manifest] {
                if once(Digest::of(bytes)) {
                    document(&mut archive, &blob_name(&Digest::of(bytes)), bytes)?;
                }
            }
        }
        document(&mut archive, "index.json", &serde_json::to_vec(&self.index())?)?;
        document(&mut archive, "manifest.json", &serde_json::to_vec(&self.manifests())?)?;
        document(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        document(&mut archive, "repositories", &serde_json::to_vec(&self.repositories())?)?;
        archive.into_inner()?.flush()
    }

    fn index(&self) -> Index {
        let mut manifests = Vec::new();
        for selected in &self.images {
            let configuration = &selected.image.configuration;
            let descriptor = |annotations| Descriptor {
                media_type: media_type(&selected.manifest),
                digest: Digest::of(&selected.manifest),
                size: selected.manifest.len() as u64,
                platform: Some(Platform { ..configuration.platform() }),
                annotations,
            };
            for tag in &selected.tags {
                let name = ("io.containerd.image.name".to_owned(), tag.to_string());
                let short =
                    ("org.opencontainers.image.ref.name".to_owned(), tag.tag.clone().unwrap_or_default());
                manifests.push(descriptor(Some(BTreeMap::from([name, short]))));
            }
            if selected.tags.is_empty() {
                manifests.push(descriptor(None));
            }
        }
        Index { schema_version: 2, media_type: Some(media::OCI_INDEX.into()), manifests }
    }

    fn manifests(&self) -> serde_json::Value {
        let item = |selected: &Selected| {
            let layers: Vec<String> =
                selected.layers.iter().map(|(_, layer)| blob_name(&layer.blob)).collect();
            let tags: Vec<String> = selected.tags.iter().map(Reference::familiar).collect();
            json!({ "Config": blob_name(&selected.image.id), "RepoTags": tags, "Layers": layers })
        };
        self.images.iter().map(item).collect()
    }

    /// What dockers before 1.10 read.
    fn repositories(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for selected in &self.images {
            let top = selected.layers.last().map(|(layer, _)| layer.hex()).unwrap_or_default();
            for tag in &selected.tags {
                let tags = repositories.entry(tag.repository.familiar()).or_default();
                tags.insert(tag.tag.clone().unwrap_or_default(), top.clone());
            }
        }
        repositories
    }
}

/// The manifest that the image came with, if its layers are still the same blobs, else a new one.
pub(super) fn manifest_of(
    store: &Store,
    image: &Image,
    document: usize,
    layers: &[(Digest, Layer)],
) -> Vec<u8> {
    let original = image.manifest.and_then(|manifest| store.blobs.read(&manifest).ok());
    let still_true = |bytes: &Vec<u8>| {
        serde_json::from_slice::<Manifest>(bytes).is_ok_and(|manifest| {
            manifest.layers.iter().map(|layer| layer.digest).eq(layers.iter().map(|(_, layer)| layer.blob))
        })
    };
    original.filter(still_true).unwrap_or_else(|| {
        let zstd = layers.iter().any(|(_, layer)| layer.compression == Packing::Zstd);
        serde_json::to_vec(&new_manifest(image, document, layers, zstd)).unwrap_or_default()
    })
}

/// In Docker's format, which everybody reads, unless a layer needs OCI's.
fn new_manifest(image: &Image, document: usize, layers: &[(Digest, Layer)], oci: bool) -> Manifest {
    let descriptor = |media_type: &str, digest, size| Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: None,
    };
    let layer = |(_, layer): &(Digest, Layer)| {
        let media_type = match (layer.compression, oci) {
            (Packing::None, false) => media::DOCKER_LAYER,
            (Packing::Gzip, false) => media::DOCKER_LAYER_GZIP,
            (Packing::None, true) => media::OCI_LAYER,
            (Packing::Gzip, true) => media::OCI_LAYER_GZIP,
            (Packing::Zstd, _) => media::OCI_LAYER_ZSTD,
        };
        descriptor(media_type, layer.blob, layer.blob_size)
    };
    let (manifest, config) = if oci {
        (media::OCI_MANIFEST, media::OCI_CONFIG)
    } else {
        (media::DOCKER_MANIFEST, media::DOCKER_CONFIG)
    };
    Manifest {
        schema_version: 2,
        media_type: Some(manifest.into()),
        config: descriptor(config, image.id, document as u64),
        layers: layers.iter().map(layer).collect(),
    }
}

pub(super) fn media_type(manifest: &[u8]) -> String {
    let parsed = serde_json::from_slice::<Manifest>(manifest).ok().and_then(|manifest| manifest.media_type);
    parsed.unwrap_or_else(|| media::OCI_MANIFEST.to_owned())
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    // The same image is the same archive, whenever it is saved.
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

fn document(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    archive.append(&header(name, bytes.len() as u64)?, bytes)
}

fn folder(archive: &mut tar::Builder<impl Write>, name: &str) -> io::Result<()> {
    let mut header = header(name, 0)?;
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append(&header, io::empty())
}
