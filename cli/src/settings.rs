//! What a person set for a driver, put together from flags, environment and file, and handed to the driver to parse.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;
use wharf_driver::{About, Configure, Factory, Mistake, Setting, Settings, Takes};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::world::World;

/// The variable that names the guest image.
pub(crate) const GUEST: &str = "WHARF_GUEST";

/// One driver as the program knows it: how to connect to it, and what can be set.
#[derive(Clone)]
pub struct Entry {
    pub(crate) factory: Factory,
    settings: &'static [Setting],
    configure: fn(&Settings) -> Result<Value, Vec<Mistake>>,
    /// What keeps a machine's processes going after the command has ended, for drivers that have such.
    pub(crate) supervise: Option<fn(&Path) -> ExitCode>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.factory).finish()
    }
}

impl Entry {
    /// The entry of `D`.
    #[must_use]
    pub fn of<D: Configure>() -> Self {
        Self {
            factory: Factory::of::<D>(),
            settings: D::SETTINGS,
            configure: configure::<D>,
            supervise: None,
        }
    }

    /// Adds the supervisor that this driver's machines have, given a machine's folder.
    #[must_use]
    pub fn supervised_by(self, supervise: fn(&Path) -> ExitCode) -> Self {
        Self { supervise: Some(supervise), ..self }
    }

    pub(crate) fn about(&self) -> About {
        self.factory.about()
    }

    /// The flags that this driver adds to `create`.
    fn flags(&self, command: Command) -> Command {
        let heading = format!("Options of --driver {}", self.about().name);
        self.settings
            .iter()
            .fold(command, |command, setting| command.arg(flag(setting).help_heading(heading.clone())))
    }

    /// The driver's configuration from everything that was set, as the journal will hold it.
    fn gather(&self, flags: &ArgMatches, config: &Config, world: &World) -> Result<Value> {
        let about = self.about();
        let mut set = Settings::default();
        let mut mistakes = Vec::new();
        let section = config.file.drivers.get(about.name);
        for setting in self.settings {
            let values = given(flags, setting)
                .or_else(|| {
                    setting.env.iter().find_map(|var| world.var(var)).map(|value| spread(setting, value))
                })
                .or_else(|| Some(section?.get(key(setting, about.name))?.texts()))
                .or_else(|| found(setting, config))
                .or_else(|| setting.default.map(|value| vec![value.to_owned()]));
            // What is the person's alone goes to the driver by the session: see `environment`.
            if let (Some(values), false) = (values, matches!(setting.takes, Takes::Personal(_))) {
                set.set(setting.flag, values.iter().map(|value| spelled(setting, value, world)).collect());
            }
        }
        for unknown in section.into_iter().flat_map(|section| section.keys()) {
            if !self.settings.iter().any(|setting| key(setting, about.name) == unknown) {
                mistakes.push(format!(
                    "the configuration file sets `{unknown}`, which driver `{}` does not have",
                    about.name
                ));
            }
        }
        let config = (self.configure)(&set).map_err(|wrong| {
            mistakes
                .extend(wrong.into_iter().map(|Mistake { flag, message }| format!("--{flag}: {message}")));
        });
        match config {
            Ok(config) if mistakes.is_empty() => Ok(config),
            _ => Err(Error::usage(mistakes.join("\n  "))
                .hint(format!("`wharf create --help` lists what driver `{}` takes", about.name))),
        }
    }
}

/// Adds every driver's flags to `create`.
pub(crate) fn add_flags(drivers: &[Entry], command: Command) -> Command {
    drivers.iter().fold(command, |command, entry| entry.flags(command))
}

/// The driver called `name`.
pub(crate) fn find<'a>(drivers: &'a [Entry], name: &str) -> Result<&'a Entry> {
    drivers.iter().find(|entry| entry.factory.answers_to(name)).ok_or_else(|| {
        let names: Vec<&str> = drivers.iter().map(|entry| entry.about().name).collect();
        Error::usage(format!("there is no driver `{name}`"))
            .hint(format!("the drivers of this build are {}", names.join(", ")))
    })
}

/// The configuration of driver `name`, from everything that was set.
pub(crate) fn configuration(
    drivers: &[Entry],
    name: &str,
    flags: &ArgMatches,
    config: &Config,
    world: &World,
) -> Result<Value> {
    let chosen = find(drivers, name)?;
    for other in drivers.iter().filter(|entry| entry.about().name != chosen.about().name) {
        if let Some(stray) = other.settings.iter().find(|setting| given(flags, setting).is_some()) {
            let (flag, owner) = (stray.flag, other.about().name);
            return Err(Error::usage(format!("--{flag} is for driver `{owner}`, and this is `{name}`"))
                .hint(format!("add `--driver {owner}`, or leave it out")));
        }
    }
    chosen.gather(flags, config, world)
}

/// The environment as drivers see it: what the person set for them alone, by flag or in the file, stands there under
/// the setting's first variable.
pub(crate) fn environment(
    drivers: &[Entry],
    flags: Option<&ArgMatches>,
    config: &Config,
    world: &World,
) -> BTreeMap<String, String> {
    let mut environment = world.env.clone();
    for entry in drivers {
        let about = entry.about();
        let section = config.file.drivers.get(about.name);
        let personal = entry.settings.iter().filter(|setting| matches!(setting.takes, Takes::Personal(_)));
        for setting in personal {
            let Some(first) = setting.env.first() else { continue };
            let value = flags
                .and_then(|flags| given(flags, setting))
                .and_then(|values| values.into_iter().next_back())
                .or_else(|| setting.env.iter().find_map(|var| world.var(var)).map(str::to_owned))
                .or_else(|| section?.get(key(setting, about.name))?.texts().into_iter().next_back())
                .or_else(|| setting.default.map(str::to_owned));
            if let Some(value) = value {
                environment.insert((*first).to_owned(), value);
            }
        }
    }
    environment
}

/// Whether any driver's flag stands on the command line.
pub(crate) fn any_given(drivers: &[Entry], flags: &ArgMatches) -> bool {
    drivers.iter().flat_map(|entry| entry.settings).any(|setting| given(flags, setting).is_some())
}

fn configure<D: Configure>(set: &Settings) -> Result<Value, Vec<Mistake>> {
    let config = D::configure(set)?;
    serde_json::to_value(&config)
        .map_err(|e| vec![Mistake::new("driver", format!("its settings cannot be written down: {e}"))])
}

fn flag(setting: &'static Setting) -> Arg {
    let env = setting.env.first().map(|var| format!(" [env: {var}]")).unwrap_or_default();
    let default = setting.default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
    let arg = Arg::new(setting.flag)
        .long(setting.flag)
        .aliases(setting.aliases.iter().copied())
        .help(format!("{}{default}{env}", sentence(setting.help)));
    match setting.takes {
        Takes::Text(name) | Takes::Path(name) | Takes::Personal(name) => {
            arg.value_name(name).action(ArgAction::Set)
        }
        Takes::List(name) => arg.value_name(name).action(ArgAction::Append),
        Takes::Switch => arg.action(ArgAction::SetTrue),
    }
}

/// With a capital, as every other line of `--help`.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the command line says; a switch says something only when it is on.
fn given(flags: &ArgMatches, setting: &Setting) -> Option<Vec<String>> {
    if setting.takes == Takes::Switch {
        return flags.get_flag(setting.flag).then(|| vec!["true".to_owned()]);
    }
    Some(flags.get_many::<String>(setting.flag)?.cloned().collect())
}

/// The guest image that came with the program stands in for whatever asks for one by its variable.
fn found(setting: &Setting, config: &Config) -> Option<Vec<String>> {
    let guest = config.guest.as_ref().filter(|_| setting.env.contains(&GUEST))?;
    Some(vec![guest.display().to_string()])
}

/// Several values in one variable are parted by commas, as docker-machine did.
fn spread(setting: &Setting, value: &str) -> Vec<String> {
    match setting.takes {
        Takes::List(_) => {
            value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        Takes::Switch => vec![(!matches!(value, "0" | "false" | "no" | "off")).to_string()],
        Takes::Text(_) | Takes::Path(_) | Takes::Personal(_) => vec![value.to_owned()],
    }
}

fn spelled(setting: &Setting, value: &str, world: &World) -> String {
    match setting.takes {
        Takes::Path(_) if !value.is_empty() => world.absolute(value).display().to_string(),
        _ => value.to_owned(),
    }
}

/// What a setting is called in the file: its flag without the driver's name.
fn key(setting: &Setting, driver: &str) -> &'static str {
    setting.flag.strip_prefix(driver).and_then(|rest| rest.strip_prefix('-')).unwrap_or(setting.flag)
}
