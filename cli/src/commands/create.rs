//! `wharf create`: makes machines, several at once if wanted, and goes on with those that were begun and not finished.

use std::collections::BTreeMap;
use std::time::Duration;

use wharf_core::{Call, CreateRequest, Created, EngineOptions, Hook, Life, MachineName, Timing, Wharf};
use wharf_driver::Profile;

use super::{Cx, context, each, machine_names, tunnel};
use crate::clouds::Clouds;
use crate::config::life;
use crate::docker::{DockerFolder, context_name};
use crate::error::{Error, Kind, Result};
use crate::settings::{self, Given};
use crate::ui::{Board, Table};
use crate::world::World;

/// Makes machines and brings the agent to them
///
/// A machine that was begun and not finished is gone on with. Without --driver it is a virtual machine on this computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the machines are to be called
    #[arg(value_name = "NAME", required = true)]
    pub(super) names: Vec<String>,
    /// Where they are made [env: WHARF_DRIVER]
    #[arg(short, long)]
    driver: Option<String>,
    /// The cloud that they are made in, set up by `wharf cloud add` [env: WHARF_CLOUD]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Make the machine and bring no engine to it; `wharf provision` does that later
    #[arg(long)]
    pub(super) no_bootstrap: bool,
    /// Write no docker context
    #[arg(long)]
    pub(super) no_context: bool,
    /// How long it is wanted for: 90m, 4h, 7d. Then its engine takes no new containers, it powers itself off where wharf
    /// made it, and `wharf gc` removes it
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// A label of the engine
    #[arg(long = "engine-label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// A further flag of the engine, without its dashes
    #[arg(long = "engine-opt", value_name = "FLAG=VALUE")]
    engine_options: Vec<String>,
    /// A registry that is asked before the official one
    #[arg(long = "engine-registry-mirror", value_name = "URL")]
    registry_mirrors: Vec<String>,
    /// A registry that is spoken to without a verified certificate
    #[arg(long = "engine-insecure-registry", value_name = "HOST")]
    insecure_registries: Vec<String>,
    /// The authority that a registry is believed by: a file of certificates as PEM, which the engine heeds at each pull
    #[arg(long = "engine-registry-ca", value_name = "REGISTRY=FILE")]
    registry_authorities: Vec<String>,
    /// A variable of the engine's environment, such as HTTPS_PROXY, which its pulls then go through; kept as it is written
    #[arg(long = "engine-env", value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// The engine's storage driver, of which there is one: overlay2
    #[arg(long = "engine-storage-driver", value_name = "NAME")]
    storage_driver: Option<String>,
    /// For docker-machine's users: the agent comes from this computer
    #[arg(long = "engine-install-url", value_name = "URL", hide = true)]
    _install_url: Option<String>,
    #[command(flatten)]
    swarm: Swarm,
    /// A further name or address in the server's certificate
    #[arg(long = "tls-san", value_name = "NAME")]
    extra_names: Vec<String>,
}

/// The standalone Swarm of docker-machine, which nobody keeps any more.
#[derive(Debug, clap::Args)]
struct Swarm {
    #[arg(long, hide = true)]
    swarm: bool,
    #[arg(long, hide = true)]
    swarm_master: bool,
    #[arg(long, hide = true)]
    swarm_experimental: bool,
    #[arg(long, hide = true)]
    swarm_image: Option<String>,
    #[arg(long, hide = true)]
    swarm_discovery: Option<String>,
    #[arg(long, hide = true)]
    swarm_strategy: Option<String>,
    #[arg(long, hide = true)]
    swarm_host: Option<String>,
    #[arg(long, hide = true)]
    swarm_addr: Option<String>,
    #[arg(long, hide = true)]
    swarm_opt: Vec<String>,
    #[arg(long, hide = true)]
    swarm_join_opt: Vec<String>,
}

impl Swarm {
    /// Refuses what nothing could come of.
    fn refuse(&self) -> Result<()> {
        let words = [
            &self.swarm_image,
            &self.swarm_discovery,
            &self.swarm_strategy,
            &self.swarm_host,
            &self.swarm_addr,
        ];
        let wanted = self.swarm
            || self.swarm_master
            || self.swarm_experimental
            || words.iter().any(|word| word.is_some())
            || !self.swarm_opt.is_empty()
            || !self.swarm_join_opt.is_empty();
        if !wanted {
            return Ok(());
        }
        Err(Error::usage("the standalone Swarm that the --swarm flags set up is not developed any more")
            .hint("leave them out; each machine is a host of its own, reached by its docker context"))
    }
}

impl Args {
    /// Whether nothing is asked of the machines.
    const fn says_nothing(&self) -> bool {
        self.driver.is_none()
            && self.cloud.is_none()
            && !self.no_bootstrap
            && self.ttl.is_none()
            && self.labels.is_empty()
            && self.environment.is_empty()
            && self.engine_options.is_empty()
            && self.registry_mirrors.is_empty()
            && self.insecure_registries.is_empty()
            && self.registry_authorities.is_empty()
            && self.extra_names.is_empty()
    }
}

/// What is shown and asked before anything is done.
pub(super) enum Before {
    Nothing,
    /// The plan is shown; then somebody agrees to it, unless that was done on the command line.
    Plan {
        agreed: bool,
    },
}

impl Args {
    /// For hosts that exist, unless another driver was named.
    pub(super) fn of_hosts(self) -> Self {
        Self { driver: self.driver.or_else(|| Some("ssh".to_owned())), ..self }
    }

    /// The driver that was named.
    pub(super) fn driver(&self) -> &str {
        self.driver.as_deref().unwrap_or_default()
    }
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    run_after(&Before::Nothing, args, cx).await
}

pub(super) async fn run_after(before: &Before, args: Args, cx: &Cx) -> Result<()> {
    let names = machine_names(&args.names)?;
    let clouds = cx.clouds();
    let cloud = cloud(&args, cx, &clouds)?;
    let flags = cx.driver_flags.as_ref().ok_or_else(|| Error::usage("the driver's flags are missing"))?;
    let requests =
        Requests::new(&args, &Given { flags, profile: cloud, config: &cx.config, world: &cx.world }, cx)?;
    let wharf = cx.wharf_at(&clouds, cloud.map(|cloud| cloud.name.as_str()));
    let board = Board::new(&cx.ui);
    let call = cx.call("create", Duration::from_secs(600), &board);
    if args.dry_run {
        let planned = plan(&names, &requests, cx, &wharf, &call, &board).await;
        let verb = if matches!(before, Before::Nothing) { "create" } else { "adopt" };
        if planned.is_ok() && !cx.ui.is_json() {
            cx.ui.note(&format!("nothing was done: this is what `{verb}` would do"));
        }
        return planned;
    }
    if let Before::Plan { agreed } = before {
        agree(*agreed, &names, &requests, cx, &wharf, &call, &board).await?;
    }
    let wants_context = cx.config.context && !args.no_context && !args.no_bootstrap;
    let ends = each(cx, &names, |name| {
        let (requests, wharf, call, board) = (&requests, &wharf, &call, &board);
        async move {
            let created = create(&name, requests, wants_context, cx, wharf, call).await;
            let took = board.end(&name);
            let created = created?;
            let how = if created.resumed { "finished" } else { "ready" };
            cx.ui.note(&format!("{name}: {how} in {:.1} s", took.as_secs_f32()));
            Ok(created)
        }
    })
    .await;
    if cx.ui.is_json() && !ends.done.is_empty() {
        let mut rows: Vec<_> = ends.done.iter().map(|(_, created)| object(created)).collect();
        match rows.pop() {
            Some(only) if names.len() == 1 => cx.ui.json(&only)?,
            last => cx.ui.json(&rows.into_iter().chain(last).collect::<Vec<_>>())?,
        }
    } else if let Some((name, created)) = ends.done.first() {
        let looked_after =
            settings::find(&cx.build.drivers, &requests.driver)?.about().capabilities.provisions;
        if !looked_after {
            cx.ui.note(&format!("\nUse it:  docker -H {} run --rm hello-world", created.connection.url));
        } else if created.connection.life == Life::Bare {
            cx.ui.note(&format!(
                "\nIt has no engine: `wharf provision {name}` brings it, `wharf ssh {name}` signs in"
            ));
        } else {
            say_how_to_go_on(name, wants_context, cx);
            tunnel::say_what_is_needed(&created.connection, cx).await;
        }
    }
    ends.end
}

/// The cloud that is meant: the named one, or the usual one unless another driver is wanted.
pub(super) fn cloud<'a>(args: &Args, cx: &Cx, clouds: &'a Clouds) -> Result<Option<&'a Profile>> {
    let Some(name) = args.cloud.as_deref().or(cx.config.cloud.as_deref()) else { return Ok(None) };
    let cloud = clouds.find(name)?;
    let Some(driver) = &args.driver else { return Ok(Some(cloud)) };
    let fits = settings::find(&cx.build.drivers, driver)?.about().name == cloud.driver;
    match (fits, &args.cloud) {
        (true, _) => Ok(Some(cloud)),
        (false, None) => Ok(None),
        (false, Some(_)) => {
            let message =
                format!("the cloud `{name}` is driver `{}`'s, and this is `{driver}`", cloud.driver);
            Err(Error::usage(message).hint("leave --driver out"))
        }
    }
}

/// What machines that are made alike have in common.
pub(super) struct Requests {
    pub(super) driver: String,
    config: serde_json::Value,
    options: EngineOptions,
    /// Whether machines alone are wanted.
    bare: bool,
    /// How long they are wanted for.
    life: Option<Duration>,
    /// The fleet that they belong to.
    pub(super) fleet: Option<String>,
    /// What is run once each has joined that.
    pub(super) hooks: Vec<Hook>,
    /// Nothing but names stood on the command line: an unfinished machine is gone on with as it was begun.
    only_names: bool,
}

impl Requests {
    /// What `args` and the drivers' flags beside them mean.
    pub(super) fn new(args: &Args, given: &Given<'_>, cx: &Cx) -> Result<Self> {
        args.swarm.refuse()?;
        let usual = usual_driver(given.profile, cx);
        let asked = args.driver.as_deref().unwrap_or(usual);
        let driver = settings::find(&cx.build.drivers, asked)?.about().name.to_owned();
        let config = settings::configuration(&cx.build.drivers, asked, given)?;
        let only_names = args.says_nothing() && !settings::any_given(&cx.build.drivers, given.flags);
        let options = engine_options(args, given.world, cx)?;
        let life = args.ttl.as_deref().map(life).transpose().map_err(Error::usage)?;
        Ok(Self {
            driver,
            config,
            options,
            bare: args.no_bootstrap,
            life,
            fleet: None,
            hooks: Vec::new(),
            only_names,
        })
    }

    pub(super) fn of(&self, name: MachineName) -> CreateRequest {
        CreateRequest {
            name,
            driver: self.driver.clone(),
            config: self.config.clone(),
            options: self.options.clone(),
            expires: self.life,
            bare: self.bare,
            fleet: self.fleet.clone(),
            hooks: self.hooks.clone(),
        }
    }
}

/// The driver of machines that nobody names one for.
pub(super) fn usual_driver<'a>(cloud: Option<&'a Profile>, cx: &'a Cx) -> &'a str {
    let first = cx.build.drivers.first().map_or("", |entry| entry.about().name);
    cloud.map(|cloud| cloud.driver.as_str()).or(cx.config.driver.as_deref()).unwrap_or(first)
}

/// The file's, then the flags'; everything wrong is reported together.
fn engine_options(args: &Args, world: &World, cx: &Cx) -> Result<EngineOptions> {
    let file = &cx.config.file.engine;
    let both = |file: &[String], flags: &[String]| file.iter().chain(flags).cloned().collect::<Vec<_>>();
    let labels = both(&file.labels, &args.labels);
    let registry_mirrors = both(&file.registry_mirrors, &args.registry_mirrors);
    let mut mistakes: Vec<String> = Vec::new();
    if let Some(name) = args.storage_driver.as_ref().filter(|name| *name != "overlay2") {
        mistakes.push(format!("the engine has no storage driver `{name}`: it has overlay2"));
    }
    for label in &labels {
        if label.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
            mistakes.push(format!("engine label `{label}` is not KEY=VALUE"));
        }
    }
    for variable in &args.environment {
        let key = variable.split_once('=').map_or("", |(key, _)| key);
        let fits = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let named = key.chars().all(fits) && !key.starts_with(|c: char| c.is_ascii_digit());
        if key.is_empty() || !named || variable.contains(['\n', '\0']) {
            mistakes.push(format!("engine variable `{variable}` is not KEY=VALUE"));
        }
    }
    for mirror in &registry_mirrors {
        if !mirror.starts_with("http://") && !mirror.starts_with("https://") {
            mistakes.push(format!("registry mirror `{mirror}` is not an http:// or https:// address"));
        }
    }
    let mut registry_authorities = BTreeMap::new();
    for pair in &args.registry_authorities {
        match registry_authority(pair, world) {
            Ok((registry, authority)) => drop(registry_authorities.insert(registry, authority)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if !mistakes.is_empty() {
        return Err(Error::usage(mistakes.join("\n  ")));
    }
    let dashed =
        |option: &String| if option.starts_with('-') { option.clone() } else { format!("--{option}") };
    Ok(EngineOptions {
        labels,
        registry_mirrors,
        insecure_registries: both(&file.insecure_registries, &args.insecure_registries),
        registry_authorities,
        environment: args.environment.clone(),
        extra_names: args.extra_names.clone(),
        arguments: args.engine_options.iter().map(dashed).collect(),
        ..EngineOptions::default()
    })
}

/// A registry, and the authority in the file that it names.
pub(super) fn registry_authority(pair: &str, world: &World) -> Result<(String, String), String> {
    let Some((registry, file)) = pair.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err(format!("authority of a registry `{pair}` is not REGISTRY=FILE"));
    };
    let wrong =
        |error: &dyn std::fmt::Display| format!("authority of the registry `{registry}`, {file}: {error}");
    let text = std::fs::read_to_string(world.absolute(file)).map_err(|e| wrong(&e))?;
    let authority = wharf_core::registry_authority(registry, &text).map_err(|e| wrong(&e))?;
    Ok((registry.to_owned(), authority))
}

pub(super) async fn create(
    name: &MachineName,
    requests: &Requests,
    wants_context: bool,
    cx: &Cx,
    wharf: &Wharf,
    call: &Call,
) -> Result<Created> {
    let known = wharf.inspect(name).await.ok().map(|inspection| inspection.summary);
    let folder = DockerFolder::new(cx.config.docker.clone());
    if wants_context {
        folder
            .refuse_taken(&context_name(name.as_str()), known.as_ref().map(|summary| summary.id.as_str()))?;
    }
    if let Some(known) = known.as_ref().filter(|known| wants_context && known.life == Life::Ready) {
        complete(name, known.id.as_str(), cx, wharf).await;
    }
    let unfinished = known.is_some_and(|summary| summary.life == Life::Creating);
    let created = if unfinished && requests.only_names {
        wharf.resume(name, call).await?
    } else {
        wharf.create(&requests.of(name.clone()), call).await?
    };
    if wants_context && created.connection.life == Life::Ready {
        context::write_or_warn(cx, &created.connection);
    }
    Ok(created)
}

/// The create that made the machine may have been killed at its last deed, the context: what is missing is written before
/// another one is refused.
pub(super) async fn complete(name: &MachineName, id: &str, cx: &Cx, wharf: &Wharf) {
    let folder = DockerFolder::new(cx.config.docker.clone());
    if folder.is_ours(&context_name(name.as_str()), id) {
        return;
    }
    // What goes wrong is no news: the create that follows is refused either way.
    let Ok(connection) = wharf.connection(name).await else { return };
    if context::write(&folder, &connection).is_ok() {
        cx.ui.note(&format!("{name}: its docker context was missing, and is there now"));
    }
}

/// Shows what would be done, and asks whether it shall be. What was begun already is gone on with unasked.
async fn agree(
    agreed: bool,
    names: &[MachineName],
    requests: &Requests,
    cx: &Cx,
    wharf: &Wharf,
    call: &Call,
    board: &Board,
) -> Result<()> {
    if !agreed && !cx.ui.can_ask() {
        return Err(Error::usage("nobody is there to agree to what would be done")
            .hint("--dry-run shows it, --yes agrees to it beforehand"));
    }
    let mut fresh = Vec::new();
    for name in names {
        if wharf.inspect(name).await.is_err() {
            fresh.push(name.clone());
        }
    }
    if fresh.is_empty() || agreed && cx.ui.is_json() {
        return Ok(());
    }
    plan(&fresh, requests, cx, wharf, call, board).await?;
    if agreed
        || cx.ui.confirm("This is what will be done, and nothing else on the host is changed. Go on?")?
    {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, "nothing was done").hint("answer `y`, or give --yes"))
}

async fn plan(
    names: &[MachineName],
    requests: &Requests,
    cx: &Cx,
    wharf: &Wharf,
    call: &Call,
    board: &Board,
) -> Result<()> {
    let ends = each(cx, names, |name| {
        let request = requests.of(name.clone());
        async move {
            let steps = wharf.plan(&request, call).await;
            board.end(&name);
            Ok(steps?)
        }
    })
    .await;
    if cx.ui.is_json() {
        let rows: Vec<_> = ends
            .done
            .iter()
            .map(|(name, steps)| serde_json::json!({ "name": name, "steps": steps }))
            .collect();
        cx.ui.json(&rows)?;
    } else {
        let mut table = Table::new(&["MACHINE", "PART", "STEP", "WHAT"]);
        for (name, steps) in &ends.done {
            for step in steps {
                table.row([name.to_string(), step.part.to_owned(), step.verb.clone(), step.summary.clone()]);
            }
        }
        cx.ui.table(&table)?;
    }
    ends.end
}

/// What programs read of a machine that was made.
fn object(created: &Created) -> serde_json::Value {
    let timing =
        |timing: &Timing| serde_json::json!({ "phase": timing.what, "milliseconds": timing.milliseconds });
    let connection = &created.connection;
    serde_json::json!({
        "name": connection.name,
        "id": connection.id,
        "driver": connection.driver,
        "url": connection.url,
        "certificates": connection.certificates,
        "resumed": created.resumed,
        "timings": created.timings.iter().map(timing).collect::<Vec<_>>(),
    })
}

fn say_how_to_go_on(name: &MachineName, has_context: bool, cx: &Cx) {
    cx.ui.note("");
    if has_context {
        let context = context_name(name.as_str());
        cx.ui.note(&format!("Use it from any terminal:  docker --context {context} run --rm hello-world"));
        cx.ui.note(&format!("or make this one's default: eval \"$(wharf env {name})\""));
    } else {
        cx.ui.note(&format!(
            "Use it from this terminal:  eval \"$(wharf env {name})\" && docker run --rm hello-world"
        ));
    }
}
