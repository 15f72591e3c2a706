//! The driver's verbs. Each reads what is there and converges; what is there stands in the machine's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use wharf_driver::{
    About, Access, Capabilities, Context, Driver, Error, Found, Kind, Known, MachineSpec, Observation, Owned,
    OwnerTag, Plan, Power, Reach, Result, Seed, Settles, State, Step, StillPaid, Verb, resource_name,
};

use crate::action::{Action, Boot, Disk, Vm};
use crate::cloud_image;
use crate::config::Config;
use crate::folder::{DiskRecord, Folder, Phase, VmRecord, name};
use crate::launch::{self, failed};
use crate::resource::Resource;
use crate::share::{self, Share};
use crate::{accelerate, image};

/// A virtual machine on this computer.
///
/// Killed at any moment, by anybody, it leaves nothing that `destroy` does not find: a record is written before what
/// it stands for, and a process is known by a lock that only its end frees.
#[derive(Debug)]
pub struct Local {
    config: Config,
}

const LONGEST_NAME: usize = 63;
/// Less room than this on the disk of this computer, and the machine would stop while it is being made.
const ROOM: u64 = 512 << 20;

impl Driver for Local {
    const ABOUT: About = About {
        name: "local",
        aliases: &["qemu"],
        summary: "a virtual machine on this computer, run by QEMU without root",
        capabilities: Capabilities {
            power: true,
            adopts: false,
            provisions: true,
            takes_host_key: true,
            console: true,
            address_changes: true,
            still_paid: StillPaid::NOTHING,
        },
        version: 1,
        settles: Settles::AtOnce,
    };
    type Config = Config;
    type Action = Action;
    type Resource = Resource;

    async fn connect(config: Config, _cx: &Context) -> Result<Self> {
        Ok(Self::new(config))
    }

    async fn plan(
        &self,
        spec: &MachineSpec,
        now: Option<&Observation>,
        cx: &Context,
    ) -> Result<Plan<Action>> {
        if now.is_some_and(|now| !matches!(now.state, State::Absent | State::Partial)) {
            return Ok(Plan { steps: Vec::new() });
        }
        let folder =
            std::path::absolute(&cx.places.machine).map_err(|error| failed("no such folder", error))?;
        self.check_qemu().await?;
        check_room(&folder)?;
        let config = &self.config;
        // Fully resolved: whoever continues may stand in another folder.
        let absolute =
            |path: &PathBuf| std::path::absolute(path).map_err(|error| failed("no such file", error));
        let base = config.image.as_ref().map(absolute).transpose()?;
        let image = match &base {
            Some(base) => {
                cloud_image::check(base, config.disk_gib)?;
                cloud_image::check_program().await?;
                None
            }
            None => Some(image::find(config.image_dir.as_deref().ok_or_else(image::unnamed)?)?),
        };
        let accelerator = match config.accelerator {
            Some(chosen) => chosen,
            // A cloud image says nothing of itself: our own guest is what it is tried with, where there is one.
            None if image.is_none() => {
                let guest = config.image_dir.as_deref().and_then(|folder| image::find(folder).ok());
                accelerate::choose(config, guest.as_ref(), cx).await
            }
            None => accelerate::choose(config, image.as_ref(), cx).await,
        };
        let shares = self.shares().await?;
        let virtiofsd = match shares.is_empty() {
            true => None,
            false => config.virtiofsd.choose(&config.qemu).await?,
        };
        let resource = |kind| resource_name(&spec.name, &spec.id, kind, LONGEST_NAME);
        let disk = Disk { folder: folder.clone(), name: resource("disk"), size_gib: config.disk_gib, base };
        let vm = Vm {
            folder,
            name: resource("vm"),
            qemu: config.qemu.clone(),
            accelerator,
            cpus: config.cpus,
            memory_mib: config.memory_mib,
            boot: match image {
                Some(image) => Boot::Guest { image: image.folder, inputs: image.inputs },
                None => Boot::Disk,
            },
            engine_port: spec.engine_port,
            offline: config.offline,
            shares: Some(shares),
            virtiofsd,
        };
        Ok(Plan { steps: vec![disk_step(disk), vm_step(vm)] })
    }

    async fn perform(&self, action: &Action, _made: &[Resource], cx: &Context) -> Result<Resource> {
        launch::check(cx)?;
        match action {
            Action::Disk(disk) => make_disk(disk, cx).await,
            Action::Vm(vm) => make_vm(vm, cx).await,
        }
    }

    async fn settle(&self, action: &Action, cx: &Context) -> Result<Option<Resource>> {
        match action {
            Action::Disk(disk) => {
                let folder = Folder::at(&disk.folder);
                let record: Option<DiskRecord> = read(&folder, name::DISK_RECORD)?;
                Ok(record.filter(|record| record.key == cx.key).map(|record| record.resource()))
            }
            Action::Vm(vm) => {
                let folder = Folder::at(&vm.folder);
                let record: Option<VmRecord> = read(&folder, name::VM_RECORD)?;
                record.filter(|record| record.key == cx.key).map(|record| record.resource()).transpose()
            }
        }
    }

    async fn observe(&self, machines: &[Known<'_, Resource>], cx: &Context) -> Result<Vec<Observation>> {
        let mut observations = Vec::with_capacity(machines.len());
        for known in machines {
            observations.push(observe(known.made, cx).await?);
        }
        Ok(observations)
    }

    async fn power(&self, made: &[Resource], to: Power, cx: &Context) -> Result<()> {
        let vm = made.iter().find(|resource| matches!(resource, Resource::Vm { .. }));
        let Some(Resource::Vm { folder, ssh_port, engine_port, .. }) = vm else {
            return Err(Error::new(Kind::Refused, "the machine is not finished")
                .hint("run `create` again to finish it, or `rm` to remove it"));
        };
        let folder = Folder::at(folder);
        let Some(record) = read::<VmRecord>(&folder, name::VM_RECORD)? else {
            return Err(Error::new(Kind::Failed, "the machine's files are gone")
                .fact("folder", folder.path().display().to_string()));
        };
        if matches!(to, Power::Off | Power::Restart) {
            launch::stop(&folder, true, cx).await?;
        }
        if to == Power::Kill {
            launch::stop(&folder, false, cx).await?;
        }
        if matches!(to, Power::On | Power::Restart) {
            remember_ports(&folder, *ssh_port, *engine_port)?;
            launch::start(&folder, record.vm.boot.says_when_ready(), cx).await?;
        }
        Ok(())
    }

    async fn destroy(&self, resource: &Resource, cx: &Context) -> Result<()> {
        let folder = Folder::at(resource.folder());
        if !folder.path().exists() {
            return Ok(());
        }
        let cannot = |error| failed("the machine's files cannot be removed", error);
        folder.remove(name::VM_RECORD).map_err(cannot)?;
        launch::end(&folder, cx).await?;
        match resource {
            Resource::Vm { .. } => {
                Folder::at(folder.file(name::SEED_FOLDER)).remove_all().map_err(cannot)?;
                name::OF_VM.iter().try_for_each(|file| folder.remove(file)).map_err(cannot)
            }
            Resource::Disk { .. } => folder.remove_all().map_err(cannot),
        }
    }

    async fn find_owned(&self, cx: &Context) -> Result<Found<Resource>> {
        let nothing = Found::nothing(cx.session.clock().wall());
        // Machines lie beside each other: <machines>/<name>/<this driver's folder>.
        let own = &cx.places.machine;
        let (Some(machines), Some(part)) = (own.parent().and_then(Path::parent), own.file_name()) else {
            return Ok(nothing);
        };
        let folders = fs::read_dir(machines).into_iter().flatten().flatten();
        let owned = folders.flat_map(|entry| owned(&Folder::at(entry.path().join(part)))).collect();
        Ok(Found { owned, ..nothing })
    }

    async fn console(&self, made: &[Resource], _cx: &Context) -> Result<Option<String>> {
        let Some(resource) = made.first() else { return Ok(None) };
        Ok(crate::folder::tail(&resource.folder().join(name::CONSOLE), 16 << 10).ok())
    }
}

impl Local {
    /// The driver with this configuration. Nothing is looked at before `plan`.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config }
    }

    /// The folders that can be shared. What nobody asked for is left out where it cannot.
    async fn shares(&self) -> Result<Vec<Share>> {
        let shares = share::that_are_there(&self.config.mounts)?;
        if shares.is_empty() {
            return Ok(shares);
        }
        let qemu = &self.config.qemu;
        let mut asked = tokio::process::Command::new(qemu);
        asked.args(["-device", "virtio-9p-pci,help"]).kill_on_drop(true);
        if asked.output().await.is_ok_and(|output| output.status.success()) {
            return Ok(shares);
        }
        if shares.iter().all(|share| share.home) {
            return Ok(Vec::new());
        }
        let why = format!("this QEMU (`{}`) has no 9p, by which folders are shared", qemu.display());
        Err(Error::new(Kind::Refused, why)
            .hint("use `--local-mount none`, or name another with --local-qemu"))
    }

    async fn check_qemu(&self) -> Result<()> {
        let qemu = &self.config.qemu;
        let answer = tokio::process::Command::new(qemu).arg("--version").kill_on_drop(true).output().await;
        let refused = |why: String| {
            Error::new(Kind::Refused, format!("QEMU (`{}`) cannot be used: {why}", qemu.display())).hint(
                "install it (Debian and Ubuntu: qemu-system-x86; Fedora: qemu-system-x86-core; macOS: brew install \
                 qemu), or name it with --local-qemu",
            )
        };
        match answer {
            Err(error) => Err(refused(error.to_string())),
            Ok(output) if !output.status.success() => Err(refused(output.status.to_string())),
            Ok(_) => Ok(()),
        }
    }
}

fn disk_step(disk: Disk) -> Step<Action> {
    let what = match &disk.base {
        Some(base) => format!("from {}", base.display()),
        None => "empty".to_owned(),
    };
    Step {
        verb: Verb::Create,
        name: disk.name.clone(),
        summary: format!("make a disk of up to {} GiB, {what}", disk.size_gib),
        action: Action::Disk(disk),
        after: Vec::new(),
        shared: false,
    }
}

fn vm_step(vm: Vm) -> Step<Action> {
    let shares = share::described(vm.shares.as_deref().unwrap_or_default());
    let sees = if shares.is_empty() { String::new() } else { format!(", which sees {shares}") };
    Step {
        verb: Verb::Create,
        name: vm.name.clone(),
        summary: format!(
            "boot a virtual machine with {} processors and {} MiB of memory ({}){sees}",
            vm.cpus,
            vm.memory_mib,
            vm.accelerator.as_str()
        ),
        action: Action::Vm(Box::new(vm)),
        after: vec![0],
        shared: false,
    }
}

async fn make_disk(disk: &Disk, cx: &Context) -> Result<Resource> {
    let folder = Folder::at(&disk.folder);
    let cannot = |error| failed("the disk cannot be made", error);
    folder.create().map_err(cannot)?;
    if let Some(record) = read::<DiskRecord>(&folder, name::DISK_RECORD)? {
        check_owner(&record.owner, cx, &folder)?;
    }
    let record = DiskRecord { version: 1, key: cx.key.clone(), owner: cx.owner.clone(), disk: disk.clone() };
    folder.write(name::DISK_RECORD, &record).map_err(cannot)?;
    if !folder.file(name::DISK).exists() {
        let size = u64::from(disk.size_gib) << 30;
        let temporary = folder.file(".disk.new");
        match &disk.base {
            None => make_empty(&temporary, size).map_err(cannot)?,
            Some(base) => cloud_image::copy(base, &temporary, size).await?,
        }
        fs::rename(&temporary, folder.file(name::DISK)).and_then(|()| folder.sync()).map_err(cannot)?;
    }
    Ok(record.resource())
}

/// A file that takes no room before it is written to.
fn make_empty(path: &Path, size: u64) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_len(size)?;
    file.sync_all()
}

async fn make_vm(vm: &Vm, cx: &Context) -> Result<Resource> {
    let mut vm = vm.clone();
    let folder = Folder::at(&vm.folder);
    let cannot = |error| failed("the machine's files cannot be written", error);
    folder.create().map_err(cannot)?;
    if let Some(record) = read::<VmRecord>(&folder, name::VM_RECORD)? {
        check_owner(&record.owner, cx, &folder)?;
    }
    let seed = cx
        .seed
        .as_deref()
        .ok_or_else(|| Error::new(Kind::Refused, "a machine cannot be born without a seed"))?;
    let user = match &vm.boot {
        Boot::Guest { image, .. } => {
            for part in [name::KERNEL, name::INITRAMFS] {
                copy(image, &folder, part).map_err(cannot)?;
            }
            write_seed(&folder, seed, &vm).map_err(cannot)?;
            "root".to_owned()
        }
        Boot::Disk => {
            if let Some(shares) = &mut vm.shares {
                *shares = share::beside_home_of(&seed.user, shares)?;
            }
            let shares = vm.shares.as_deref();
            cloud_image::write_seed(&folder, seed, &cx.owner, shares).map_err(cannot)?;
            seed.user.clone()
        }
    };
    let record = VmRecord { version: 1, key: cx.key.clone(), owner: cx.owner.clone(), vm, user };
    folder.write(name::VM_RECORD, &record).map_err(cannot)?;
    launch::start(&folder, record.vm.boot.says_when_ready(), cx).await?;
    record.resource()
}

/// A machine keeps its own copy: the image's folder may be cleared at any time.
fn copy(image: &Path, folder: &Folder, part: &str) -> io::Result<()> {
    let temporary = folder.file(&format!(".{part}.new"));
    fs::copy(image.join(part), &temporary)?;
    fs::rename(temporary, folder.file(part))
}

/// Stays in the folder, mode 0600, since the guest asks for it at every boot.
fn write_seed(folder: &Folder, seed: &Seed, vm: &Vm) -> io::Result<()> {
    if let Some(shares) = &vm.shares {
        folder.replace(name::SEED_SHARES, share::listed(shares).as_bytes())?;
    }
    folder.replace(name::SEED_HOST_NAME, seed.host_name.as_bytes())?;
    folder.replace(name::SEED_AUTHORIZED_KEY, seed.authorized_key.as_bytes())?;
    folder.replace(name::SEED_HOST_KEY, seed.host_key.expose().as_bytes())
}

/// A start asks for the ports of the journal, should the last run's be forgotten.
fn remember_ports(folder: &Folder, ssh_port: u16, engine_port: u16) -> Result<()> {
    let mut status = launch::status(folder).unwrap_or_default();
    if status.ssh_port == 0 || status.engine_port == 0 {
        (status.ssh_port, status.engine_port) = (ssh_port, engine_port);
        folder
            .write(name::STATUS, &status)
            .map_err(|error| failed("the machine's state cannot be written", error))?;
    }
    Ok(())
}

async fn observe(made: &[Resource], cx: &Context) -> Result<Observation> {
    let nothing = |state| Observation { state, reach: None, warnings: Vec::new() };
    let Some(folder) = made.first().map(|resource| Folder::at(resource.folder())) else {
        return Ok(nothing(State::Absent));
    };
    let Some(record) = read::<VmRecord>(&folder, name::VM_RECORD)? else {
        let disk = folder.file(name::DISK_RECORD).exists();
        return Ok(nothing(if disk { State::Partial } else { State::Absent }));
    };
    if !folder.is_locked(name::QEMU_LOCK) {
        return Ok(nothing(State::Stopped));
    }
    // The one who looked after it was killed: whoever comes next sees to that.
    launch::look_after(&folder, cx).await?;
    let status = launch::status(&folder)?;
    let state = match status.phase {
        Phase::Starting if record.vm.boot.says_when_ready() => State::Starting,
        Phase::Stopping => State::Stopping,
        Phase::Starting | Phase::Running => State::Running,
        Phase::Stopped => State::Stopped,
    };
    let reach = (status.ssh_port != 0).then(|| Reach {
        ssh_host: "127.0.0.1".to_owned(),
        ssh_port: status.ssh_port,
        ssh_user: record.user.clone(),
        engine_host: "127.0.0.1".to_owned(),
        engine_port: status.engine_port,
        url: None,
        access: Access::default(),
    });
    Ok(Observation { state, reach, warnings: status.warnings })
}

/// What stands in a machine's folder, the machine before its disk.
fn owned(folder: &Folder) -> Vec<Owned<Resource>> {
    let disk = read::<DiskRecord>(folder, name::DISK_RECORD).ok().flatten();
    let vm = read::<VmRecord>(folder, name::VM_RECORD).ok().flatten();
    let vm = vm.and_then(|record| Some((record.resource().ok()?, "virtual machine", record.owner)));
    let disk = disk.map(|record| (record.resource(), "disk", record.owner));
    let parts = vm.into_iter().chain(disk).zip(0..);
    let one = |((resource, kind, tag), stage): ((Resource, &'static str, OwnerTag), u8)| {
        let name = resource.name().to_owned();
        let since = UNIX_EPOCH + Duration::from_secs(tag.made);
        Owned {
            resource,
            kind,
            step: name.clone(),
            name,
            shared: false,
            stage,
            tag,
            lacks: Vec::new(),
            since,
        }
    };
    parts.map(one).collect()
}

impl DiskRecord {
    fn resource(&self) -> Resource {
        Resource::Disk { folder: self.disk.folder.clone(), name: self.disk.name.clone() }
    }
}

impl VmRecord {
    fn resource(&self) -> Result<Resource> {
        let status = launch::status(&Folder::at(&self.vm.folder))?;
        Ok(Resource::Vm {
            folder: self.vm.folder.clone(),
            name: self.vm.name.clone(),
            ssh_port: status.ssh_port,
            engine_port: status.engine_port,
            user: self.user.clone(),
        })
    }
}

impl Boot {
    /// Whether the guest says on its console that it answers SSH.
    const fn says_when_ready(&self) -> bool {
        matches!(self, Self::Guest { .. })
    }
}

fn read<T: serde::de::DeserializeOwned>(folder: &Folder, record: &str) -> Result<Option<T>> {
    folder.read(record).map_err(|error| {
        let path: PathBuf = folder.file(record);
        failed("the machine's record is damaged", error).fact("path", path.display().to_string())
    })
}

fn check_owner(there: &OwnerTag, cx: &Context, folder: &Folder) -> Result<()> {
    if there.machine == cx.owner.machine && there.store == cx.owner.store {
        return Ok(());
    }
    Err(Error::new(Kind::NameTaken, "another machine's files are where this one's would be")
        .fact("folder", folder.path().display().to_string())
        .fact("owner", format!("{} of store {}", there.name, there.store.0)))
}

fn check_room(folder: &Path) -> Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    // A file system that does not say is not held against it.
    let Ok(room) = rustix::fs::statvfs(existing) else { return Ok(()) };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if free >= ROOM {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, format!("only {} MiB are free at {}", free >> 20, existing.display()))
        .hint("make room, or keep machines elsewhere with WHARF_HOME"))
}
