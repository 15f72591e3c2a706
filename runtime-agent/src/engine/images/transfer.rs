//! Layers on their way: fetched once however many pulls want them, unpacked while they arrive.
//!
//! ```text
//! network ──bytes──▶ writer thread ──bytes──▶ unpacking thread
//!          resume    blob, its digest         decompress, diff id, files
//! ```
//! An interrupted download goes on where it broke off. A layer gets its name when both digests are right; when every
//! pull that wanted it has gone away, the transfer stops and leaves nothing.

use std::collections::HashMap;
use std::io::{self, Read, Write as _};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc as channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::engine::error::{Error, Result};
use crate::registry::manifest::Descriptor;
use crate::registry::{self, Session};
use crate::store::{self, Digest, Store};

/// How many layers travel at once, over all pulls.
const AT_ONCE: usize = 6;
/// How often a download that gets nowhere is tried again.
const ATTEMPTS: u32 = 5;
/// Chunks between the stages: a few megabytes at most.
const QUEUE: usize = 64;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// All transfers under way.
#[derive(Debug)]
pub(super) struct Transfers {
    slots: Arc<Semaphore>,
    active: Mutex<HashMap<Digest, Weak<Transfer>>>,
}

/// One layer's transfer. It ends early when the last handle is dropped.
#[derive(Debug)]
pub(super) struct Transfer {
    state: watch::Receiver<State>,
    task: tokio::task::AbortHandle,
}

/// How far a transfer is.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting,
    Downloading(u64),
    Retrying(u64),
    Extracting(u64),
    Done,
    Failed(Arc<Error>),
}

/// What is to be fetched, and from where.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) diff_id: Digest,
    pub(super) blob: Descriptor,
    pub(super) session: Arc<Session>,
}

impl Transfers {
    pub(super) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)), active: Mutex::default() }
    }

    /// Joins the transfer of this layer, or begins it.
    pub(super) fn join(&self, store: &Store, wanted: Wanted) -> Arc<Transfer> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|_, transfer| transfer.strong_count() > 0);
        if let Some(transfer) = active.get(&wanted.diff_id).and_then(Weak::upgrade) {
            return transfer;
        }
        let (sender, state) = watch::channel(State::Waiting);
        let (store, slots, diff_id) = (store.clone(), Arc::clone(&self.slots), wanted.diff_id);
        let task = tokio::spawn(async move {
            let Ok(_slot) = slots.acquire().await else { return };
            let end = match fetch(&store, &wanted, &sender).await {
                Ok(()) => State::Done,
                Err(error) => State::Failed(Arc::new(error)),
            };
            sender.send_replace(end);
        });
        let transfer = Arc::new(Transfer { state, task: task.abort_handle() });
        active.insert(diff_id, Arc::downgrade(&transfer));
        transfer
    }
}

impl Transfer {
    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn fetch(store: &Store, wanted: &Wanted, state: &watch::Sender<State>) -> Result<()> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (queue, queued) = channel::sync_channel(QUEUE);
    let (blobs, layers) = (store.blobs.clone(), store.layers.clone());
    let writer = store::blocking(move || write_blob(&blobs, receiver, &queue));
    let unpacker =
        store::blocking(move || layers.unpack(Incoming { queued, current: Bytes::new(), ended: false }));
    let download = async {
        let done = download(wanted, sender, state).await;
        state.send_replace(State::Extracting(wanted.blob.size));
        done
    };
    let (downloaded, written, unpacked) =
        tokio::join!(download, tokio::spawn(writer), tokio::spawn(unpacker));
    let stopped = |_| Error::from(store::Error::Stopped);
    let (written, unpacked) = (written.map_err(stopped)?, unpacked.map_err(stopped)?);
    // The first stage that failed tells why; what it did to the others is an echo. A download that stopped because
    // nobody took its bytes any more is such an echo too.
    match downloaded {
        Err(Stop::Failed(error)) => return Err(error),
        Err(Stop::Unwanted) | Ok(()) => {}
    }
    let unpacked = match (unpacked, written) {
        (Ok(unpacked), Ok(writer)) => (unpacked, writer),
        (Err(store::Error::ArchiveBroke(_)), Err(cause)) if !matches!(cause, store::Error::Stopped) => {
            return Err(cause.into());
        }
        (Err(cause), _) | (Ok(_), Err(cause)) => return Err(cause.into()),
    };
    let (unpacked, writer) = unpacked;
    if unpacked.diff_id != wanted.diff_id {
        return Err(store::Error::WrongDigest { expected: wanted.diff_id, found: unpacked.diff_id }.into());
    }
    let (layers, wanted) = (store.layers.clone(), wanted.blob.clone());
    let layer = store::blocking(move || {
        let size = writer.written();
        let blob = writer.commit(Some(&wanted.digest))?;
        layers.commit(unpacked, blob, size).map(drop)
    });
    Ok(layer.await?)
}

/// Why a download ended early.
enum Stop {
    Failed(Error),
    /// A later stage failed and took no more.
    Unwanted,
}

/// Fetches all of the blob, again and again from where it broke off, until it is here or no attempt gets further.
async fn download(
    wanted: &Wanted,
    sender: mpsc::Sender<Option<Bytes>>,
    state: &watch::Sender<State>,
) -> Result<(), Stop> {
    let mut at = 0;
    let mut failures = 0;
    loop {
        let before = at;
        match attempt(wanted, &sender, state, &mut at).await? {
            Ok(()) => {
                return sender.send(None).await.map_err(|_| Stop::Unwanted);
            }
            Err(error) if !error.is_transient() => return Err(Stop::Failed(error.into())),
            Err(error) => {
                failures = if at > before { 1 } else { failures + 1 };
                if failures >= ATTEMPTS {
                    return Err(Stop::Failed(error.into()));
                }
                tracing::debug!(blob = %wanted.blob.digest, at, %error, "download broke off");
                wait(failures, state).await;
            }
        }
    }
}

/// Short at first: most interruptions are a connection that a proxy closed.
async fn wait(failures: u32, state: &watch::Sender<State>) {
    let pause = Duration::from_millis(250) * 4_u32.pow(failures.saturating_sub(1)).min(16);
    state.send_replace(State::Retrying(pause.as_secs().max(1)));
    tokio::time::sleep(pause).await;
}

/// One request, from `at` on. The inner error is the registry's.
async fn attempt(
    wanted: &Wanted,
    sender: &mpsc::Sender<Option<Bytes>>,
    state: &watch::Sender<State>,
    at: &mut u64,
) -> Result<registry::Result<()>, Stop> {
    let (session, blob) = (&wanted.session, &wanted.blob);
    let (mut response, mut position) = match session.blob(&blob.digest, *at).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let mut told = Instant::now();
    state.send_replace(State::Downloading(*at));
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) if *at == blob.size => return Ok(Ok(())),
            Ok(None) => {
                let request = format!("Get \"{}\"", session.blob_url(&blob.digest));
                return Ok(Err(registry::Error::Interrupted { request, at: *at, of: blob.size }));
            }
            Err(error) => return Ok(Err(session.unreachable("Get", &session.blob_url(&blob.digest), error))),
        };
        // A registry without ranges begins again: what is here already is passed over.
        let known = (*at - position.min(*at)).min(chunk.len() as u64);
        position += chunk.len() as u64;
        let fresh = chunk.slice(usize::try_from(known).unwrap_or(chunk.len())..);
        *at += fresh.len() as u64;
        if *at > blob.size {
            return Ok(Err(too_long(wanted)));
        }
        if !fresh.is_empty() && sender.send(Some(fresh)).await.is_err() {
            return Err(Stop::Unwanted);
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            state.send_replace(State::Downloading(*at));
        }
    }
}

fn too_long(wanted: &Wanted) -> registry::Error {
    let request = format!("Get \"{}\"", wanted.session.blob_url(&wanted.blob.digest));
    let why = format!("it is longer than the {} bytes that the manifest says", wanted.blob.size);
    registry::Error::Nonsense { request, why }
}

/// Writes what arrives to a blob that has no name yet, and passes it on. `None` is the end; without it the download
/// failed.
fn write_blob(
    blobs: &store::Blobs,
    mut receiver: mpsc::Receiver<Option<Bytes>>,
    queue: &channel::SyncSender<Option<Bytes>>,
) -> store::Result<store::blobs::Writer> {
    let mut writer = blobs.writer()?;
    loop {
        let chunk = receiver.blocking_recv().ok_or(store::Error::Stopped)?;
        if let Some(bytes) = &chunk {
            writer.write_all(bytes).map_err(store::Error::io("write", "a blob"))?;
        }
        let ended = chunk.is_none();
        queue.send(chunk).map_err(|_| store::Error::Stopped)?;
        if ended {
            return Ok(writer);
        }
    }
}

/// The unpacking thread's end of the queue, as a stream of bytes.
struct Incoming {
    queued: channel::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended {
            match self.queued.recv() {
                Ok(Some(bytes)) => self.current = bytes,
                Ok(None) => self.ended = true,
                Err(_) => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the download failed"));
                }
            }
        }
        let length = self.current.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
