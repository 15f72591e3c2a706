//! One verb, one file. Here is what they share: the frame they run in, how machines are named, and how one verb is done
//! to several machines at once.

pub(crate) mod active;
pub(crate) mod adopt;
pub(crate) mod allow;
pub(crate) mod apply;
pub(crate) mod certs;
pub(crate) mod cloud;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod export;
mod fleet;
pub(crate) mod gc;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod ip;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod man_pages;
pub(crate) mod mount;
pub(crate) mod plan;
mod power;
pub(crate) mod provision;
pub(crate) mod regenerate_certs;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod schema;
pub(crate) mod scp;
pub(crate) mod ssh;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod store;
pub(crate) mod supervise;
pub(crate) mod tunnel;
pub(crate) mod unlock;
pub(crate) mod upgrade;
pub(crate) mod url;
pub(crate) mod version;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use wharf_core::{Call, Confirm, Connection, Keeping, Keyring, Life, MachineName, Observed, Setup, Wharf};

use wharf_core::store::Store;
use wharf_driver::AskKeyring;
use wharf_objects::Objects;

use crate::Build;
use crate::args::Verb;
use crate::clouds::Clouds;
use crate::config::{Choice, Config};
use crate::docker_machine::Typed;
use crate::error::{Error, Kind, Result, of_several};
use crate::settings;
use crate::sign_ins::SignIns;
use crate::ui::{Board, Ui, natural};
use crate::world::World;

/// The frame that a command runs in.
pub(crate) struct Cx {
    pub(crate) config: Config,
    pub(crate) ui: Arc<Ui>,
    /// Without its streams, which are the [`Ui`]'s.
    pub(crate) world: World,
    pub(crate) build: Build,
    pub(crate) cancel: CancellationToken,
    /// The command line as typed.
    pub(crate) typed: Vec<String>,
    /// What was typed, where it was typed for docker-machine.
    pub(crate) docker_machine: Option<Typed>,
    pub(crate) driver_flags: Option<clap::ArgMatches>,
    /// The shared store, where machines are kept in one.
    pub(crate) shared: Option<Arc<Objects>>,
}

/// Runs the verb.
pub(crate) async fn run(verb: Verb, cx: &Cx) -> Result<()> {
    match verb {
        Verb::Create(args) => create::run(*args, cx).await,
        Verb::Adopt(args) => adopt::run(*args, cx).await,
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Env(args) => env::run(args, cx).await,
        Verb::Context(args) => context::run(args, cx).await,
        Verb::Ssh(args) => ssh::run(args, cx).await,
        Verb::Scp(args) => scp::run(args, cx).await,
        Verb::Mount(args) => mount::run(args, cx).await,
        Verb::Tunnel(args) => tunnel::run(args, cx).await,
        Verb::Start(args) => start::run(args, cx).await,
        Verb::Stop(args) => stop::run(args, cx).await,
        Verb::Restart(args) => restart::run(args, cx).await,
        Verb::Kill(args) => kill::run(args, cx).await,
        Verb::Rm(args) => rm::run(args, cx).await,
        Verb::Gc(args) => gc::run(*args, cx).await,
        Verb::Plan(args) => plan::run(args, cx).await,
        Verb::Apply(args) => apply::run(args, cx).await,
        Verb::Destroy(args) => destroy::run(args, cx).await,
        Verb::Store(args) => store::run(args, cx).await,
        Verb::Unlock(args) => unlock::run(args, cx).await,
        Verb::Schema(args) => schema::run(&args, cx),
        Verb::Status(args) => status::run(args, cx).await,
        Verb::Ip(args) => ip::run(args, cx).await,
        Verb::Url(args) => url::run(args, cx).await,
        Verb::Config(args) => config::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Active(args) => active::run(args, cx).await,
        Verb::Logs(args) => logs::run(args, cx).await,
        Verb::Allow(args) => allow::run(args, cx).await,
        Verb::Certs(args) => certs::run(args, cx).await,
        Verb::Cloud(args) => cloud::run(args, cx).await,
        Verb::Doctor(args) => doctor::run(args, cx).await,
        Verb::Import(args) => import::run(args, cx).await,
        Verb::Export(args) => export::run(args, cx).await,
        Verb::Provision(args) => provision::run(args, cx).await,
        Verb::Upgrade(args) => upgrade::run(args, cx).await,
        Verb::RegenerateCerts(args) => regenerate_certs::run(args, cx).await,
        Verb::Version(args) => version::run(args, cx).await,
        Verb::Completions(args) => completions::run(&args, cx),
        Verb::ManPages(args) => man_pages::run(&args, cx),
        Verb::Supervise(_) => Err(Error::usage("a supervisor is not started from here")),
    }
}

impl Cx {
    /// Opens the store.
    pub(crate) fn wharf(&self) -> Wharf {
        self.wharf_at(&self.clouds(), None)
    }

    /// The clouds that the person has set up; what is wrong with one is said.
    pub(crate) fn clouds(&self) -> Clouds {
        let clouds = Clouds::load(&self.config.clouds, &self.build.drivers, &self.world);
        for damage in clouds.damage() {
            self.ui.warn(damage);
        }
        clouds
    }

    /// The keyring of this session, where there may be one and it is wanted.
    pub(crate) fn keyring(&self) -> Option<Arc<dyn Keyring>> {
        let wanted = self.config.keyring != Choice::Off;
        crate::keyring::of(&self.world, self.build.keyring).filter(|_| wanted)
    }

    /// What the person signed in with in earlier commands.
    pub(crate) fn sign_ins(&self) -> SignIns {
        SignIns::new(self.config.clouds.with_file_name("sign-ins"), self.keyring())
    }

    /// Opens the store for a command that brings another agent than the usual one.
    pub(crate) fn wharf_bringing(&self, agent: Option<PathBuf>) -> Wharf {
        self.open(&self.clouds(), None, agent)
    }

    /// Opens the store for a command that means one of the clouds, if any.
    pub(crate) fn wharf_at(&self, clouds: &Clouds, chosen: Option<&str>) -> Wharf {
        self.open(clouds, chosen, self.config.agent.clone())
    }

    /// Opens a shared store that the command names itself.
    pub(crate) fn wharf_over(&self, shared: &Arc<Objects>, config: &Config) -> Wharf {
        self.opened(&self.clouds(), None, self.setup(config, Some(shared), config.agent.clone()))
    }

    fn open(&self, clouds: &Clouds, chosen: Option<&str>, agent: Option<PathBuf>) -> Wharf {
        self.opened(clouds, chosen, self.setup(&self.config, self.shared.as_ref(), agent))
    }

    fn setup(&self, config: &Config, shared: Option<&Arc<Objects>>, agent: Option<PathBuf>) -> Setup {
        Setup {
            home: config.store.clone(),
            store: shared.cloned().map(|shared| shared as Arc<dyn Store>),
            cache: Some(config.cache.clone()),
            drivers: self.build.drivers.iter().map(|entry| entry.factory.clone()).collect(),
            program: self.world.program.clone(),
            agent,
            ssh: self.world.person(),
            person: self.world.person_here(),
            keys: Keeping {
                keyring: crate::keyring::of(&self.world, self.build.keyring),
                in_files: config.keyring == Choice::Off,
                passphrase: config.passphrase.clone(),
                identity: config.identity.clone(),
                authority: config.authority.clone(),
            },
        }
    }

    fn opened(&self, clouds: &Clouds, chosen: Option<&str>, setup: Setup) -> Wharf {
        let environment =
            settings::environment(&self.build.drivers, self.driver_flags.as_ref(), &self.config, &self.world);
        let wharf = (self.build.open)(setup);
        let ui = self.ui.can_ask().then(|| Arc::clone(&self.ui));
        let mut profiles = clouds.ordered(chosen);
        if let Some(flags) = &self.driver_flags {
            settings::overrule(&self.build.drivers, flags, &mut profiles);
        }
        let keyring = ask_keyring(crate::keyring::of(&self.world, self.build.keyring));
        wharf.in_session(|session| {
            let session = session.with_environment(environment).with_profiles(profiles, keyring);
            let session = session.with_memory(Arc::new(self.sign_ins()));
            match ui {
                Some(ui) => session.with_person(move |what| ui.note(what)),
                None => session,
            }
        })
    }

    /// What a verb of the engine is given: it reports to `board`, and asks the person who is there.
    pub(crate) fn call(&self, verb: &str, usual: Duration, board: &Board) -> Call {
        let ui = Arc::clone(&self.ui);
        let confirm = self.ui.can_ask().then(|| {
            Confirm::new(move |question| {
                let asked = format!(
                    "The host {} is not known yet. Its {} key has the fingerprint\n  {}\nIs that right?",
                    question.host, question.algorithm, question.fingerprint
                );
                ui.confirm(&asked).unwrap_or(false)
            })
        });
        let usually = Call::new(format!("wharf {verb}"));
        Call {
            deadline: self.config.timeout.unwrap_or(usual),
            lock_wait: self.config.lock_wait.unwrap_or(usually.lock_wait),
            cancel: self.cancel.clone(),
            events: board.sink(),
            confirm,
            ..usually
        }
    }

    /// The machine that the person means: the named one, else `default`, else the only one there is.
    pub(crate) async fn one(&self, name: Option<&str>, wharf: &Wharf) -> Result<MachineName> {
        if let Some(name) = name {
            return machine_name(name);
        }
        let mut names: Vec<MachineName> = wharf.list().await?.into_iter().map(|(name, _)| name).collect();
        names.sort_by(|a, b| natural(a.as_str(), b.as_str()));
        if let Some(usual) = names.iter().find(|name| name.as_str() == "default") {
            return Ok(usual.clone());
        }
        match names.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Error::new(Kind::NoSuchMachine, "there are no machines yet")
                .hint("`wharf create NAME` makes one")),
            several => {
                let listed: Vec<&str> = several.iter().map(MachineName::as_str).collect();
                Err(Error::usage("which machine? There are several, and none is called `default`")
                    .hint(format!("name one of {}", listed.join(", "))))
            }
        }
    }

    /// The machines that the person means.
    pub(crate) async fn several(&self, names: &[String], wharf: &Wharf) -> Result<Vec<MachineName>> {
        if names.is_empty() {
            return Ok(vec![self.one(None, wharf).await?]);
        }
        machine_names(names)
    }

    /// How to reach a machine whose create is finished, whether it has an engine or not.
    pub(crate) async fn reached(&self, name: &MachineName, wharf: &Wharf) -> Result<Connection> {
        let connection = wharf.connection(name).await?;
        if connection.life == Life::Bare { Ok(connection) } else { self.connection(name, wharf).await }
    }

    /// Whether machines of this driver are an engine that somebody else looks after.
    fn is_somebody_elses(&self, driver: &str) -> bool {
        let entry = self.build.drivers.iter().find(|entry| entry.factory.answers_to(driver));
        entry.is_some_and(|entry| !entry.about().capabilities.provisions)
    }

    /// How to reach a machine whose create is finished and that has an engine.
    pub(crate) async fn connection(&self, name: &MachineName, wharf: &Wharf) -> Result<Connection> {
        let connection = wharf.connection(name).await?;
        match connection.life {
            Life::Ready => {
                // A client certificate that was renewed just now is renewed where it was copied to.
                context::refresh(self, &connection);
                Ok(connection)
            }
            Life::Bare if self.is_somebody_elses(&connection.driver) => {
                let message =
                    format!("machine `{name}` has no engine of wharf's: somebody else looks after it");
                Err(Error::new(Kind::Refused, message).hint(format!("`wharf url {name}` prints its address")))
            }
            Life::Bare => Err(Error::failed(format!("machine `{name}` has no engine"))
                .hint(format!("`wharf provision {name}` brings it"))),
            Life::Creating | Life::Removing => {
                Err(Error::failed(format!("machine `{name}` is not finished")).hint(format!(
                    "`wharf create {name}` goes on where it stopped, `wharf rm {name}` removes what there is"
                )))
            }
        }
    }
}

/// What secrets of clouds are asked for by.
fn ask_keyring(keyring: Option<Arc<dyn Keyring>>) -> AskKeyring {
    let Some(keyring) = keyring else { return AskKeyring::nobody() };
    AskKeyring::new(move |name| {
        let keyring = Arc::clone(&keyring);
        Box::pin(async move {
            keyring.get(&name).await.map_err(|error| {
                let message = format!("`{name}` is in {}, which cannot be asked: {error}", keyring.name());
                wharf_driver::Error::new(wharf_driver::Kind::NotAllowed, message)
                    .hint("run this in the desktop session that the keyring belongs to, and unlock it there")
            })
        })
    })
}

/// Whoever looks at machines is told of a swapped host key as loudly as whoever uses one.
fn refuse_wrong_host_keys(observed: &[Observed]) -> Result<()> {
    let wrong = observed.iter().filter(|machine| machine.kinds.contains(&Kind::HostKey));
    let names: Vec<&str> = wrong.map(|machine| machine.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("an SSH host key on the way to {} is not the expected one", names.join(", "));
    Err(Error::new(Kind::HostKey, message))
}

/// A machine's name as typed.
pub(crate) fn machine_name(name: &str) -> Result<MachineName> {
    name.parse().map_err(|e: wharf_driver::NameError| {
        Error::usage(e.to_string())
            .hint("a name begins with a letter or digit, goes on with letters, digits, `.` and `-`, and has at most 63 characters")
    })
}

/// Machines' names as typed, every one once. All wrong ones are reported together.
pub(crate) fn machine_names(names: &[String]) -> Result<Vec<MachineName>> {
    let mut good: Vec<MachineName> = Vec::new();
    let mut wrong = Vec::new();
    for name in names {
        match machine_name(name) {
            Ok(name) if good.contains(&name) => {}
            Ok(name) => good.push(name),
            Err(error) => wrong.push(error),
        }
    }
    match wrong.pop() {
        None => Ok(good),
        Some(last) if wrong.is_empty() => Err(last),
        Some(last) => {
            let messages: Vec<String> =
                wrong.iter().map(ToString::to_string).chain([last.to_string()]).collect();
            Err(Error::usage(messages.join("\n  ")).hint(last.advice()))
        }
    }
}

/// How one verb ended for several machines.
pub(crate) struct Ends<T> {
    /// Those that went well, in the order they were named.
    pub(crate) done: Vec<(MachineName, T)>,
    /// Nothing failed; or the exit code of what did, which was shown already unless it was the only machine.
    pub(crate) end: Result<()>,
}

/// Does one thing to several machines at once, and shows what failed.
pub(crate) async fn each<T, F>(
    cx: &Cx,
    names: &[MachineName],
    mut act: impl FnMut(MachineName) -> F,
) -> Ends<T>
where
    F: Future<Output = Result<T>>,
{
    let ends = join_all(names.iter().map(|name| {
        let acting = act(name.clone());
        async move { (name.clone(), acting.await) }
    }))
    .await;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for (name, end) in ends {
        match end {
            Ok(value) => done.push((name, value)),
            Err(error) => failures.push((name, error)),
        }
    }
    if names.len() == 1 {
        return Ends { done, end: failures.pop().map_or(Ok(()), |(_, error)| Err(error)) };
    }
    for (name, error) in &failures {
        cx.ui.error(error, Some(name.as_str()));
    }
    let kinds: Vec<Kind> = failures.iter().map(|(_, error)| error.kind).collect();
    Ends { done, end: of_several(names.len(), &kinds).map_or(Ok(()), |kind| Err(Error::told(kind))) }
}

/// The same word for every machine, or one object a machine.
pub(crate) fn show_each(cx: &Cx, values: &[(MachineName, String)], field: &'static str) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        name: &'a str,
        #[serde(flatten)]
        value: std::collections::BTreeMap<&'static str, &'a str>,
    }
    if cx.ui.is_json() && !values.is_empty() {
        let rows: Vec<Row<'_>> = values
            .iter()
            .map(|(name, value)| Row { name: name.as_str(), value: [(field, value.as_str())].into() })
            .collect();
        return cx.ui.json(&rows);
    }
    values.iter().try_for_each(|(_, value)| cx.ui.result(value))
}
