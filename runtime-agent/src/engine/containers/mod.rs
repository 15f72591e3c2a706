//! Containers: their records, the task that owns each one's state, and the verbs on them.
//!
//! ```text
//! Containers ── create ──► ContainerRecord on disk, a root filesystem, a Task
//!     │                                                     │ publishes
//!     ├── find ──► Container (handle) ── commands ──► Task ─┴─► Snapshot ──► inspect, list, wait, stats
//!     └── open ──► reconcile: what an earlier daemon left, running or ended, is taken up again
//! ```
//! A folder a container, `<data-root>/containers/<id>/`: `container.json` (the record), `exit.json` (the shim's last
//! word), `<id>-json.log`, and the files that are mounted inside (`hostname`, `hosts`, `resolv.conf`).

pub(crate) mod check;
pub(crate) mod commit;
mod container;
mod create;
pub(crate) mod files;
pub(crate) mod fill;
mod filter;
pub(in crate::engine) mod ground;
mod health;
mod index;
pub(in crate::engine) mod inside;
mod inspect;
mod links;
mod list;
mod logging;
mod members;
mod merge;
pub(crate) mod moment;
mod mounts;
mod name;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod seams;
pub(in crate::engine) mod signal;
mod spec;
pub(crate) mod stats;
mod syntax;
pub(crate) mod task;
#[cfg(test)]
mod tests;
mod top;
mod update;
pub(in crate::engine) mod user;
pub(crate) mod world;

use std::sync::Arc;
use std::time::SystemTime;

use wharfd_api_types::container::{CreateRequest, CreateResponse, PruneResponse};

use super::error::{Error, Result};
use super::events::{EventKind, Events};
use super::exec::Execs;
use super::images::{ContainerUse, Image, Images};
use super::networks::Networks;
use super::volumes::Volumes;
use crate::config::Config;
use crate::end::End;
use crate::runtime::Runtime;
use crate::store::Digest;
pub(crate) use container::{Container, Until};
pub(crate) use filter::Filter;
use index::Index;
pub(crate) use list::Wanted;
pub(crate) use name::new_id;
use seams::Ground;
use spec::{Bounds, Ceilings, Facts};
use world::{Pace, World};

/// All containers of this engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Containers {
    pub(in crate::engine) world: Arc<World>,
    pub(in crate::engine) execs: Arc<Execs>,
    /// When no more of them are taken.
    end: Option<End>,
}

impl Containers {
    /// Opens what is on disk, and takes up what an earlier daemon left.
    pub(crate) async fn open(
        config: &Config,
        events: Events,
        ground: Ground,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self> {
        let folder = config.data_root.join("containers");
        tokio::fs::create_dir_all(&folder)
            .await
            .map_err(|e| Error::internal(&format!("making {}", folder.display()), e))?;
        let world = World {
            folder,
            index: Index::default(),
            events,
            ground,
            runtime,
            facts: look_at_host(),
            boot: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            dns: config.dns.iter().map(ToString::to_string).collect(),
            shares: config.shares.clone(),
            pace: Pace::default(),
        };
        Ok(Self { end: config.end, ..Self::over(world).await? })
    }

    /// The same over any surroundings.
    pub(in crate::engine) async fn over(world: World) -> Result<Self> {
        let containers = Self { world: Arc::new(world), execs: Arc::default(), end: None };
        super::reconcile::reconcile(&containers.world).await?;
        Ok(containers)
    }

    /// Makes a container; `name` may be absent.
    pub(crate) async fn create(&self, name: Option<&str>, request: CreateRequest) -> Result<CreateResponse> {
        self.still_taken(SystemTime::now())?;
        create::create(&self.world, name, request).await
    }

    /// The same over an image that is known already, and that may have no layers.
    pub(crate) async fn create_from(&self, image: &Image, request: CreateRequest) -> Result<CreateResponse> {
        self.still_taken(SystemTime::now())?;
        create::create_from(&self.world, None, request, image).await
    }

    /// Refuses what is new once the machine's time is over.
    pub(crate) fn still_taken(&self, now: SystemTime) -> Result<()> {
        match self.end.filter(|end| end.left(now).is_none()) {
            None => Ok(()),
            Some(end) => Err(Error::forbidden(format!(
                "the time of this machine was over at {}: it takes no new containers and starts none",
                end.shown()
            ))),
        }
    }

    /// What a container changed, as a layer's archive. One that breaks off did not go well.
    pub(crate) async fn difference(&self, container: &Container) -> Result<Box<dyn std::io::Read + Send>> {
        self.world.ground.filesystems.difference(&container.id).await
    }

    /// Finds one by full id, name, or the beginning of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Container> {
        self.world.index.find(wanted)
    }

    pub(crate) fn all(&self) -> Vec<Container> {
        self.world.index.all()
    }

    /// Gives a container another name, which nobody may have.
    pub(crate) async fn rename(&self, wanted: &str, new: &str) -> Result<()> {
        let container = self.find(wanted)?;
        let old = container.snapshot().record.name.clone();
        let new = name::parse(new)?;
        if new == old {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        self.world.index.reserve(&new, &container.id)?;
        let renamed = container.rename(new.clone()).await;
        self.world.index.release(if renamed.is_ok() { &old } else { &new });
        renamed
    }

    /// Takes away the link of `parent` that is called `alias`.
    pub(crate) async fn unlink(&self, parent: &str, alias: &str) -> Result<()> {
        links::cut(&self.world, parent, alias).await
    }

    /// Removes every container that does not run and matches.
    pub(crate) async fn prune(&self, filter: &Filter) -> Result<PruneResponse> {
        let mut pruned = PruneResponse::default();
        for container in self.all() {
            let snapshot = container.snapshot();
            if snapshot.record.state.status.is_running() || !filter.keeps(&self.world, &snapshot) {
                continue;
            }
            let size = self.world.ground.filesystems.size(&container.id).await.unwrap_or(0);
            match container.remove(false, false).await {
                Ok(()) => {
                    pruned.containers_deleted.get_or_insert_default().push(container.id.clone());
                    pruned.space_reclaimed += size;
                }
                Err(error) => tracing::warn!(%error, container = container.id, "not pruned"),
            }
        }
        let reclaimed = pruned.space_reclaimed.to_string();
        self.world.events.publish(EventKind::Container, "prune", "", [("reclaimed", reclaimed)]);
        Ok(pruned)
    }

    /// Lets images, volumes and networks know who uses them.
    pub(crate) fn claim(&self, images: &Images, volumes: &Volumes, networks: &Networks) {
        networks.set_members(Arc::new(members::Roll(Arc::clone(&self.world))));
        let users = self.clone();
        volumes.in_use_by(move |volume| users.using_volume(volume));
        let world = Arc::downgrade(&self.world);
        images.in_use_by(move |image: &Digest| {
            let Some(world) = world.upgrade() else { return Vec::new() };
            let snapshots = world.index.all().into_iter().map(|container| container.snapshot());
            let mounts = |snapshot: &task::Snapshot| {
                let mut mounted = snapshot.record.mounts.iter().filter_map(|mount| mount.image.as_ref());
                mounted.any(|mounted| mounted.image == *image)
            };
            let using = snapshots.filter(|snapshot| snapshot.record.image == *image || mounts(snapshot));
            using
                .map(|snapshot| ContainerUse {
                    id: snapshot.record.id.clone(),
                    running: snapshot.record.state.status.is_running(),
                })
                .collect()
        });
    }

    /// How many run, are paused, and do neither.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for container in self.all() {
            match container.snapshot().record.state.status {
                record::Status::Paused => counts.1 += 1,
                status if status.is_running() => counts.0 += 1,
                _ => counts.2 += 1,
            }
        }
        counts
    }

    /// Which containers mount a volume, by id.
    pub(crate) fn using_volume(&self, volume: &str) -> Vec<String> {
        let uses = |container: &Container| {
            let snapshot = container.snapshot();
            let there = !snapshot.removed && snapshot.record.state.status != record::Status::Removing;
            there && snapshot.record.mounts.iter().any(|mount| mount.volume.as_deref() == Some(volume))
        };
        self.all().into_iter().filter(uses).map(|container| container.id).collect()
    }
}

fn look_at_host() -> Facts {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let limits = super::host::limits();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    Facts {
        bounds: Bounds::parse(&read("/proc/self/status")),
        ceilings: Ceilings::parse(
            &read("/proc/self/status"),
            &read("/proc/self/limits"),
            &read("/proc/self/oom_score_adj"),
        ),
        cgroup_version: limits.cgroup_version,
        limits,
        kernel: (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)),
        apparmor: crate::runtime::apparmor::is_on(),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
