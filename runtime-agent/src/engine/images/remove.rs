//! Removing names and images, with dockerd's rules about what needs `force`.
//!
//! A name is only taken away; the image goes with its last name. A container that runs keeps its image whatever is
//! said; a stopped one keeps it unless forced (its snapshot keeps the layers then). An image that others were made from stays;
//! with the last of those, the nameless ones that it was made from go too.

use std::collections::BTreeSet;

use super::catalog::Contents;
use super::{ContainerUse, Image, Images};
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::registry::{Reference, Repository};
use crate::store::Digest;

/// One thing that a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    Untagged(String),
    Deleted(Digest),
}

impl Images {
    /// Removes a name, or an image with all its names when it was given by id.
    pub(crate) async fn remove(&self, wanted: &str, force: bool, with_parents: bool) -> Result<Vec<Removed>> {
        let image = self.resolve(wanted)?;
        let users = self.users(&image.id);
        let by_id = by_id(&image, wanted);
        let needed = |id: &Digest| !with_parents || self.is_needed(id);
        let mut removed = self
            .shared
            .catalog
            .change(|contents| {
                let mut removal = Removal {
                    contents,
                    image: &image,
                    users: &users,
                    needed: &needed,
                    force,
                    removed: Vec::new(),
                };
                if by_id {
                    removal.by_id()?;
                } else {
                    removal.by_name(wanted)?;
                }
                Ok(removal.removed)
            })
            .await?;
        let id = image.id.to_string();
        for gone in &removed {
            match gone {
                Removed::Untagged(_) => {
                    let labels = image.configuration.config.labels.clone().unwrap_or_default();
                    self.event_of(labels, "untag", &id, &id);
                }
                Removed::Deleted(gone) => self.event("delete", &gone.to_string(), gone, &gone.to_string()),
            }
        }
        if removed.contains(&Removed::Deleted(image.id)) {
            removed.extend(self.collect().await.layers.into_iter().map(Removed::Deleted));
        }
        Ok(removed)
    }

    /// Removes every image that `doomed` picks and that no container needs. Answers with the bytes freed, too.
    pub(crate) async fn prune(
        &self,
        doomed: impl Fn(&Image, &super::Names) -> bool,
    ) -> Result<(Vec<Removed>, u64)> {
        let mut removed = self
            .shared
            .catalog
            .change(|contents| {
                let mut removed = Vec::new();
                // What others were made from may be next, once those are gone.
                loop {
                    let picked = |image: &&std::sync::Arc<Image>| {
                        !contents.has_children(&image.id)
                            && !self.is_needed(&image.id)
                            && doomed(image, &contents.names(&image.id))
                    };
                    let Some(id) = contents.images.values().find(picked).map(|image| image.id) else {
                        return Ok(removed);
                    };
                    for reference in contents.references_to(&id) {
                        contents.references.remove(&reference);
                        removed.push(Removed::Untagged(reference.familiar()));
                    }
                    removed.extend(contents.remove_with_parents(id, &|id| self.is_needed(id)));
                }
            })
            .await?;
        for gone in &removed {
            if let Removed::Deleted(id) = gone {
                self.event("delete", &id.to_string(), id, &id.to_string());
            }
        }
        let collected = self.collect().await;
        let reclaimed = collected.bytes.to_string();
        self.shared.events.publish(EventKind::Image, "prune", "", [("reclaimed", reclaimed)]);
        removed.extend(collected.layers.into_iter().map(Removed::Deleted));
        Ok((removed, collected.bytes))
    }

    /// Whether a container or an operation under way stands on it.
    fn is_needed(&self, id: &Digest) -> bool {
        self.shared.held.holds(id) || !self.users(id).is_empty()
    }

    /// The containers made from an image.
    pub(crate) fn users(&self, id: &Digest) -> Vec<ContainerUse> {
        self.shared.users.get().map(|users| users(id)).unwrap_or_default()
    }
}

/// One removal, decided under the list's lock.
struct Removal<'a> {
    contents: &'a mut Contents,
    image: &'a Image,
    users: &'a [ContainerUse],
    /// Which of the images that it was made from stay in any case.
    needed: &'a dyn Fn(&Digest) -> bool,
    force: bool,
    removed: Vec<Removed>,
}

impl Removal<'_> {
    fn by_name(&mut self, wanted: &str) -> Result<()> {
        let reference: Reference = wanted.parse::<Reference>()?.or_latest();
        let key = reference.digest.map_or_else(|| reference.clone(), |digest| reference.with_digest(digest));
        if self.contents.references.get(&key) != Some(&self.image.id) {
            return Err(super::no_such_image(&reference.familiar()));
        }
        if let Some(user) = self.users.first().filter(|_| !self.force && self.one_name()) {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference \"{wanted}\" (must force) - container {} is using \
                 its referenced image {}",
                short(&user.id),
                self.image.id.short()
            )));
        }
        self.untag(&key);
        if key.digest.is_none() && !self.contents.tagged_in(&self.image.id, &key.repository) {
            self.untag_digests(&key.repository);
        }
        if !self.contents.references_to(&self.image.id).is_empty() {
            return Ok(());
        }
        // The name is gone in any case; the image only if nobody needs it.
        if self.conflict(self.force).is_none() {
            self.delete();
        }
        Ok(())
    }

    fn by_id(&mut self) -> Result<()> {
        if !self.force && !self.one_name() {
            return Err(self.refused("must be forced", "image is referenced in multiple repositories"));
        }
        if let Some(conflict) = self.conflict(self.force) {
            return Err(conflict);
        }
        self.delete();
        Ok(())
    }

    fn delete(&mut self) {
        for reference in self.contents.references_to(&self.image.id) {
            self.untag(&reference);
        }
        self.removed.extend(self.contents.remove_with_parents(self.image.id, self.needed));
    }

    fn untag(&mut self, reference: &Reference) {
        self.contents.references.remove(reference);
        self.removed.push(Removed::Untagged(reference.familiar()));
    }

    /// What remains of a repository when its last tag is gone is of no use to anybody.
    fn untag_digests(&mut self, repository: &Repository) {
        for reference in self.contents.references_to(&self.image.id) {
            if reference.repository == *repository {
                self.untag(&reference);
            }
        }
    }

    fn conflict(&self, force: bool) -> Option<Error> {
        if self.contents.has_children(&self.image.id) {
            return Some(self.refused("cannot be forced", "image has dependent child images"));
        }
        if let Some(running) = self.users.iter().find(|user| user.running) {
            let why = format!("image is being used by running container {}", short(&running.id));
            return Some(self.refused("cannot be forced", &why));
        }
        let stopped = self.users.first().filter(|_| !force)?;
        let why = format!("image is being used by stopped container {}", short(&stopped.id));
        Some(self.refused("must be forced", &why))
    }

    fn refused(&self, what: &str, why: &str) -> Error {
        Error::conflict(format!("conflict: unable to delete {} ({what}) - {why}", self.image.id.short()))
    }

    /// Whether removing one name removes all there is: at most one tag, and digests of the same repository only.
    fn one_name(&self) -> bool {
        let references = self.contents.references_to(&self.image.id);
        let repositories: BTreeSet<_> = references.iter().map(|reference| &reference.repository).collect();
        references.iter().filter(|reference| reference.tag.is_some()).count() <= 1 && repositories.len() <= 1
    }
}

impl Contents {
    /// Takes an image off the list, and then the nameless ones that it was made from, as far as nobody needs them.
    fn remove_with_parents(&mut self, id: Digest, needed: &dyn Fn(&Digest) -> bool) -> Vec<Removed> {
        let mut removed = Vec::new();
        let mut next = Some(id);
        while let Some(image) = next.and_then(|id| self.images.remove(&id)) {
            removed.push(Removed::Deleted(image.id));
            next = image.parent.filter(|parent| {
                self.references_to(parent).is_empty() && !self.has_children(parent) && !needed(parent)
            });
        }
        removed
    }
}

/// Whether the client named the image by its id or the beginning of it.
fn by_id(image: &Image, wanted: &str) -> bool {
    let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    !digits.is_empty() && image.id.hex().starts_with(digits)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
