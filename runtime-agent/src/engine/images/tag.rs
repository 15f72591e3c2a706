//! Giving an image another name.

use std::sync::Arc;

use super::pull::now;
use super::{Image, Images};
use crate::engine::error::{Error, Result};
use crate::registry::Reference;

impl Images {
    /// Points `name` (its tag `latest` by default) at the image, away from whatever it named before.
    pub(crate) async fn tag(&self, wanted: &str, name: Reference) -> Result<()> {
        if name.digest.is_some() {
            return Err(Error::invalid("refusing to create a tag with a digest reference"));
        }
        let image = self.resolve(wanted)?;
        let reference = name.or_latest();
        let named = reference.clone();
        self.shared
            .catalog
            .change(move |contents| {
                // Removed meanwhile: a name must not point at nothing.
                let image =
                    contents.images.get(&image.id).ok_or_else(|| Error::not_found("No such image"))?;
                let (id, tagged) = (image.id, Some(now()));
                let image = Image { tagged, ..Image::clone(image) };
                contents.images.insert(id, Arc::new(image));
                contents.references.insert(named, id);
                Ok(id)
            })
            .await
            .map(|id| self.event("tag", &id.to_string(), &id, &reference.familiar()))
    }
}
