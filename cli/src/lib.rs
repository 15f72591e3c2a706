//! The program a person types: the grammar, the verbs, and everything printed.
//!
//! [`run`] takes the arguments and a [`World`] and ends with an exit code; it touches nothing that is not in them, so a
//! test runs whole commands without a process. The order is always the same: parse → configure → open the store →
//! one verb → say how it ended.
#![forbid(unsafe_code)]

mod args;
mod child;
mod clouds;
mod commands;
mod completions;
mod config;
pub mod describe;
mod docker;
mod docker_machine;
mod drivers;
mod error;
mod files;
mod interrupt;
mod keyring;
mod log;
mod mounts;
mod settings;
mod shared;
mod shell;
mod sign_ins;
mod ui;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use wharf_core::{Setup, Wharf};

pub use keyring::Open as OpenKeyring;
pub use settings::Entry;
pub use world::{Terminal, World};

use commands::Cx;
use config::Config;
use error::{Error, Result};
use ui::{Events, Forge, Groups, Output, Ui};

/// What this program is made of, beside its own code.
#[derive(Debug, Clone)]
pub struct Build {
    /// The drivers, the default one first.
    pub drivers: Vec<Entry>,
    /// Opens the store.
    pub open: fn(Setup) -> Wharf,
    /// Opens the keyring of the operating system.
    pub keyring: keyring::Open,
    /// Reaches the objects of a shared store.
    pub objects: wharf_objects::Connect,
}

impl Build {
    /// The build that people run.
    #[must_use]
    pub fn standard() -> Self {
        Self { drivers: drivers::all(), open: Wharf::open, keyring: keyring::open, objects: shared::connect }
    }
}

/// Runs one command.
pub fn run(args: impl IntoIterator<Item = OsString>, world: World) -> ExitCode {
    run_with(args, world, &Build::standard())
}

/// Runs one command with the drivers and the store of `build`.
pub fn run_with(args: impl IntoIterator<Item = OsString>, world: World, build: &Build) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let typed: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if docker_machine::is_called(&mut args) {
        return run_as_docker_machine(&args, typed, world, build);
    }
    run_line(args, typed, None, world, build)
}

/// Runs a command line that was typed for docker-machine.
fn run_as_docker_machine(args: &[OsString], typed: Vec<String>, mut world: World, build: &Build) -> ExitCode {
    docker_machine::take_up_environment(&mut world);
    let read = docker_machine::Typed::read(args, &build.drivers);
    if let Some(mistake) = read.mistake() {
        let ui = Ui::new(world.streams(), world.terminal, Output::Text, false).for_docker_machine();
        ui.error(&Error::failed(mistake), None);
        return ExitCode::FAILURE;
    }
    if read.asks_for_version() {
        let ui = Ui::new(world.streams(), world.terminal, Output::Text, false);
        return ended(&ui, ui.raw(&docker_machine::version()));
    }
    run_line(read.line.clone(), typed, Some(read), world, build)
}

fn run_line(
    args: Vec<OsString>,
    typed: Vec<String>,
    docker_machine: Option<docker_machine::Typed>,
    mut world: World,
    build: &Build,
) -> ExitCode {
    let streams = world.streams();
    if let Some(answer) = completions::answer(&args, &world, &build.drivers) {
        let ui = Ui::new(streams, world.terminal, Output::Text, false);
        return ended(&ui, answer.and_then(|answer| ui.raw(&answer)));
    }
    let parsed = match args::parse(args, &build.drivers) {
        Ok(parsed) => parsed,
        Err(answer) => return answer_grammar(&answer, docker_machine.is_some(), streams, &world),
    };
    if let args::Verb::Supervise(args) = &parsed.verb {
        return commands::supervise::run(args, &build.drivers);
    }
    let config = match Config::resolve(&parsed.global, &world) {
        Ok(config) => config,
        Err(error) => {
            let output = parsed.global.output.map(Into::into).unwrap_or_default();
            let ui = Ui::new(streams, world.terminal, output, false);
            return ended(&ui, Err(error));
        }
    };
    let ui = Ui::new(streams, world.terminal, config.output, config.colour);
    let ui = match (&docker_machine, parsed.global.events) {
        (Some(_), _) => ui.for_docker_machine(),
        (None, Some(_)) => ui.with_events(Events::new(world.clock)),
        (None, None) => match Forge::of(|name| world.var(name)) {
            Some(forge) => ui.in_groups(Groups::new(forge, world.clock)),
            None => ui,
        },
    };
    let ui = Arc::new(ui);
    log::start(&ui, config.debug);
    let done = verb(parsed, typed, docker_machine.clone(), config, &ui, world, build);
    match (docker_machine, done) {
        (Some(typed), Err(error)) => {
            if !error.told || error.status().is_some() {
                ui.error(&error, None);
            }
            docker_machine::code(&typed, &error)
        }
        (_, done) => ended(&ui, done),
    }
}

fn verb(
    parsed: args::Parsed,
    typed: Vec<String>,
    docker_machine: Option<docker_machine::Typed>,
    config: Config,
    ui: &Arc<Ui>,
    world: World,
    build: &Build,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::failed("no threads to run on").caused_by(&e))?;
    let done = runtime.block_on(async {
        let cancel = tokio_util::sync::CancellationToken::new();
        // A shell on a machine, and what runs beside a tunnel, get their interrupts themselves.
        if !matches!(
            parsed.verb,
            args::Verb::Ssh(_) | args::Verb::Logs(_) | args::Verb::Scp(_) | args::Verb::Tunnel(_)
        ) {
            interrupt::watch(ui, &cancel);
        }
        let shared = match &config.shared {
            Some(address) => Some(shared::open(address, &config, &world, build).await?),
            None => None,
        };
        let cx = Cx {
            shared: shared.clone(),
            config,
            ui: Arc::clone(ui),
            world,
            build: build.clone(),
            cancel,
            typed,
            docker_machine,
            driver_flags: parsed.driver_flags,
        };
        if let Some(typed) = &cx.docker_machine {
            typed.check(&cx).await?;
        }
        let done = commands::run(parsed.verb, &cx).await;
        if let Some(shared) = &shared {
            shared::let_go(shared).await;
        }
        done
    });
    // What still blocks a thread after a cancelled command (a connection being refused slowly) is not waited for.
    runtime.shutdown_background();
    done
}

fn ended(ui: &Ui, done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.told {
                ui.error(&error, None);
            }
            error.code()
        }
    }
}

/// `--help` and `--version` are answers, the rest is wrong usage.
fn answer_grammar(
    answer: &clap::Error,
    as_docker_machine: bool,
    streams: ui::Streams,
    world: &World,
) -> ExitCode {
    let to_stderr = answer.use_stderr();
    let seen = if to_stderr { world.terminal.stderr } else { world.terminal.stdout };
    let colour = seen && world.var("NO_COLOR").is_none();
    let text = if colour { answer.render().ansi().to_string() } else { answer.render().to_string() };
    let ui = Ui::new(streams, world.terminal, Output::Text, colour);
    if to_stderr {
        ui.sentence(&text);
        let code = if as_docker_machine { 1 } else { wharf_core::Kind::Usage.exit_code() };
        return ExitCode::from(code);
    }
    ended(&ui, ui.raw(&text))
}
