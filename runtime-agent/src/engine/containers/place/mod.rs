//! Where a container is put: looked up on the host and in its root filesystem, at each start.

pub(super) mod devices;
pub(super) mod files;
pub(in crate::engine) mod held;
pub(super) mod network;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use wharfd_api_types::container::HostConfig;
use wharfd_api_types::exec::ExecCreateRequest;

use super::inside::Inside;
use super::record::ContainerRecord;
use super::spec::{self, Blueprint, Namespace, Security};
use super::user::{Accounts, Identity};
use super::world::World;
use crate::engine::error::{Error, Kind, Result};
use crate::runtime::apparmor;

/// The specification of a container that is about to start.
pub(super) async fn specification(
    world: &World,
    record: &ContainerRecord,
    rootfs: &Path,
    network: Namespace,
    files: Vec<(PathBuf, &'static str)>,
    held: &held::Held,
    linked: Vec<String>,
) -> Result<Spec> {
    let identity = settle_inside(record, rootfs).await?;
    know_profile(world, &record.host).await?;
    let devices = devices::wanted(&record.host)?;
    let pid = process_namespace(world, &record.host.pid_mode, "pid")?;
    let ipc = process_namespace(world, &record.host.ipc_mode, "ipc")?;
    spec::assemble(&Blueprint {
        id: &record.id,
        config: &record.config,
        host: &record.host,
        mounts: &held.mounts,
        identity,
        command: record.command(),
        linked,
        files,
        network,
        pid,
        ipc,
        shared_memory: held.shared_memory.as_deref(),
        devices,
        facts: &world.facts,
    })
}

/// The process of an exec in a running container.
pub(crate) async fn exec_process(
    world: &World,
    record: &ContainerRecord,
    rootfs: &Path,
    request: &ExecCreateRequest,
) -> Result<Process> {
    let user = if request.user.is_empty() { &record.config.user } else { &request.user };
    let identity = identify(rootfs, user, record).await?;
    know_profile(world, &record.host).await?;
    let blueprint = Blueprint {
        id: &record.id,
        config: &record.config,
        host: &record.host,
        mounts: &record.mounts,
        identity,
        command: Vec::new(),
        linked: super::links::told(world, record).map(|told| told.environment).unwrap_or_default(),
        files: Vec::new(),
        network: Namespace::Private,
        pid: Namespace::Private,
        ipc: Namespace::Private,
        shared_memory: None,
        devices: Vec::new(),
        facts: &world.facts,
    };
    spec::exec(&blueprint, request)
}

/// Has the kernel know the AppArmor profile, where that is the engine's business.
async fn know_profile(world: &World, host: &HostConfig) -> Result<()> {
    if Security::parse(host)?.apparmor(world.facts.apparmor)? != Some(apparmor::DEFAULT) {
        return Ok(());
    }
    let loaded = apparmor::load_default().await;
    let failed = |why| {
        format!(
            "AppArmor is enabled on this host, but the profile {} could not be loaded: {why}",
            apparmor::DEFAULT
        )
    };
    loaded.map_err(|why| Error::new(Kind::Internal, failed(why)))
}

/// Makes the working folder, and looks the user up.
async fn settle_inside(record: &ContainerRecord, rootfs: &Path) -> Result<Identity> {
    let folder = record.config.working_dir.clone();
    let root = rootfs.to_owned();
    if !folder.is_empty() {
        blocking("making the working directory", move || {
            Inside::open(&root)?.make_folder(Path::new(&folder)).map(drop)
        })
        .await?;
    }
    identify(rootfs, &record.config.user, record).await
}

pub(super) async fn identify(rootfs: &Path, user: &str, record: &ContainerRecord) -> Result<Identity> {
    let root = rootfs.to_owned();
    let accounts = blocking("reading the container's accounts", move || {
        let inside = Inside::open(&root)?;
        // An image whose file leads nowhere has no accounts.
        let read = |path| inside.read(path).unwrap_or_default();
        Ok(Accounts { passwd: read("/etc/passwd"), group: read("/etc/group") })
    })
    .await?;
    accounts.resolve(user, record.host.group_add.as_deref().unwrap_or_default())
}

/// `host`, another container's, or one of its own.
fn process_namespace(world: &World, mode: &str, kind: &str) -> Result<Namespace> {
    match mode.split_once(':') {
        Some(("container", other)) => {
            let pid = world.index.running_pid(other)?;
            Ok(Namespace::Path(format!("/proc/{pid}/ns/{kind}").into()))
        }
        _ if mode == "host" => Ok(Namespace::Host),
        _ => Ok(Namespace::Private),
    }
}

/// Runs what touches the disk off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::internal(doing, e))?
        .map_err(|e| Error::internal(doing, e))
}
