//! What a person set for a driver, put together from flags, environment and file, and handed to the driver to parse.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;
use wharf_driver::{About, Configure, Factory, Mistake, Profile, Setting, Settings, Takes};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::world::World;

/// The variable that names the guest image.
pub(crate) const GUEST: &str = "WHARF_GUEST";

/// By what things can be set.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) flags: &'a ArgMatches,
    /// The place that is meant, where one was set up.
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) config: &'a Config,
    pub(crate) world: &'a World,
}

/// One driver as the program knows it: how to connect to it, and what can be set.
#[derive(Clone)]
pub struct Entry {
    pub(crate) factory: Factory,
    settings: &'static [Setting],
    place: Option<&'static str>,
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
            place: D::PLACE,
            configure: configure::<D>,
            supervise: None,
        }
    }

    /// A driver that this build does not have, for whoever describes it: nothing connects to it.
    #[must_use]
    pub fn absent(about: About, settings: &'static [Setting], place: Option<&'static str>) -> Self {
        let configure = |_: &Settings| Err(vec![Mistake::new("driver", "this build does not have it")]);
        Self { factory: Factory::absent(about), settings, place, configure, supervise: None }
    }

    /// Adds the supervisor that this driver's machines have, given a machine's folder.
    #[must_use]
    pub fn supervised_by(self, supervise: fn(&Path) -> ExitCode) -> Self {
        Self { supervise: Some(supervise), ..self }
    }

    /// What the driver is.
    #[must_use]
    pub fn about(&self) -> About {
        self.factory.about()
    }

    /// The setting that is the address of a place, where a person can set up such.
    pub(crate) const fn place(&self) -> Option<&'static str> {
        self.place
    }

    /// Everything that can be set.
    #[must_use]
    pub const fn settings(&self) -> &'static [Setting] {
        self.settings
    }

    /// The configuration of somebody who set these and nothing else.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub(crate) fn configured(&self, set: &Settings) -> Result<Value> {
        (self.configure)(set).map_err(|wrong| {
            let wrong: Vec<String> = wrong.iter().map(|mistake| mistake.message.clone()).collect();
            Error::failed(wrong.join("\n  "))
        })
    }

    /// The flags that this driver adds to `create`.
    fn flags(&self, command: Command) -> Command {
        let heading = format!("Options of --driver {}", self.about().name);
        self.settings
            .iter()
            .fold(command, |command, setting| command.arg(flag(setting).help_heading(heading.clone())))
    }

    /// What was set: by flags, by the profile of the place, in the environment, or in the file, in this order. What
    /// is the person's alone is here, too.
    pub(crate) fn set(&self, given_by: &Given<'_>) -> Settings {
        let Given { flags, profile, config, world } = *given_by;
        let about = self.about();
        let section = config.file.drivers.get(about.name);
        let mut set = Settings::default();
        for setting in self.settings {
            let values = given(flags, setting)
                .or_else(|| {
                    Some(profile?.settings.list(setting.flag)).filter(|v| !v.is_empty()).map(Vec::from)
                })
                .or_else(|| {
                    setting.env.iter().find_map(|var| world.var(var)).map(|value| spread(setting, value))
                })
                .or_else(|| Some(section?.get(key(setting, about.name))?.texts()));
            if let Some(values) = values {
                set.set(setting.flag, values.iter().map(|value| spelled(setting, value, world)).collect());
            }
        }
        set
    }

    /// The driver's configuration from everything that was set, as the journal will hold it.
    fn gather(&self, given_by: &Given<'_>) -> Result<Value> {
        let config = given_by.config;
        let about = self.about();
        let mut set = self.set(given_by);
        let section = config.file.drivers.get(about.name);
        let mut mistakes = Vec::new();
        for setting in self.settings {
            if setting.takes.is_personal() {
                // It goes to the driver by the session: see `environment`.
                set.set(setting.flag, Vec::new());
            } else if set.list(setting.flag).is_empty()
                && let Some(values) = found(setting, config).or_else(|| usual(setting, given_by.world))
            {
                set.set(
                    setting.flag,
                    values.iter().map(|value| spelled(setting, value, given_by.world)).collect(),
                );
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
pub(crate) fn configuration(drivers: &[Entry], name: &str, given_by: &Given<'_>) -> Result<Value> {
    let chosen = find(drivers, name)?;
    let flags = given_by.flags;
    for other in drivers.iter().filter(|entry| entry.about().name != chosen.about().name) {
        if let Some(stray) = other.settings.iter().find(|setting| given(flags, setting).is_some()) {
            let (flag, owner) = (stray.flag, other.about().name);
            return Err(Error::usage(format!("--{flag} is for driver `{owner}`, and this is `{name}`"))
                .hint(format!("add `--driver {owner}`, or leave it out")));
        }
    }
    chosen.gather(given_by)
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
        let personal = entry.settings.iter().filter(|setting| setting.takes.is_personal());
        for setting in personal {
            let Some(first) = setting.env.first() else { continue };
            let value = flags
                .and_then(|flags| given(flags, setting))
                .and_then(|values| values.into_iter().next_back())
                .or_else(|| setting.env.iter().find_map(|var| world.var(var)).map(str::to_owned))
                .or_else(|| section?.get(key(setting, about.name))?.texts().into_iter().next_back())
                .or_else(|| setting.default.map(str::to_owned));
            if let Some(value) = value {
                environment.insert((*first).to_owned(), spelled(setting, &value, world));
            }
        }
    }
    environment
}

/// What stands on the command line counts before what a profile says.
pub(crate) fn overrule(drivers: &[Entry], flags: &ArgMatches, profiles: &mut [Profile]) {
    for setting in drivers.iter().flat_map(|entry| entry.settings).filter(|s| s.takes.is_personal()) {
        if let (Some(_), Some(variable)) = (given(flags, setting), setting.env.first()) {
            for profile in &mut *profiles {
                profile.personal.remove(*variable);
            }
        }
    }
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
    let terminal = setting.at_terminal.map(|value| format!("; {value} at a terminal")).unwrap_or_default();
    let default = setting.default.map(|value| format!(" [default: {value}{terminal}]")).unwrap_or_default();
    let arg = Arg::new(setting.flag)
        .long(setting.flag)
        .aliases(setting.aliases.iter().copied())
        .help(format!("{}{default}{env}", sentence(setting.help)));
    match setting.takes {
        Takes::Text(name)
        | Takes::Path(name)
        | Takes::Personal(name)
        | Takes::PersonalPath(name)
        | Takes::Secret(name) => arg.value_name(name).action(ArgAction::Set),
        Takes::List(name) | Takes::Paths(name) => arg.value_name(name).action(ArgAction::Append),
        Takes::Switch => arg.action(ArgAction::SetTrue),
    }
}

/// With a capital, as every other line of `--help`.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What the command line says; a switch says something only when it is on.
pub(crate) fn given(flags: &ArgMatches, setting: &Setting) -> Option<Vec<String>> {
    // Not every command that takes drivers' flags takes those of all drivers.
    if setting.takes == Takes::Switch {
        let on = flags.try_get_one::<bool>(setting.flag).ok()??;
        return on.then(|| vec!["true".to_owned()]);
    }
    Some(flags.try_get_many::<String>(setting.flag).ok()??.cloned().collect())
}

/// The guest image that came with the program stands in for whatever asks for one by its variable.
fn found(setting: &Setting, config: &Config) -> Option<Vec<String>> {
    let guest = config.guest.as_ref().filter(|_| setting.env.contains(&GUEST))?;
    Some(vec![guest.display().to_string()])
}

/// What holds when nobody sets it.
fn usual(setting: &Setting, world: &World) -> Option<Vec<String>> {
    let sits_there = world.terminal.stdin && world.terminal.stderr;
    let default = setting.at_terminal.filter(|_| sits_there).or(setting.default)?;
    let homeless = matches!(setting.takes, Takes::Paths(_)) && default == HOME && world.home.is_none();
    if homeless {
        return None;
    }
    Some(vec![default.to_owned()])
}

/// Several values in one variable are parted by commas, as docker-machine did.
fn spread(setting: &Setting, value: &str) -> Vec<String> {
    match setting.takes {
        Takes::List(_) | Takes::Paths(_) => {
            value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        Takes::Switch => vec![(!matches!(value, "0" | "false" | "no" | "off")).to_string()],
        _ => vec![value.to_owned()],
    }
}

pub(crate) fn spelled(setting: &Setting, value: &str, world: &World) -> String {
    match setting.takes {
        Takes::Path(_) | Takes::PersonalPath(_) if !value.is_empty() => {
            world.absolute(value).display().to_string()
        }
        Takes::Paths(_) => folder(value, world),
        _ => value.to_owned(),
    }
}

/// The word for the person's own folder.
const HOME: &str = "home";

/// A folder as the person wrote it, with what may be done there behind a colon.
fn folder(value: &str, world: &World) -> String {
    let (path, behind) = match value.rsplit_once(':') {
        Some((path, behind)) if !behind.contains('/') => (path, format!(":{behind}")),
        _ => (value, String::new()),
    };
    match (path, &world.home) {
        ("none", _) => value.to_owned(),
        (HOME, Some(home)) => format!("{HOME}:{}{behind}", home.display()),
        _ => format!("{}{behind}", world.absolute(path).display()),
    }
}

/// What a setting is called in the file: its flag without the driver's name.
pub(crate) fn key(setting: &Setting, driver: &str) -> &'static str {
    setting.flag.strip_prefix(driver).and_then(|rest| rest.strip_prefix('-')).unwrap_or(setting.flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_absolute_and_keep_what_stands_behind_them() {
        let mut world = World::real().seen_from("/srv/shop".into());
        world.home = Some("/home/ann".into());
        for (typed, means) in [
            ("src:rw", "/srv/shop/src:rw"),
            ("~/src", "/home/ann/src"),
            ("~:rw", "/home/ann:rw"),
            ("/a:b/c", "/a:b/c"),
            ("home", "home:/home/ann"),
            ("home:rw", "home:/home/ann:rw"),
            ("none", "none"),
        ] {
            assert_eq!(folder(typed, &world), means, "{typed}");
        }
        let driver = crate::drivers::all().into_iter().find(|entry| entry.about().name == "local").unwrap();
        let mount = driver.settings().iter().find(|setting| setting.flag == "local-mount").unwrap();
        assert_eq!(usual(mount, &world), Some(vec!["home".to_owned()]));
        world.home = None;
        assert_eq!(usual(mount, &world), None, "who has no home shares none");
    }
}
