//! What there is: all images, one image's history, and what they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::configuration::History;
use super::{Image, Images, Names};
use crate::engine::error::Result;
use crate::store::Digest;

/// One step of an image's history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) history: History,
    /// Bytes of the layer that it made; none for steps that changed no file.
    pub(crate) size: u64,
}

impl Image {
    /// When it was made, if it says so in a way that can be read.
    pub(crate) fn created(&self) -> Option<OffsetDateTime> {
        parse_time(self.configuration.created.as_deref()?)
    }
}

impl Images {
    /// Every image with its names, newest first.
    pub(crate) fn all(&self) -> Vec<(Arc<Image>, Names)> {
        let contents = self.shared.catalog.contents();
        let mut names: BTreeMap<Digest, Names> = BTreeMap::new();
        for (reference, id) in &contents.references {
            let names = names.entry(*id).or_default();
            let list = if reference.digest.is_some() { &mut names.digests } else { &mut names.tags };
            list.push(reference.familiar());
        }
        let mut all: Vec<_> = contents
            .images
            .values()
            .map(|image| (Arc::clone(image), names.remove(&image.id).unwrap_or_default()))
            .collect();
        all.sort_by_key(|(image, _)| std::cmp::Reverse(image.created()));
        all
    }

    /// How an image came about, newest step first.
    pub(crate) fn history(&self, image: &Image) -> Result<Vec<Step>> {
        let mut layers = image.layers().iter();
        let mut steps = Vec::new();
        for history in &image.configuration.history {
            let layer = if history.empty_layer { None } else { layers.next() };
            let size =
                layer.map_or(Ok(0), |layer| self.shared.store.layers.get(layer).map(|layer| layer.size))?;
            steps.push(Step { history: history.clone(), size });
        }
        steps.reverse();
        Ok(steps)
    }

    /// Bytes of each image's layers that another image has too.
    pub(crate) fn shared_sizes(&self) -> Result<BTreeMap<Digest, u64>> {
        let contents = self.shared.catalog.contents();
        let mut uses: BTreeMap<Digest, usize> = BTreeMap::new();
        for image in contents.images.values() {
            for layer in image.layers().iter().collect::<BTreeSet<_>>() {
                *uses.entry(*layer).or_default() += 1;
            }
        }
        let mut sizes = BTreeMap::new();
        for image in contents.images.values() {
            let shared = image.layers().iter().filter(|layer| uses.get(layer).is_some_and(|uses| *uses > 1));
            let sum =
                shared.map(|layer| Ok(self.shared.store.layers.get(layer)?.size)).sum::<Result<u64>>()?;
            sizes.insert(image.id, sum);
        }
        Ok(sizes)
    }

    /// Bytes of all layers, each counted once.
    pub(crate) fn layers_size(&self) -> Result<u64> {
        let contents = self.shared.catalog.contents();
        let layers: BTreeSet<&Digest> = contents.images.values().flat_map(|image| image.layers()).collect();
        layers.into_iter().map(|layer| Ok(self.shared.store.layers.get(layer)?.size)).sum()
    }

    /// Where an image's layers are, topmost first.
    pub(crate) fn layer_folders(&self, image: &Image) -> Vec<std::path::PathBuf> {
        image.layers().iter().rev().map(|layer| self.shared.store.layers.files(layer)).collect()
    }
}

/// RFC 3339, as configurations have it.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
