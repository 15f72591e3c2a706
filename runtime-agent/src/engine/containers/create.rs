//! `create`: from a client's request to a record, a root filesystem and a task.

use std::sync::Arc;

use wharfd_api_types::container::{ContainerConfig, CreateRequest, CreateResponse, HostConfig};
use wharfd_api_types::network::EndpointSettings;

use super::container::Container;
use super::moment::Moment;
use super::mounts::{self, Mount, Settled};
use super::record::{ContainerRecord, State};
use super::task::{Snapshot, attributes};
use super::world::World;
use super::{check, fill, links, merge, name, place};
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::engine::images::Image;

/// Makes a container, or leaves nothing behind.
pub(super) async fn create(
    world: &Arc<World>,
    wanted: Option<&str>,
    request: CreateRequest,
) -> Result<CreateResponse> {
    if request == CreateRequest::default() {
        return Err(Error::invalid("Config cannot be empty in order to create a container"));
    }
    if request.config.image.is_empty() {
        return Err(Error::invalid("no image specified"));
    }
    let image = world.ground.images.resolve(&request.config.image)?;
    create_from(world, wanted, request, &image).await
}

/// The same once the image is known.
pub(super) async fn create_from(
    world: &Arc<World>,
    wanted: Option<&str>,
    request: CreateRequest,
    image: &Image,
) -> Result<CreateResponse> {
    // Most that are created are started at once.
    world.runtime.expect();
    let CreateRequest { mut config, mut host_config, networking_config } = request;
    merge::over_image(&mut config, &image.configuration.config)?;
    let warnings = check::check(&config, &host_config, &world.facts)?;
    let id = name::new_id()?;
    let endpoints =
        networks(world, &mut config, &mut host_config, networking_config.endpoints_config).await?;
    let links = links::take(world, &mut host_config)?;
    settle_defaults(&id, &mut config, &mut host_config, world)?;
    let wishes = mounts::wishes(&config, &host_config)?;
    let images = wishes.iter().filter(|wish| matches!(wish.source, mounts::Source::Image { .. })).count();
    let name = reserve(world, wanted, &id)?;
    let made = async {
        let ground = &world.ground;
        let mut settled =
            mounts::settle(wishes, &*ground.volumes, &*ground.images, world.shares.as_ref()).await?;
        borrow_mounts(world, &host_config, &mut settled)?;
        layer_images(world, &id, &mut settled).await?;
        let record = ContainerRecord {
            id: id.clone(),
            name: name.clone(),
            created: Moment::now(),
            image: image.id,
            config,
            host: host_config,
            endpoints,
            mounts: settled.mounts.clone(),
            links,
            state: State::default(),
        };
        establish(world, record, image, &settled).await
    };
    if let Err(error) = made.await {
        undo(world, &id, &name, images).await;
        return Err(error);
    }
    Ok(CreateResponse { id, warnings })
}

/// Disk first, then the list, then the event.
async fn establish(
    world: &Arc<World>,
    record: ContainerRecord,
    image: &Image,
    settled: &Settled,
) -> Result<()> {
    world.ground.filesystems.prepare(&record.id, image.layers()).await?;
    fill_volumes(world, &record.id, &settled.to_fill).await?;
    let folder = world.folder_of(&record.id);
    tokio::fs::create_dir_all(&folder)
        .await
        .map_err(|e| Error::internal(&format!("making {}", folder.display()), e))?;
    record.write(&folder).await?;
    let (id, told) = (record.id.clone(), attributes(&record));
    let snapshot = Snapshot { record, shim: None, rootfs: None, exits: 0, removed: false };
    world.index.insert(Container::spawn(world, snapshot));
    world.events.publish(EventKind::Container, "create", id, told);
    Ok(())
}

/// Each mounted image gets a writable layer of the container's own, which goes with it.
async fn layer_images(world: &World, id: &str, settled: &mut Settled) -> Result<()> {
    let mounted = settled.mounts.iter_mut().filter_map(|mount| mount.image.as_mut());
    for (number, mounted) in mounted.enumerate() {
        mounted.snapshot = place::held::snapshot(id, number);
        let image = world.ground.images.resolve(&mounted.image.to_string())?;
        world.ground.filesystems.prepare(&mounted.snapshot, image.layers()).await?;
    }
    Ok(())
}

async fn undo(world: &World, id: &str, name: &str, images: usize) {
    world.index.release(name);
    for number in 0..images {
        if let Err(error) = world.ground.filesystems.remove(&place::held::snapshot(id, number)).await {
            tracing::warn!(%error, container = id, "a failed create left an image's layer");
        }
    }
    let removed = world.ground.filesystems.remove(id).await;
    let folder = tokio::fs::remove_dir_all(world.folder_of(id)).await;
    match (removed, folder) {
        (Err(error), _) => tracing::warn!(%error, container = id, "a failed create left files"),
        (_, Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, container = id, "a failed create left files");
        }
        _ => {}
    }
}

fn reserve(world: &World, wanted: Option<&str>, id: &str) -> Result<String> {
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
        let name = name::parse(wanted)?;
        world.index.reserve(&name, id)?;
        return Ok(name);
    }
    // Somebody may take a free name in between.
    loop {
        let name = name::generate(|name| world.index.is_taken(name))?;
        if world.index.reserve(&name, id).is_ok() {
            return Ok(name);
        }
    }
}

/// What inspect shows instead of the client's blanks, as dockerd does.
fn settle_defaults(
    id: &str,
    config: &mut ContainerConfig,
    host: &mut HostConfig,
    world: &World,
) -> Result<()> {
    if let Some(other) = host.network_mode.strip_prefix("container:") {
        let other = world.index.find(other)?;
        config.hostname.clone_from(&other.snapshot().record.config.hostname);
        host.network_mode = format!("container:{}", other.id);
    } else if config.hostname.is_empty() {
        config.hostname = match (host.network_mode.as_str(), host.uts_mode.as_str()) {
            ("host", _) | (_, "host") => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            _ => id[..12].to_owned(),
        };
    }
    for mode in [&host.pid_mode, &host.ipc_mode] {
        if let Some(other) = mode.strip_prefix("container:") {
            world.index.find(other).map_err(|error| Error::invalid(error.to_string()).caused_by(error))?;
        }
    }
    let either = |value: &mut String, default: &str| {
        if value.is_empty() {
            default.clone_into(value);
        }
    };
    either(&mut host.log_config.kind, "json-file");
    either(&mut host.restart_policy.name, "no");
    either(&mut host.ipc_mode, "private");
    let private = world.facts.cgroup_version == 2 && !host.privileged;
    either(&mut host.cgroupns_mode, if private { "private" } else { "host" });
    either(&mut host.runtime, "wharf");
    if host.shm_size == 0 {
        host.shm_size = 64 << 20;
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if world.facts.cgroup_version == 1 {
        host.oom_kill_disable = Some(host.oom_kill_disable == Some(true));
    }
    host.memory_swappiness = host.memory_swappiness.filter(|value| *value >= 0);
    host.pids_limit = host.pids_limit.filter(|limit| *limit > 0);
    config.labels.retain(|key, _| !key.is_empty());
    Ok(())
}

/// The mode names the first network; further ones come from the endpoints.
async fn networks(
    world: &World,
    config: &mut ContainerConfig,
    host: &mut HostConfig,
    wanted: std::collections::BTreeMap<String, Option<EndpointSettings>>,
) -> Result<Vec<(String, EndpointSettings)>> {
    if matches!(host.network_mode.as_str(), "" | "default") {
        "bridge".clone_into(&mut host.network_mode);
    }
    let mode = host.network_mode.clone();
    if mode.starts_with("container:") {
        if !host.port_bindings.is_empty() || host.publish_all_ports {
            return Err(Error::invalid(
                "conflicting options: port publishing and the container type network mode",
            ));
        }
        return Ok(Vec::new());
    }
    let real_name = |name: String| if name == "default" { mode.clone() } else { name };
    let mut endpoints: Vec<(String, EndpointSettings)> =
        wanted.into_iter().map(|(name, settings)| (real_name(name), settings.unwrap_or_default())).collect();
    if !endpoints.iter().any(|(name, _)| *name == mode) {
        endpoints.push((mode.clone(), EndpointSettings::default()));
    }
    endpoints.sort_by_key(|(name, settings)| (*name != mode, -settings.gw_priority));
    if let Some((_, first)) = endpoints.first_mut().filter(|(_, first)| first.mac_address.is_empty()) {
        first.mac_address = std::mem::take(&mut config.mac_address);
    }
    for (name, _) in endpoints.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "none")) {
        world.ground.connections.identify(name).await?;
    }
    Ok(endpoints)
}

/// `--volumes-from`: the other's mounts, unless there is one at that place already.
fn borrow_mounts(world: &World, host: &HostConfig, settled: &mut Settled) -> Result<()> {
    for source in host.volumes_from.iter().flatten() {
        let (other, mode) = source.split_once(':').unwrap_or((source, ""));
        if !matches!(mode, "" | "ro" | "rw" | "z" | "Z") {
            return Err(Error::invalid(format!("invalid mode for volumes-from: {mode}")));
        }
        let snapshot = world.index.find(other)?.snapshot();
        for mount in snapshot.record.mounts.iter().filter(|mount| mount.image.is_none()) {
            if settled.mounts.iter().all(|have| have.destination != mount.destination) {
                let read_only = mount.read_only || mode == "ro";
                settled.mounts.push(Mount { read_only, anonymous: false, ..mount.clone() });
            }
        }
    }
    Ok(())
}

async fn fill_volumes(world: &World, id: &str, volumes: &[Mount]) -> Result<()> {
    if volumes.is_empty() {
        return Ok(());
    }
    let rootfs = world.ground.filesystems.mount(id).await?;
    let mut filled = Ok(());
    for volume in volumes {
        let (rootfs, place, target) = (rootfs.clone(), volume.destination.clone(), volume.source.clone());
        filled = place::blocking("copying the image's files into a volume", move || {
            fill::fill(&rootfs, &place, &target)
        })
        .await;
        if filled.is_err() {
            break;
        }
    }
    world.ground.filesystems.unmount(id).await?;
    filled
}
