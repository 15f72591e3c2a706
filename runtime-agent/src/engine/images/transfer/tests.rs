//! Against a registry that misbehaves: it cuts connections, knows no ranges, or sends something else.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::registry::{Credentials, Reference, Registries, Settings};
use crate::store::Mounting;

/// How the registry serves its one blob.
#[derive(Debug, Clone, Copy, Default)]
struct Manners {
    /// Closes the connection after so many bytes of each answer.
    cut_after: Option<usize>,
    ignores_ranges: bool,
    /// Flips this byte.
    damages: Option<usize>,
}

struct Registry {
    store: Store,
    wanted: Wanted,
    requests: Arc<AtomicUsize>,
    sent: Arc<AtomicU64>,
    root: tempfile::TempDir,
}

async fn registry(manners: Manners, diff_of: impl FnOnce(&[u8]) -> Digest) -> Registry {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let text: Vec<u8> = (0..60_000_u32).flat_map(u32::to_le_bytes).collect();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "numbers", text.as_slice()).unwrap();
    let tar = tar.into_inner().unwrap();
    let diff_id = diff_of(&tar);
    let blob = zstd::encode_all(tar.as_slice(), 1).unwrap();
    let digest = Digest::of(&blob);
    let size = blob.len() as u64;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let counters = (Arc::clone(&requests), Arc::clone(&sent));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let length = connection.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let from =
                text.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse().ok());
            let from: usize = from.filter(|_| !manners.ignores_ranges).unwrap_or(0);
            let mut body = blob[from..].to_vec();
            if let Some(at) = manners.damages.filter(|at| *at >= from) {
                body[at - from] ^= 1;
            }
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            body.truncate(manners.cut_after.unwrap_or(body.len()));
            counters.0.fetch_add(1, Ordering::Relaxed);
            counters.1.fetch_add(body.len() as u64, Ordering::Relaxed);
            let _ = connection.write_all(head.as_bytes()).await;
            let _ = connection.write_all(&body).await;
            let _ = connection.shutdown().await;
        }
    });

    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path(), Mounting::Pretend).unwrap();
    let reference: Reference = format!("{address}/a:1").parse().unwrap();
    let registries = Registries::new(Settings::default());
    let sessions = registries.sessions(&reference.repository, &Credentials::default()).unwrap();
    let session = Arc::new(sessions.into_iter().find(|s| s.endpoint().base.starts_with("http://")).unwrap());
    let blob = Descriptor { media_type: String::new(), digest, size, platform: None, annotations: None };
    Registry { store, wanted: Wanted { diff_id, blob, session }, requests, sent, root }
}

impl Registry {
    async fn fetch(&self) -> Result<()> {
        let transfer = Transfers::new().join(&self.store, self.wanted.clone());
        ended(&transfer).await
    }

    fn is_clean(&self) -> bool {
        let count = |name: &str| std::fs::read_dir(self.root.path().join(name)).unwrap().count();
        count("ingest") + count("layers") + count("blobs/sha256") == 0
    }
}

async fn ended(transfer: &Transfer) -> Result<()> {
    let mut state = transfer.watch();
    loop {
        match state.borrow_and_update().clone() {
            State::Done => return Ok(()),
            State::Failed(error) => return Err(Error::new(error.kind(), error.to_string())),
            _ => {}
        }
        state.changed().await.unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_broke_off() {
    let registry = registry(Manners { cut_after: Some(20_000), ..Manners::default() }, Digest::of).await;
    registry.fetch().await.unwrap();
    assert!(registry.requests.load(Ordering::Relaxed) > 2);
    assert_eq!(registry.sent.load(Ordering::Relaxed), registry.wanted.blob.size, "bytes were sent twice");
    let layer = registry.store.layers.get(&registry.wanted.diff_id).unwrap();
    assert_eq!((layer.size, layer.blob), (240_000, registry.wanted.blob.digest));
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again_and_passed_over() {
    let manners = Manners { ignores_ranges: true, cut_after: None, damages: None };
    let mut registry = registry(manners, Digest::of).await;
    registry.fetch().await.unwrap();
    assert_eq!(registry.requests.load(Ordering::Relaxed), 1);
    // Cut always at the same place, it never gets further: an error after some attempts, and nothing left.
    let manners = Manners { ignores_ranges: true, cut_after: Some(1000), damages: None };
    registry = self::registry(manners, Digest::of).await;
    let error = registry.fetch().await.unwrap_err().to_string();
    assert!(error.contains("/blobs/sha256:"), "{error}");
    assert!(registry.is_clean());
}

#[tokio::test]
async fn damaged_bytes_leave_nothing() {
    for at in [2, 5_000, 60_000] {
        let registry = registry(Manners { damages: Some(at), ..Manners::default() }, Digest::of).await;
        assert!(registry.fetch().await.is_err());
        assert!(registry.is_clean(), "after byte {at}");
    }
}

#[tokio::test]
async fn a_layer_that_unpacks_to_something_else_leaves_nothing() {
    let registry = registry(Manners::default(), |_| Digest::of(b"another")).await;
    let error = registry.fetch().await.unwrap_err().to_string();
    assert!(error.contains("layer verification failed"), "{error}");
    assert!(registry.is_clean());
}

#[tokio::test]
async fn many_pulls_of_one_layer_fetch_it_once() {
    let registry = registry(Manners::default(), Digest::of).await;
    let transfers = Transfers::new();
    let joined: Vec<_> = (0..8).map(|_| transfers.join(&registry.store, registry.wanted.clone())).collect();
    for transfer in &joined {
        ended(transfer).await.unwrap();
    }
    assert_eq!(registry.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_transfer_that_nobody_wants_any_more_stops() {
    let registry = registry(Manners { cut_after: Some(10), ..Manners::default() }, Digest::of).await;
    let transfer = Transfers::new().join(&registry.store, registry.wanted.clone());
    let mut state = transfer.watch();
    while !matches!(*state.borrow_and_update(), State::Downloading(_) | State::Retrying(_)) {
        state.changed().await.unwrap();
    }
    drop(transfer);
    let end = Instant::now() + Duration::from_secs(10);
    while !registry.is_clean() {
        assert!(Instant::now() < end, "a cancelled transfer left something behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
