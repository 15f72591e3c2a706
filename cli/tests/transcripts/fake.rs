//! A cloud in memory and hosts that do as they are told, so that whole commands run in milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use wharf::{Build, Entry};
use wharf_core::bootstrap::{Bootstrap, Engine, Host, Outcome, Provision, Ran, Upgrade};
use wharf_core::store::{Folder, Store};
use wharf_core::{
    Duplex, EngineFacts, Error as CoreError, Kind as CoreKind, OsEntropy, Parts, PlannedStep, Setup, Timing,
    Wharf,
};
use wharf_driver::{
    About, Access, Capabilities, Clock, Configure, Context, Driver, Error, Found, Kind, Known, MachineId,
    MachineSpec, Mistake, Observation, Owned, OwnerTag, Plan, Power, Reach, Result, Setting, Settings,
    Settles, State, Step, StillPaid, Strange, Survey, SystemClock, Takes, Verb,
};
use wharf_objects::{InMemory, ObjectStore};

/// The program with this cloud instead of real ones.
pub(crate) fn build() -> Build {
    Build {
        drivers: vec![Entry::of::<Memory>(), Entry::of::<wharf_driver_none::Elsewhere>()],
        open,
        keyring: || Ok(KEYRING.clone()),
        objects: |address, _| Box::pin(async { Ok(objects(&address.to_string())) }),
    }
}

/// The objects at an address.
pub(crate) fn objects(address: &str) -> Arc<dyn ObjectStore> {
    let mut shared = SHARED.lock().unwrap();
    shared.entry(address.to_owned()).or_insert_with(|| Arc::new(InMemory::new())).clone()
}

/// Objects in memory, by the address that they are reached at.
static SHARED: LazyLock<Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>> = LazyLock::new(Mutex::default);

/// The keyring of every desktop in these tests; stores have accounts of their own in it.
static KEYRING: LazyLock<Arc<keyring_core::mock::Store>> =
    LazyLock::new(|| keyring_core::mock::Store::new().unwrap());

/// What the keyring keeps for a store, by its name there.
pub(crate) fn kept(store: &str) -> Vec<String> {
    let spec = std::collections::HashMap::from([("service", "wharf"), ("user", store)]);
    let entries = keyring_core::api::CredentialStoreApi::search(&**KEYRING, &spec).unwrap();
    let kept = entries.iter().filter(|entry| entry.get_password().is_ok());
    let names = kept.filter_map(|entry| Some(entry.get_specifiers()?.1));
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_prefix(store)?.trim_start_matches('/').to_owned())).collect();
    names.sort();
    names
}

fn open(setup: Setup) -> Wharf {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy = Arc::new(OsEntropy);
    let folder =
        || Arc::new(Folder::new(setup.home.clone(), clock.clone(), entropy.clone())) as Arc<dyn Store>;
    let store = crate::cut::under(&setup.home, setup.store.clone().unwrap_or_else(folder));
    Wharf::with(setup, Parts { store, clock, entropy, bootstrap: Arc::new(Obedient) })
}

/// The machines of the cloud, by their resource's name.
static CLOUD: LazyLock<Mutex<BTreeMap<String, There>>> = LazyLock::new(Mutex::default);

/// A machine in the cloud.
struct There {
    on: bool,
    owner: OwnerTag,
    place: Option<String>,
    since: SystemTime,
}

/// How far the calendars of places are ahead, and what else is there.
static PLACES: LazyLock<Mutex<BTreeMap<String, Era>>> = LazyLock::new(Mutex::default);

type Era = (Duration, Vec<Strange>);

/// Lets so many hours pass on the calendar of a place.
pub(crate) fn let_hours_pass(place: &str, hours: u64) {
    PLACES.lock().unwrap().entry(place.into()).or_default().0 += Duration::from_secs(hours * 3600);
}

/// Puts something into a place that another program is known to leave.
pub(crate) fn leave(place: &str, name: &str) {
    let strange = Strange {
        kind: "machine".into(),
        name: name.into(),
        because: "docker-machine gives such names".into(),
    };
    PLACES.lock().unwrap().entry(place.into()).or_default().1.push(strange);
}

/// The machines that a bootstrap was tried on.
static SEEN: LazyLock<Mutex<BTreeSet<MachineId>>> = LazyLock::new(Mutex::default);

#[derive(Debug)]
pub(crate) struct Memory(Config);

/// How the cloud behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    size: u32,
    fails: Option<String>,
    place: Option<String>,
    lets_in: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boot {
    name: String,
}

impl Configure for Memory {
    const PLACE: Option<&'static str> = Some("memory-place");
    const SETTINGS: &'static [Setting] = &[
        Setting {
            flag: "memory-size",
            aliases: &["memory-ram"],
            env: &["MEMORY_SIZE"],
            help: "how much of it",
            takes: Takes::Text("NUMBER"),
            default: Some("1"),
            at_terminal: None,
        },
        Setting {
            flag: "memory-fails",
            aliases: &[],
            env: &[],
            help: "how making a machine fails",
            takes: Takes::Text("HOW"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: "memory-place",
            aliases: &[],
            env: &[],
            help: "where it is",
            takes: Takes::Text("URL"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: "memory-allow-from",
            aliases: &[],
            env: &[],
            help: "whom it lets in",
            takes: Takes::Text("WHOM"),
            default: Some("any"),
            at_terminal: Some("me"),
        },
        Setting {
            flag: "memory-user",
            aliases: &[],
            env: &["MEMORY_USER"],
            help: "who signs in there",
            takes: Takes::Personal("NAME"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: "memory-secret",
            aliases: &[],
            env: &["MEMORY_SECRET"],
            help: "with what",
            takes: Takes::Secret("SECRET"),
            default: None,
            at_terminal: None,
        },
    ];

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let size = set.parse("memory-size", &mut mistakes).unwrap_or(1);
        let config = Config {
            size,
            fails: set.text("memory-fails").map(Into::into),
            place: set.text("memory-place").map(Into::into),
            lets_in: set.text("memory-allow-from").map(Into::into),
        };
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }
}

impl Driver for Memory {
    const ABOUT: About = About {
        name: "memory",
        aliases: &["mem"],
        summary: "machines that exist in memory alone",
        capabilities: Capabilities {
            power: true,
            adopts: false,
            provisions: true,
            takes_host_key: true,
            console: false,
            address_changes: false,
            still_paid: StillPaid::NOTHING,
        },
        version: 1,
        settles: Settles::AtOnce,
    };
    type Config = Config;
    type Action = Boot;
    type Resource = Boot;

    async fn connect(config: Config, cx: &Context) -> Result<Self> {
        if let Some(place) = &config.place {
            sign_in(place, cx).await?;
        }
        match config.fails.as_deref() {
            Some("sign-in") => {
                Err(Error::new(Kind::NotAllowed, "the cloud does not know you").hint("sign in to it"))
            }
            Some("quota") => {
                Err(Error::new(Kind::Quota, "no machine of this size is left").fact("region", "memory-1"))
            }
            _ => Ok(Self(config)),
        }
    }

    async fn survey(&self, _: &Context) -> Result<Survey> {
        let mut settings = Settings::default();
        settings.set("memory-size", vec!["4".to_owned()]);
        Ok(Survey { settings, facts: vec![("is", "a place in memory".to_owned())] })
    }

    async fn plan(&self, spec: &MachineSpec, _: Option<&Observation>, _: &Context) -> Result<Plan<Boot>> {
        let name = format!("{}-{}-vm", spec.name, spec.id.short());
        let summary = format!("boot a machine of size {}", self.0.size);
        Ok(Plan {
            steps: vec![Step {
                verb: Verb::Create,
                name: name.clone(),
                action: Boot { name },
                after: vec![],
                summary,
                shared: false,
            }],
        })
    }

    async fn perform(&self, action: &Boot, _: &[Boot], cx: &Context) -> Result<Boot> {
        match self.0.fails.as_deref() {
            Some("boot") => {
                return Err(Error::new(Kind::Failed, "the machine does not boot").fact("console", "no\ndisk"));
            }
            Some("slow") => {
                cx.progress.say("waiting for a slow cloud");
                cx.cancel.cancelled().await;
                return Err(Error::new(Kind::Cancelled, "interrupted"));
            }
            _ => {}
        }
        let since = cx.session.clock().wall() + self.era().0;
        let (owner, place) = (cx.owner.clone(), self.0.place.clone());
        CLOUD.lock().unwrap().insert(action.name.clone(), There { on: true, owner, place, since });
        Ok(action.clone())
    }

    async fn settle(&self, action: &Boot, _: &Context) -> Result<Option<Boot>> {
        Ok(CLOUD.lock().unwrap().contains_key(&action.name).then(|| action.clone()))
    }

    async fn observe(&self, machines: &[Known<'_, Boot>], _: &Context) -> Result<Vec<Observation>> {
        let cloud = CLOUD.lock().unwrap();
        let seen = |made: &[Boot]| {
            let Some(boot) = made.first() else { return State::Absent };
            cloud
                .get(&boot.name)
                .map_or(State::Absent, |there| if there.on { State::Running } else { State::Stopped })
        };
        Ok(machines
            .iter()
            .map(|known| Observation {
                state: seen(known.made),
                reach: Some(reach(known.made)),
                warnings: Vec::new(),
            })
            .collect())
    }

    async fn power(&self, made: &[Boot], to: Power, _: &Context) -> Result<()> {
        for boot in made {
            let on = matches!(to, Power::On | Power::Restart);
            if let Some(there) = CLOUD.lock().unwrap().get_mut(&boot.name) {
                there.on = on;
            }
        }
        Ok(())
    }

    async fn destroy(&self, resource: &Boot, _: &Context) -> Result<()> {
        CLOUD.lock().unwrap().remove(&resource.name);
        Ok(())
    }

    async fn find_owned(&self, cx: &Context) -> Result<Found<Boot>> {
        let (ahead, strange) = self.era();
        let cloud = CLOUD.lock().unwrap();
        let here = cloud.iter().filter(|(_, there)| there.place == self.0.place);
        let owned = here.map(|(name, there)| Owned {
            resource: Boot { name: name.clone() },
            kind: "machine",
            step: name.clone(),
            name: name.clone(),
            shared: false,
            stage: 0,
            tag: there.owner.clone(),
            lacks: Vec::new(),
            since: there.since,
        });
        Ok(Found { now: cx.session.clock().wall() + ahead, owned: owned.collect(), strange })
    }

    async fn console(&self, _: &[Boot], _: &Context) -> Result<Option<String>> {
        Ok(None)
    }
}

impl Memory {
    fn era(&self) -> Era {
        let place = self.0.place.clone().unwrap_or_default();
        PLACES.lock().unwrap().get(&place).cloned().unwrap_or_default()
    }
}

/// A place lets in whoever knows its name backwards.
async fn sign_in(place: &str, cx: &Context) -> Result<()> {
    let profile = cx.session.profile("memory", |set| set.text("memory-place") == Some(place));
    let session = cx.session.at(profile).await?;
    let user = session.var("MEMORY_USER").unwrap_or("nobody").to_owned();
    let known = place.rsplit('/').next().unwrap_or(place).chars().rev().collect::<String>();
    match session.var("MEMORY_SECRET") {
        Some(secret) if secret == known => Ok(()),
        _ => Err(Error::new(Kind::NotAllowed, format!("{place} does not know {user}")).hint("sign in to it")),
    }
}

fn reach(_: &[Boot]) -> Reach {
    Reach {
        ssh_host: "192.0.2.7".into(),
        ssh_port: 22,
        ssh_user: "root".into(),
        engine_host: "192.0.2.7".into(),
        engine_port: 2376,
        url: None,
        access: Access::default(),
    }
}

/// Hosts that do as they are told; a label `host=…` tells them to do otherwise.
#[derive(Debug)]
struct Obedient;

impl Bootstrap for Obedient {
    fn check(&self) -> wharf_core::Result<()> {
        Ok(())
    }

    fn plan<'a>(&'a self, _: &'a Provision) -> BoxFuture<'a, wharf_core::Result<Vec<PlannedStep>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn provision<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, wharf_core::Result<Outcome>> {
        Box::pin(async move {
            for label in &wish.options.labels {
                fail(label, &wish.host.machine)?;
            }
            wish.host.progress.say("uploading the agent");
            Ok(Outcome {
                host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake".into()],
                engine: "0.1.0".into(),
                expires: 4_000_000_000,
                agent: "00".repeat(32),
                facts: serde_json::json!({ "architecture": "x86_64" }),
                timings: vec![Timing { what: "upload".into(), milliseconds: 3 }],
            })
        })
    }

    fn certify<'a>(&'a self, _: &'a Provision) -> BoxFuture<'a, wharf_core::Result<u64>> {
        Box::pin(async { Ok(4_000_000_001) })
    }

    fn revoke<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, wharf_core::Result<()>> {
        Box::pin(
            async move { wish.options.labels.iter().try_for_each(|label| fail(label, &wish.host.machine)) },
        )
    }

    fn upgrade<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, wharf_core::Result<Upgrade>> {
        Box::pin(async move {
            let before = "0.1.0".to_owned();
            if wish.options.labels.iter().any(|label| label == "host=keeps") {
                let because = CoreError::new(CoreKind::Failed, "the agent was started and does not stay up")
                    .fact("the end of its log", "no\nmemory");
                return Ok(Upgrade::RolledBack { because: Arc::new(because), before });
            }
            let outcome = Outcome {
                host_keys: Vec::new(),
                engine: "0.2.0".into(),
                expires: 4_000_000_000,
                agent: "11".repeat(32),
                facts: serde_json::json!({ "architecture": "x86_64" }),
                timings: Vec::new(),
            };
            Ok(Upgrade::Done { outcome: Box::new(outcome), before })
        })
    }

    fn purge<'a>(&'a self, _: &'a Host) -> BoxFuture<'a, wharf_core::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn restart<'a>(&'a self, _: &'a Host) -> BoxFuture<'a, wharf_core::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn run<'a>(
        &'a self,
        _: &'a Host,
        command: Option<&'a str>,
        input: &'a [u8],
    ) -> BoxFuture<'a, wharf_core::Result<Ran>> {
        if let Some(line) = command.filter(|_| input.windows(6).any(|part| part == b"\"hook\"")) {
            return Box::pin(async { Ok(in_a_shell(line, input)) });
        }
        let stdout = command.map(|command| format!("ran: {command}\n")).unwrap_or_default().into_bytes();
        Box::pin(async { Ok(Ran { status: 7, stdout, stderr: Vec::new() }) })
    }

    fn tunnel<'a>(&'a self, _: &'a Host, port: u16) -> BoxFuture<'a, wharf_core::Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            Err(CoreError::new(CoreKind::Unreachable, format!("nobody listens on port {port} in memory")))
        })
    }

    fn ask<'a>(&'a self, _: &'a Engine) -> BoxFuture<'a, wharf_core::Result<EngineFacts>> {
        Box::pin(async { Ok(EngineFacts { version: "0.1.0".into(), api_version: "1.51".into() }) })
    }
}

/// A hook does on this computer what it would do there.
fn in_a_shell(line: &str, input: &[u8]) -> Ran {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(input).unwrap();
    let output = shell.wait_with_output().unwrap();
    Ran { status: output.status.code().unwrap(), stdout: output.stdout, stderr: output.stderr }
}

fn fail(label: &str, machine: &MachineId) -> wharf_core::Result<()> {
    let error = match label {
        "host=unreachable" => {
            CoreError::new(CoreKind::Unreachable, "192.0.2.7 port 22: connection timed out")
        }
        "host=once" if SEEN.lock().unwrap().insert(machine.clone()) => {
            CoreError::new(CoreKind::Unreachable, "192.0.2.7 port 22: connection refused")
        }
        "host=swapped" => {
            CoreError::new(CoreKind::HostKey, "the host key of 192.0.2.7 is not the expected one")
                .fact("expected", "SHA256:expected")
                .fact("offered", "SHA256:offered")
        }
        "host=nosudo" => CoreError::new(CoreKind::Refused, "user `admin` is not root and may not use sudo"),
        _ => return Ok(()),
    };
    Err(error)
}
