//! A store folder with a machine in it, and a driver whose QEMU is this executable.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio_util::sync::CancellationToken;
use wharf_driver::{
    ActionKey, Context, Driver, Known, MachineId, MachineSpec, Observation, OwnerTag, Places, Power,
    Progress, Result, Secret, Seed, State, StoreId,
};
use wharf_driver_local::{Accelerator, Config, Local, Resource, Virtiofsd};

pub(crate) struct World {
    home: Home,
    pub(crate) driver: Local,
    config: Config,
}

enum Home {
    Ours(tempfile::TempDir),
    Theirs(PathBuf),
}

/// A test that gets a world of its own, and after which nothing may run there.
pub(crate) fn trial<F>(name: &str, test: impl FnOnce(World) -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    Trial::test(name, move || {
        let world = World::new();
        // Servers of shares name those alone.
        let folder = world.home.path().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test(world)).await })
        }));
        // One that has nothing to do needs a moment to find out.
        let patience = Instant::now() + Duration::from_secs(2);
        while !processes(&folder).is_empty() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = processes(&folder);
        for pid in &left {
            rustix::process::kill_process(*pid, rustix::process::Signal::KILL).ok();
        }
        match outcome {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(Err(_)) => Err("the test took more than a minute".into()),
            Ok(Ok(())) if left.is_empty() => Ok(()),
            Ok(Ok(())) => Err(format!("processes were left behind: {left:?}").into()),
        }
    })
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("wharf-local-").tempdir().expect("folder");
        make_image(&image(home.path()));
        Self::of(Home::Ours(home))
    }

    /// Writes nothing that another process reads: it may be killed meanwhile.
    fn of(home: Home) -> Self {
        let this = std::env::current_exe().expect("own path");
        let image = image(home.path());
        let config = Config {
            cpus: 1,
            memory_mib: 256,
            disk_gib: 1,
            image: None,
            image_dir: Some(image),
            accelerator: Some(Accelerator::Tcg),
            qemu: this,
            offline: true,
            mounts: Vec::new(),
            virtiofsd: Virtiofsd::None,
        };
        let driver = Local::new(config.clone());
        let world = Self { home, driver, config };
        for place in [world.folder(), world.cx("").places.cache] {
            fs::create_dir_all(place).expect("places");
        }
        world
    }

    /// From now on the driver is another one.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.driver = Local::new(self.config.clone());
    }

    /// A folder to share, which is there.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        fs::create_dir_all(&folder).expect("folder");
        folder
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("machines/demo/driver")
    }

    pub(crate) fn spec(&self) -> MachineSpec {
        let owner = owner();
        MachineSpec {
            name: owner.name.clone(),
            id: owner.machine.clone(),
            owner,
            attempt: 1,
            engine_port: 2376,
        }
    }

    pub(crate) fn cx(&self, action: &str) -> Context {
        let owner = owner();
        Context {
            key: ActionKey::derive(&owner.machine, action, 1),
            owner,
            seed: Some(Arc::new(Seed {
                host_name: "demo".into(),
                user: "wharf".into(),
                authorized_key: "ssh-ed25519 AAAA test".into(),
                host_key: Secret::new("the host key's private half".into()),
                host_key_public: "ssh-ed25519 BBBB".into(),
            })),
            deadline: Instant::now() + Duration::from_secs(30),
            cancel: CancellationToken::new(),
            progress: Progress::silent(),
            session: wharf_driver::Session::default(),
            places: Places {
                machine: self.folder(),
                cache: self.home.path().join("cache"),
                program: std::env::current_exe().expect("own path"),
            },
        }
    }

    /// The whole of `create`, as the engine does it.
    pub(crate) async fn create(&self) -> Result<Vec<Resource>> {
        let plan = self.driver.plan(&self.spec(), None, &self.cx("plan")).await?;
        let mut made = Vec::new();
        for step in plan.steps {
            made.push(self.driver.perform(&step.action, &made, &self.cx(&step.name)).await?);
        }
        Ok(made)
    }

    /// What a started create left, as the engine finds it after it was killed.
    pub(crate) async fn settle(&self) -> Vec<Resource> {
        let plan = self.driver.plan(&self.spec(), None, &self.cx("plan")).await.expect("plan");
        let mut made = Vec::new();
        for step in plan.steps {
            made.extend(self.driver.settle(&step.action, &self.cx(&step.name)).await.expect("settle"));
        }
        made
    }

    /// The whole of `rm`.
    pub(crate) async fn remove(&self, made: &[Resource]) {
        for resource in made.iter().rev() {
            self.driver.destroy(resource, &self.cx("remove")).await.expect("destroy");
        }
    }

    pub(crate) async fn observe(&self, made: &[Resource]) -> Observation {
        self.driver.observe(&[Known::of(made)], &self.cx("observe")).await.expect("observe").remove(0)
    }

    pub(crate) async fn power(&self, made: &[Resource], to: Power) {
        self.driver.power(made, to, &self.cx("power")).await.expect("power");
    }

    pub(crate) async fn state(&self, made: &[Resource]) -> State {
        self.observe(made).await.state
    }
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Ours(folder) => folder.path(),
            Self::Theirs(folder) => folder,
        }
    }
}

fn image(home: &Path) -> PathBuf {
    home.join("image")
}

/// An image that only looks like one.
pub(crate) fn make_image(folder: &Path) {
    fs::create_dir_all(folder).expect("image");
    for part in ["kernel", "initramfs"] {
        fs::File::create(folder.join(part)).expect("image");
    }
    let architecture = std::env::consts::ARCH;
    let label = format!(r#"{{"version":2,"architecture":"{architecture}","kernel":"none","inputs":"fake"}}"#);
    let mut file = fs::File::create(folder.join("image.json")).expect("image");
    file.write_all(label.as_bytes()).expect("image");
}

/// Makes a machine in somebody else's world: the victim.
pub(crate) fn make(home: &Path) -> ExitCode {
    let mut world = World::of(Home::Theirs(home.to_owned()));
    crate::shares::share_as_before(&mut world);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    match runtime.block_on(world.create()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever has this folder in its arguments: its supervisor and its QEMU.
pub(crate) fn processes(folder: &Path) -> Vec<rustix::process::Pid> {
    let folder = folder.display().to_string();
    let ours = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let names_it = String::from_utf8_lossy(&line).contains(&folder);
        names_it.then(|| rustix::process::Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).flatten()
    };
    fs::read_dir("/proc").expect("proc").flatten().filter_map(ours).collect()
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < patience, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn owner() -> OwnerTag {
    OwnerTag {
        store: StoreId("0123456789abcdef".into()),
        machine: MachineId::from_bytes([7; 16]),
        name: "demo".parse().expect("name"),
        made: 1,
        expires: None,
    }
}
