//! `docker import`: a tar of a whole filesystem becomes an image of one layer.

use std::io::{BufRead, BufReader, Read};

use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::Images;
use super::changes::apply_all;
use super::configuration::{Config, Configuration, History, RootFs};
use super::new::New;
use super::progress::Reporter;
use super::pull::now;
use crate::engine::error::{Error, Result};
use crate::registry::Reference;
use crate::registry::manifest::Platform;
use crate::store::archive::compression::{Compression, decompress};
use crate::store::{self, Digest, Lease, Store};

/// What to make of the archive.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) reference: Option<Reference>,
    pub(crate) message: String,
    /// Dockerfile instructions such as `CMD ["sh"]`.
    pub(crate) changes: Vec<String>,
    pub(crate) platform: Option<Platform>,
}

impl Images {
    /// Imports an archive, packed or not.
    pub(crate) async fn import(
        &self,
        import: Import,
        archive: impl AsyncRead + Send + Unpin + 'static,
        report: &Reporter,
    ) -> Result<()> {
        let mut config = Config::default();
        apply_all(&mut config, &import.changes).map_err(Error::invalid)?;
        let archive = SyncIoBridge::new(archive);
        let store = self.shared.store.clone();
        let (diff_id, _lease) = store::blocking(move || import_layer(&store, archive)).await?;
        let configuration = configuration(&import, config, diff_id);
        let document =
            serde_json::to_vec(&configuration).map_err(|e| Error::internal("writing the image", e))?;
        let references = import.reference.into_iter().collect();
        let new = New { configuration, document, manifest: None, parent: None, references };
        let listed = self.list_new(new).await;
        if listed.is_err() {
            self.collect().await;
        }
        let (id, _) = listed?;
        self.event("import", &id.to_string(), &id, &id.to_string());
        report.say(id.to_string()).await;
        Ok(())
    }
}

pub(super) fn import_layer(store: &Store, archive: impl Read) -> store::Result<(Digest, Lease)> {
    let archive = BufReader::with_capacity(BUFFER, archive);
    let mut writer = store.blobs.writer()?;
    let mut tee = Tee { inner: as_layer(archive).map_err(store::Error::ArchiveBroke)?, copy: &mut writer };
    let unpacked = store.layers.unpack(&mut tee)?;
    // What the unpacker had no need to read, such as what follows a packed stream.
    std::io::copy(&mut tee, &mut std::io::sink()).map_err(store::Error::ArchiveBroke)?;
    let (diff_id, size) = (unpacked.diff_id, writer.written());
    let lease = store.lease([diff_id]);
    store.settle(|| {
        let blob = writer.commit(None)?;
        store.layers.commit(unpacked, blob, size)
    })?;
    Ok((diff_id, lease))
}

fn configuration(import: &Import, config: Config, diff_id: Digest) -> Configuration {
    let platform = import.platform.clone().unwrap_or_else(Platform::host);
    let comment = import.message.clone();
    let history = History { created: Some(now()), comment: comment.clone(), ..History::default() };
    Configuration {
        comment,
        created: history.created.clone(),
        architecture: platform.architecture,
        variant: if import.platform.is_some() { platform.variant } else { String::new() },
        os: platform.os,
        config,
        rootfs: RootFs { kind: "layers".into(), diff_ids: vec![diff_id] },
        history: vec![history],
        ..Configuration::default()
    }
}

/// Unpacks what a layer cannot be packed with.
fn as_layer<'a>(mut archive: impl BufRead + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
    match Compression::of(archive.fill_buf()?) {
        Compression::Bzip2 | Compression::Xz => decompress(archive).map(|(contents, _)| contents),
        _ => Ok(Box::new(archive)),
    }
}

const BUFFER: usize = 128 << 10;

struct Tee<'a, R, W> {
    inner: R,
    copy: &'a mut W,
}

impl<R: Read, W: std::io::Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.copy.write_all(&buffer[..read])?;
        Ok(read)
    }
}
