//! `COPY` and `ADD`: files from the context, another stage or the network, over the image so far.
//!
//! Sources are looked up beneath the root that they are in, links followed within it. They are written by a thread that
//! stands in a chamber of the new image's files ([`crate::store::chamber`]), so that no link in there leads to the host.

mod destination;
mod source;
mod write;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::Build;
use super::stage::Stage;
use super::steps::expanded;
use crate::engine::containers::ground::MADE;
use crate::engine::containers::new_id;
use crate::engine::dockerfile::Transfer;
use crate::engine::download;
use crate::engine::error::{Error, Result};
use crate::engine::images::Image;
use crate::store::snapshots::Loan;
use crate::store::{Digest, Snapshots};
use source::Source;

/// A root filesystem that nobody runs in: removed when it is let go.
pub(super) struct Scratch {
    snapshots: Snapshots,
    id: String,
}

impl Scratch {
    async fn over(snapshots: &Snapshots, layers: &[Digest]) -> Result<Self> {
        let scratch = Self { snapshots: snapshots.clone(), id: format!("{PREFIX}{}", new_id()?) };
        scratch.snapshots.prepare(&scratch.id, layers).await?;
        Ok(scratch)
    }

    async fn lend(&self) -> Result<Loan> {
        Ok(self.snapshots.lend(&self.id).await?)
    }

    async fn remove(self) {
        if let Err(error) = self.snapshots.remove(&self.id).await {
            tracing::warn!(%error, snapshot = self.id, "a build's snapshot stays until the next start");
        }
    }
}

use crate::store::snapshots::BUILDING as PREFIX;

/// Where sources are taken from.
struct Origin {
    root: Arc<OwnedFd>,
    /// Whether files keep their owners: those of another image do.
    keeps_owners: bool,
    /// Keeps the root mounted.
    loan: Option<Loan>,
    scratch: Option<Scratch>,
}

impl Origin {
    async fn leave(self) {
        let loan = self.loan;
        // Unmounting may block.
        let unmounted = tokio::task::spawn_blocking(move || drop(loan)).await;
        if let (Ok(()), Some(scratch)) = (unmounted, self.scratch) {
            scratch.remove().await;
        }
    }
}

impl Build<'_> {
    pub(super) async fn transfer(
        &mut self,
        stage: &mut Stage,
        name: &str,
        transfer: &Transfer,
    ) -> Result<()> {
        let expand = |text: &String| expanded(stage, self.escape, text);
        let wanted = Transfer {
            sources: transfer.sources.iter().map(expand).collect::<Result<_>>()?,
            destination: expand(&transfer.destination)?,
            from: transfer.from.clone(),
            owner: transfer.owner.as_ref().map(expand).transpose()?,
        };
        let origin = self.origin(wanted.from.as_deref()).await?;
        let done = self.transfer_from(stage, name, &wanted, &origin).await;
        origin.leave().await;
        done
    }

    async fn transfer_from(
        &mut self,
        stage: &mut Stage,
        name: &str,
        wanted: &Transfer,
        origin: &Origin,
    ) -> Result<()> {
        let sources = self.sources(name, wanted, origin).await?;
        if sources.len() > 1 && !wanted.destination.ends_with('/') {
            return Err(Error::invalid(format!(
                "When using {name} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let owner = wanted.owner.as_ref().map(|owner| format!("--chown={owner}")).unwrap_or_default();
        let known_as = source::known_as(&sources);
        let comment = format!("#(nop) {name} {owner}{known_as} in {} ", wanted.destination);
        let key = stage.noted(&[&comment]);
        if self.cached(stage, &key).await? {
            return Ok(());
        }
        let snapshots = self.engine.images.snapshots();
        let scratch =
            Scratch::over(snapshots, stage.image.as_ref().map(|image| image.layers()).unwrap_or_default());
        let scratch = scratch.await?;
        let done = self.write(stage, name, wanted, origin, sources, key, &scratch).await;
        scratch.remove().await;
        done
    }

    #[expect(clippy::too_many_arguments, reason = "one step's facts, used once")]
    async fn write(
        &self,
        stage: &mut Stage,
        name: &str,
        wanted: &Transfer,
        origin: &Origin,
        sources: Vec<Source>,
        key: crate::engine::images::configuration::Config,
        scratch: &Scratch,
    ) -> Result<()> {
        let writing = write::Writing {
            destination: destination::absolute(&stage.config.working_dir, &wanted.destination),
            owner: wanted.owner.clone(),
            keeps_owners: origin.keeps_owners,
            unpacks: name == "ADD",
        };
        let loan = scratch.lend().await?;
        let written = tokio::task::spawn_blocking(move || writing.all(&loan, sources));
        let failed = |e| Error::internal("failed to copy files", e);
        written.await.map_err(failed)??;
        let layer = self.engine.images.snapshots().difference(&scratch.id, MADE)?;
        self.keep(stage, key, "", Some(Box::new(layer))).await
    }

    async fn sources(&self, name: &str, wanted: &Transfer, origin: &Origin) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        for text in &wanted.sources {
            if download::is_url(text) {
                if name == "COPY" {
                    return Err(Error::invalid("source can't be a URL for COPY"));
                }
                let store = self.engine.images.store();
                let said = format!("Downloading {text}\n");
                let allowed = self.wish.may_download;
                let fetched = download::fetch(text, store, allowed, self.output.say(&said)).await?;
                found.push(Source::downloaded(text, &wanted.destination, fetched)?);
                continue;
            }
            let (root, text, from_image) = (Arc::clone(&origin.root), text.clone(), origin.keeps_owners);
            let counts_owners = origin.keeps_owners && wanted.owner.is_none();
            let looked =
                tokio::task::spawn_blocking(move || source::find(&root, &text, from_image, counts_owners));
            let looked = looked.await.map_err(|e| Error::internal("looking for files to copy", e))?;
            found.extend(looked.map_err(|why| Error::invalid(format!("{name} failed: {why}")))?);
        }
        if found.is_empty() {
            return Err(Error::invalid(format!("{name} failed: no source files were specified")));
        }
        Ok(found)
    }

    async fn origin(&self, from: Option<&str>) -> Result<Origin> {
        let Some(from) = from else {
            return Ok(Origin { root: self.context.root(), keeps_owners: false, loan: None, scratch: None });
        };
        let image = self
            .image_for_copy(from)
            .await
            .map_err(|error| Error::new(error.kind(), format!("invalid from flag value {from}: {error}")))?;
        let scratch = Scratch::over(self.engine.images.snapshots(), image.layers()).await?;
        let opened = async {
            let loan = scratch.lend().await?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open(&loan.root, flags, Mode::empty())
                .map_err(|errno| Error::internal("opening an image's files", std::io::Error::from(errno)))?;
            Ok((loan, Arc::new(root)))
        };
        match opened.await {
            Ok((loan, root)) => {
                Ok(Origin { root, keeps_owners: true, loan: Some(loan), scratch: Some(scratch) })
            }
            Err(error) => {
                scratch.remove().await;
                Err(error)
            }
        }
    }

    /// A stage by name or number, or any image.
    async fn image_for_copy(&self, from: &str) -> Result<Arc<Image>> {
        let named = self.finished(&from.to_lowercase());
        let stage = match (named, from.parse::<usize>()) {
            (Some(image), _) => image,
            (None, Ok(number)) => {
                let done = self.done.get(number).ok_or_else(|| Error::invalid("index out of bounds"))?;
                done.1.clone()
            }
            (None, Err(_)) => return self.image(from, self.wish.platform.as_ref()).await,
        };
        stage.ok_or_else(|| Error::invalid("the stage has no files"))
    }
}
