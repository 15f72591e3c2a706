//! Volumes: named folders that outlive containers.
//!
//! ```text
//! <data-root>/volumes/<name>/volume.json   what it is
//! <data-root>/volumes/<name>/_data         what is in it, or where its device is mounted while it is used
//! ```
//! A volume is there when its record is: a folder without one is half made or half removed, and swept at start.

mod mount;
mod name;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use wharfd_api_types::Filters;
use wharfd_api_types::volume::{Volume as Wire, VolumeCreateRequest, VolumesPruned};

use crate::config::Config;
use crate::engine::error::{Error, Result};
use crate::engine::events::{EventKind, Events};
use crate::store::record;

/// The label that says that nobody chose the name, so that `prune` may take it.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The volumes of this engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Volumes {
    shared: Arc<Shared>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) mountpoint: PathBuf,
    record: Record,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    created: String,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
}

impl record::Record for Record {
    const VERSION: u32 = 1;
}

struct Shared {
    root: PathBuf,
    events: Events,
    users: OnceLock<Users>,
    /// Held while volumes are made, mounted or removed.
    volumes: Mutex<BTreeMap<String, Volume>>,
}

/// Tells the ids of the containers that mount a volume, stopped ones included.
type Users = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

impl Volumes {
    /// Opens the volumes under the data root.
    pub(crate) async fn open(config: &Config, events: Events) -> Result<Self> {
        let root = config.data_root.join("volumes");
        tokio::task::spawn_blocking(move || Self::open_at(root, events))
            .await
            .map_err(|e| Error::internal("opening the volumes", e))?
    }

    fn open_at(root: PathBuf, events: Events) -> Result<Self> {
        let volumes = load(&root).map_err(|e| Error::internal("opening the volumes", e))?;
        let shared = Shared { root, events, users: OnceLock::new(), volumes: Mutex::new(volumes) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Says once how to find the containers that mount a volume, so that volumes in use are not removed.
    pub(crate) fn in_use_by(&self, users: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) {
        // A second caller would be a mistake in the engine's wiring; the first answer stays.
        let _ = self.shared.users.set(Box::new(users));
    }

    /// Makes a volume, or finds the one of that name. Without a name it is anonymous.
    pub(crate) fn create(&self, request: VolumeCreateRequest) -> Result<Volume> {
        if !matches!(request.driver.as_str(), "" | "local") {
            return Err(Error::not_found(format!(
                "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found",
                name = request.name,
                driver = request.driver
            )));
        }
        let mut labels = request.labels;
        let name = if request.name.is_empty() {
            labels.get_or_insert_default().insert(ANONYMOUS.to_owned(), String::new());
            name::random().map_err(|e| Error::internal("naming a volume", e))?
        } else {
            name::check(&request.name)?;
            request.name
        };
        if let Some(options) = &request.driver_opts {
            mount::check(options).map_err(|why| Error::invalid(format!("create {name}: {why}")))?;
        }
        let mut volumes = self.volumes();
        if let Some(volume) = volumes.get(&name) {
            return Ok(volume.clone());
        }
        let record = Record { created: now(), labels, options: request.driver_opts };
        let volume = make(&self.shared.root, &name, record)
            .map_err(|e| Error::internal(&format!("create {name}"), e))?;
        volumes.insert(name.clone(), volume.clone());
        drop(volumes);
        self.tell("create", &name);
        Ok(volume)
    }

    /// The volume of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Volume> {
        let missing = || Error::not_found(format!("get {name}: no such volume"));
        self.volumes().get(name).cloned().ok_or_else(missing)
    }

    /// Makes its content appear at its mount point, where it has a device of its own, until the volume is removed.
    /// Repeating it changes nothing.
    pub(crate) fn mount(&self, name: &str) -> Result<PathBuf> {
        let volume = self.find(name)?;
        let _held = self.volumes();
        mount::mount(&volume)
            .map_err(|e| Error::internal(&format!("error while mounting volume '{name}'"), e))?;
        Ok(volume.mountpoint)
    }

    /// Removes a volume with everything in it. With `force`, being gone already is success.
    pub(crate) fn remove(&self, name: &str, force: bool) -> Result<()> {
        let mut volumes = self.volumes();
        let Some(volume) = volumes.get(name) else {
            return if force { Ok(()) } else { Err(Error::not_found(format!("get {name}: no such volume"))) };
        };
        let users = self.users(name);
        if !users.is_empty() {
            let users = users.join(", ");
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
        }
        let removed = mount::unmount(volume).and_then(|()| unmake(&self.shared.root, name));
        removed.map_err(|e| Error::internal(&format!("remove {name}"), e))?;
        volumes.remove(name);
        drop(volumes);
        self.tell("destroy", name);
        Ok(())
    }

    /// The volumes that match, by name.
    pub(crate) fn list(&self, filters: &Filters) -> Result<Vec<Volume>> {
        filters.only(&["dangling", "driver", "label", "name"]).map_err(Error::invalid)?;
        let dangling = match filters.get("dangling") {
            [] => None,
            [one] => {
                Some(truth(one).ok_or_else(|| Error::invalid(format!("invalid filter 'dangling=[{one}]'")))?)
            }
            many => return Err(Error::invalid(format!("invalid filter 'dangling=[{}]'", many.join(" ")))),
        };
        let volumes: Vec<Volume> = self.volumes().values().cloned().collect();
        let matches = |volume: &Volume| {
            filters.all("name", |wanted| volume.name.contains(wanted))
                && filters.all("driver", |wanted| wanted == "local")
                && filters.get("label").iter().all(|wanted| labelled(volume, wanted))
                && dangling.is_none_or(|dangling| self.users(&volume.name).is_empty() == dangling)
        };
        Ok(volumes.into_iter().filter(matches).collect())
    }

    /// Removes what no container mounts: anonymous ones only, unless the filters say `all`.
    pub(crate) fn prune(&self, filters: &Filters, all_by_default: bool) -> Result<VolumesPruned> {
        filters.only(&["all", "label", "label!"]).map_err(Error::invalid)?;
        let all = match filters.get("all") {
            [] => all_by_default,
            values => values.iter().any(|value| truth(value) == Some(true)),
        };
        let unused = self.list(&Filters::default())?.into_iter().filter(|volume| {
            (all || labelled(volume, ANONYMOUS))
                && filters.get("label").iter().all(|wanted| labelled(volume, wanted))
                && !filters.get("label!").iter().any(|unwanted| labelled(volume, unwanted))
                && self.users(&volume.name).is_empty()
        });
        let mut pruned = VolumesPruned::default();
        for volume in unused {
            let size = volume.size();
            match self.remove(&volume.name, false) {
                Ok(()) => {
                    pruned.space_reclaimed += size;
                    pruned.volumes_deleted.push(volume.name);
                }
                // A container took it meanwhile: then it isn't unused any more.
                Err(error) => tracing::debug!(%error, "a volume stays"),
            }
        }
        let reclaimed = pruned.space_reclaimed.to_string();
        self.shared.events.publish(EventKind::Volume, "prune", "", [("reclaimed", reclaimed)]);
        Ok(pruned)
    }

    fn users(&self, name: &str) -> Vec<String> {
        self.shared.users.get().map(|users| users(name)).unwrap_or_default()
    }

    fn tell(&self, action: &str, name: &str) {
        self.shared.events.publish(EventKind::Volume, action, name, [("driver", "local")]);
    }

    fn volumes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Volume>> {
        self.shared.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Volume {
    /// As the API shows it.
    pub(crate) fn to_wire(&self) -> Wire {
        Wire {
            created_at: self.record.created.clone(),
            driver: "local".to_owned(),
            labels: self.record.labels.clone(),
            mountpoint: self.mountpoint.to_string_lossy().into_owned(),
            name: self.name.clone(),
            options: self.record.options.clone(),
            scope: "local".to_owned(),
            usage_data: None,
        }
    }

    /// Bytes in it, links counted once and other file systems not at all.
    pub(crate) fn size(&self) -> u64 {
        if mount::has_device(self) { 0 } else { size_of(&self.mountpoint) }
    }

    /// The device, type and options of a volume that has its own file system.
    pub(crate) fn options(&self) -> Option<&BTreeMap<String, String>> {
        self.record.options.as_ref().filter(|options| !options.is_empty())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volumes").field("root", &self.root).finish_non_exhaustive()
    }
}

fn load(root: &Path) -> Result<BTreeMap<String, Volume>, crate::store::Error> {
    use crate::store::Error as StoreError;
    private_folder(root).map_err(StoreError::io("make", root))?;
    let mut volumes = BTreeMap::new();
    for entry in std::fs::read_dir(root).map_err(StoreError::io("list", root))? {
        let entry = entry.map_err(StoreError::io("list", root))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match record::read::<Record>(&entry.path().join("volume.json"))? {
            Some(record) => {
                let mountpoint = entry.path().join("_data");
                volumes.insert(name.clone(), Volume { name, mountpoint, record });
            }
            // Its removal was under way: the record goes first.
            None => remove_folder(&entry.path())?,
        }
    }
    Ok(volumes)
}

fn make(root: &Path, name: &str, record: Record) -> Result<Volume, crate::store::Error> {
    use crate::store::Error as StoreError;
    let folder = root.join(name);
    let mountpoint = folder.join("_data");
    private_folder(&folder).map_err(StoreError::io("make", &folder))?;
    std::fs::create_dir_all(&mountpoint).map_err(StoreError::io("make", &mountpoint))?;
    record::write(&folder.join("volume.json"), &record)?;
    Ok(Volume { name: name.to_owned(), mountpoint, record })
}

fn unmake(root: &Path, name: &str) -> Result<(), crate::store::Error> {
    let folder = root.join(name);
    record::remove(&folder.join("volume.json"))?;
    remove_folder(&folder)
}

fn remove_folder(folder: &Path) -> Result<(), crate::store::Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(crate::store::Error::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o701).create(path)
}

fn size_of(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut seen = std::collections::HashSet::new();
    let mut left = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = left.pop() {
        // A file that vanishes while it is counted needs no count.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.path().symlink_metadata() else { continue };
            if about.is_dir() {
                left.push(entry.path());
            } else if about.nlink() == 1 || seen.insert((about.dev(), about.ino())) {
                bytes += about.len();
            }
        }
    }
    bytes
}

fn labelled(volume: &Volume, wanted: &str) -> bool {
    let labels = volume.record.labels.as_ref();
    match wanted.split_once('=') {
        Some((key, value)) => labels.and_then(|labels| labels.get(key)).is_some_and(|found| found == value),
        None => labels.is_some_and(|labels| labels.contains_key(wanted)),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "True" | "TRUE" | "t" => Some(true),
        "0" | "false" | "False" | "FALSE" | "f" => Some(false),
        _ => None,
    }
}

/// RFC 3339 in whole seconds, as dockerd shows volumes.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or_else(|e| {
        // Zero is always in range.
        tracing::debug!(%e, "a whole second could not be had");
        time::OffsetDateTime::now_utc()
    });
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
