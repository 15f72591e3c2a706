//! The whole engine of containers over fakes: no process, no mount, no network, and milliseconds a test.

mod exec;
mod files;
mod lifecycle;
mod logs;
mod reconcile;
mod watching;

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wharfd_api_types::container::CreateRequest;

use super::seams::fakes::{FolderFilesystems, FolderVolumes, PaperConnections};
use super::seams::{Ground, ImageSource};
use super::spec::Facts;
use super::world::{Pace, World};
use super::{Container, Containers, index::Index};
use crate::engine::error::{Error, Result};
use crate::engine::events::Events;
use crate::engine::images::Image;
use crate::engine::images::commit::Commit;
use crate::runtime::{Exit, FakeRuntime};
use crate::store::Digest;

/// Knows `busybox` and its id.
#[derive(Debug)]
pub(in crate::engine::containers) struct OneImage;

impl ImageSource for OneImage {
    fn resolve(&self, wanted: &str) -> Result<Arc<Image>> {
        let id = Digest::of(b"busybox");
        if wanted != "busybox" && wanted != id.to_string() {
            return Err(Error::not_found(format!("No such image: {wanted}:latest")));
        }
        let configuration = r#"{"rootfs":{"type":"layers"},"config":{"Cmd":["sh"],"Env":["PATH=/bin"]}}"#;
        Ok(Arc::new(Image {
            id,
            configuration: serde_json::from_str(configuration).unwrap(),
            manifest: None,
            size: 1000,
            tagged: None,
            parent: None,
        }))
    }

    fn commit(&self, _commit: Commit, _layer: Box<dyn Read + Send>) -> BoxFuture<'_, Result<Digest>> {
        async { Ok(Digest::of(b"committed")) }.boxed()
    }
}

/// A host that outlives its daemons.
struct Host {
    folder: tempfile::TempDir,
    runtime: FakeRuntime,
    filesystems: Arc<FolderFilesystems>,
    connections: Arc<PaperConnections>,
    boot: Mutex<String>,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            runtime: FakeRuntime::default(),
            filesystems: Arc::new(FolderFilesystems::at(&folder.path().join("snapshots"))),
            connections: Arc::default(),
            boot: Mutex::new("first".to_owned()),
            folder,
        }
    }

    /// A daemon; the one before may be dropped without a word, as `kill -9` does it.
    async fn daemon(&self) -> Containers {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::create_dir_all(path("containers")).unwrap();
        let world = World {
            folder: path("containers"),
            index: Index::default(),
            events: Events::new(),
            ground: Ground {
                images: Arc::new(OneImage),
                filesystems: Arc::clone(&self.filesystems) as _,
                volumes: Arc::new(FolderVolumes::at(&path("volumes"))),
                connections: Arc::clone(&self.connections) as _,
            },
            runtime: Arc::new(self.runtime.clone()),
            facts: Facts::of_a_whole_host(),
            boot: self.boot.lock().unwrap().clone(),
            dns: Vec::new(),
            shares: None,
            pace: Pace {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(4),
                good_run: Duration::from_secs(10),
            },
        };
        Containers::over(world).await.unwrap()
    }

    fn ends(&self, id: &str, code: i32) {
        self.runtime.shim(id).unwrap().exit(Exit::status(code));
    }

    fn leftovers(&self) -> Vec<String> {
        let list = |folder: &Path| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
        };
        let path = |name: &str| self.folder.path().join(name);
        [list(&path("containers")), list(&path("snapshots"))].concat()
    }
}

impl Drop for Host {
    /// What a task was writing when its test ended lands in the folder after all.
    fn drop(&mut self) {
        let gone = || std::fs::remove_dir_all(self.folder.path()).is_ok() || !self.folder.path().exists();
        let _ = (0..100).any(|_| {
            gone() || {
                std::thread::sleep(Duration::from_millis(2));
                false
            }
        });
    }
}

/// As `kill -9` does it: its tasks hear and do nothing any more, once the test holds no container of it.
#[expect(clippy::needless_pass_by_value, reason = "a killed daemon is of no use any more")]
fn kill(daemon: Containers) {
    for container in daemon.all() {
        daemon.world.index.forget(&container.id);
    }
}

async fn create(daemon: &Containers, name: &str, json: &str) -> Result<Container> {
    let mut request: CreateRequest = serde_json::from_str(json).unwrap();
    if request.config.image.is_empty() {
        "busybox".clone_into(&mut request.config.image);
    }
    let made = daemon.create(Some(name), request).await?;
    daemon.find(&made.id)
}

async fn run(daemon: &Containers, name: &str, json: &str) -> Container {
    let container = create(daemon, name, json).await.unwrap();
    container.start().await.unwrap();
    container
}

/// Every event so far, as `action` or `action:exitCode`.
fn told(daemon: &Containers) -> Vec<String> {
    let (events, _) = daemon.world.events.subscribe();
    let describe = |event: &Arc<crate::engine::events::Event>| match event.attributes.get("exitCode") {
        Some(code) => format!("{}:{code}", event.action),
        None => event.action.clone(),
    };
    events.iter().map(describe).collect()
}

/// Waits for a condition on the container's state, not for time.
async fn until(container: &Container, holds: impl Fn(&super::task::Snapshot) -> bool) {
    let mut changes = container.changes();
    let waiting = changes.wait_for(|snapshot| holds(snapshot));
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it never happened").unwrap();
}
