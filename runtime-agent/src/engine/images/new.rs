//! Making a whole image visible: its documents stored, everything on the disk, then one change of the list.

use std::sync::Arc;

use super::configuration::Configuration;
use super::pull::now;
use super::{Image, Images};
use crate::engine::error::Result;
use crate::registry::Reference;
use crate::store::{self, Digest};

/// An image whose layers are all here.
pub(super) struct New {
    pub(super) configuration: Configuration,
    /// The document as it came: its digest is the image's id.
    pub(super) document: Vec<u8>,
    pub(super) manifest: Option<Vec<u8>>,
    /// The image that it was made from here.
    pub(super) parent: Option<Digest>,
    /// Names that shall point at it.
    pub(super) references: Vec<Reference>,
}

impl Images {
    /// Lists an image and says its id and, for each name that meant another image before, that image.
    pub(super) async fn list_new(&self, new: New) -> Result<(Digest, Vec<(Reference, Digest)>)> {
        let New { configuration, document, manifest, parent, references } = new;
        let store = self.shared.store.clone();
        let documents = manifest.iter().chain([&document]).map(|document| Digest::of(document));
        let _lease = store.lease(documents.chain(configuration.rootfs.diff_ids.iter().copied()));
        let layers = configuration.rootfs.diff_ids.clone();
        let (id, manifest, size) = store::blocking(move || {
            let manifest = manifest.map(|manifest| store.blobs.put(&manifest)).transpose()?;
            let id = store.blobs.put(&document)?;
            store.sync()?;
            let size =
                layers.iter().map(|layer| Ok(store.layers.get(layer)?.size)).sum::<store::Result<u64>>()?;
            Ok((id, manifest, size))
        })
        .await?;
        let replaced = self
            .shared
            .catalog
            .change(|contents| {
                let known = contents.images.get(&id).map(|image| Image::clone(image));
                let mut image =
                    known.unwrap_or(Image { id, configuration, manifest, size, tagged: None, parent: None });
                image.parent = parent.or(image.parent);
                let mut replaced = Vec::new();
                for reference in references {
                    if reference.tag.is_some() {
                        image.tagged = Some(now());
                    }
                    let before = contents.references.insert(reference.clone(), id);
                    replaced.extend(before.filter(|before| *before != id).map(|before| (reference, before)));
                }
                contents.images.insert(id, Arc::new(image));
                Ok(replaced)
            })
            .await?;
        Ok((id, replaced))
    }
}
