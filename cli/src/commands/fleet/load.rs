//! From files to requests: every group of machines as the `create` that it stands for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wharf_core::{CreateRequest, MachineName};
use wharf_driver::Takes;
use wharf_fleet::{Declared, Fleet, Mistakes, Place, Placed, Source, nearest};

use super::certificates::{self, Wanted};
use super::{Files, fleet_name, hooks};
use crate::args::{self, Verb};
use crate::clouds::Clouds;
use crate::commands::Cx;
use crate::commands::create::{self, Requests};
use crate::error::{Error, Result};
use crate::settings::{self, Entry, Given};
use crate::world::World;

/// A fleet as it is wanted.
pub(crate) struct Loaded {
    /// Its name.
    pub(crate) name: MachineName,
    /// Where the first of its files is.
    pub(crate) folder: PathBuf,
    /// Its machines in the order of the file.
    pub(crate) requests: Vec<CreateRequest>,
    /// The certificates that others are to have.
    pub(crate) certificates: Vec<Wanted>,
    /// How each is made.
    groups: Vec<Group>,
    machines: BTreeMap<MachineName, usize>,
}

/// Machines that are made alike.
pub(crate) struct Group {
    pub(crate) requests: Requests,
    /// Whether a docker context is written.
    pub(crate) context: bool,
}

impl Loaded {
    /// How the machine is made; `None` when it is not declared.
    pub(crate) fn group(&self, name: &MachineName) -> Option<&Group> {
        self.groups.get(*self.machines.get(name)?)
    }
}

/// Reads the files and works out what every machine should be.
///
/// # Errors
/// Everything that is wrong in the files, each at its place.
pub(crate) fn load(files: &Files, clouds: &Clouds, cx: &Cx) -> Result<Loaded> {
    let paths: Vec<PathBuf> = files.files.iter().map(|file| cx.world.absolute(file)).collect();
    let mut sources = Vec::with_capacity(paths.len());
    for (path, name) in paths.iter().zip(&files.files) {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::usage(format!("the fleet file `{name}` cannot be read: {e}"))
                .hint("-f FILE names another one; `wharf schema` says what stands in it")
        })?;
        sources.push(Source { name: name.clone(), text });
    }
    let variable = |name: &str| cx.world.env.get(name).cloned();
    let fleet = wharf_fleet::read(sources, &variable).map_err(|wrong| refused(&wrong))?;
    // Files that a setting names stand beside the fleet's.
    let folder = paths.first().and_then(|path| path.parent()).unwrap_or_else(|| Path::new("/"));
    let world = cx.world.seen_from(folder.to_owned());
    let mut reader = Reader { fleet: &fleet, clouds, world: &world, cx, mistakes: Mistakes::default() };
    let mut loaded = Loaded {
        name: fleet_name(&fleet.name.value)?,
        folder: folder.to_owned(),
        requests: Vec::with_capacity(fleet.machines.len()),
        certificates: Vec::with_capacity(fleet.certificates.len()),
        groups: Vec::new(),
        machines: BTreeMap::new(),
    };
    let mut known: Option<&Declared> = None;
    for declared in &fleet.machines {
        if known.is_none_or(|before| before.pattern != declared.pattern) {
            known = Some(declared);
            let Some(group) = reader.group(declared) else { continue };
            loaded.groups.push(group);
        }
        let (Some(group), index) = (loaded.groups.last(), loaded.groups.len().saturating_sub(1)) else {
            continue;
        };
        loaded.requests.push(group.requests.of(declared.name.clone()));
        loaded.machines.insert(declared.name.clone(), index);
    }
    for declared in &fleet.certificates {
        match certificates::wanted(declared, &world, |name| loaded.machines.contains_key(name)) {
            Ok(wanted) => loaded.certificates.push(wanted),
            Err((at, mistake)) => reader.wrong(at.at, mistake),
        }
    }
    if reader.mistakes.is_empty() { Ok(loaded) } else { Err(refused(&reader.mistakes)) }
}

fn refused(wrong: &Mistakes) -> Error {
    Error::usage(wrong.to_string())
        .hint("nothing was done; `wharf schema` prints what a fleet file holds, for editors, too")
}

struct Reader<'a> {
    fleet: &'a Fleet,
    clouds: &'a Clouds,
    world: &'a World,
    cx: &'a Cx,
    mistakes: Mistakes,
}

impl Reader<'_> {
    fn wrong(&mut self, at: Place, message: impl Into<String>) {
        self.mistakes.add(self.fleet.sources.mistake(at, message));
    }

    /// What the machines of this pattern come to.
    fn group(&mut self, declared: &Declared) -> Option<Group> {
        let wish = &declared.wish;
        let entry = self.driver(declared)?;
        let mut line: Vec<OsString> = vec!["wharf".into(), "create".into()];
        let mut flag = |name: &str, value: &str| line.push(format!("--{name}={value}").into());
        if wish.driver.is_some() {
            flag("driver", entry.about().name);
        }
        for (name, values) in [
            ("cloud", wish.cloud.as_slice()),
            ("engine-label", &wish.labels),
            ("engine-registry-mirror", &wish.registry_mirrors),
            ("engine-insecure-registry", &wish.insecure_registries),
            ("engine-registry-ca", &wish.registry_authorities),
            ("engine-opt", &wish.engine_options),
            ("engine-env", &wish.environment),
            ("tls-san", &wish.names),
            ("ttl", wish.ttl.as_slice()),
        ] {
            values.iter().for_each(|value| flag(name, &value.value));
        }
        if wish.bare {
            line.push("--no-bootstrap".into());
        }
        for (key, values) in &wish.options {
            line.extend(self.option(&entry, key, values).into_iter().map(OsString::from));
        }
        for pair in &wish.registry_authorities {
            if let Err(mistake) = create::registry_authority(&pair.value, self.world) {
                self.wrong(pair.at, mistake);
            }
        }
        line.push(declared.name.as_str().into());
        let mut hooks = Vec::with_capacity(wish.hooks.len());
        for declared in &wish.hooks {
            match hooks::hook(declared) {
                Ok(hook) => hooks.push(hook),
                Err(mistake) => {
                    let at = declared.timeout.as_ref().map_or(declared.name.at, |timeout| timeout.at);
                    self.wrong(at, mistake);
                }
            }
        }
        let requests = if self.mistakes.is_empty() { self.requests(line) } else { return None };
        match requests {
            Ok(mut requests) => {
                requests.fleet = Some(self.fleet.name.value.clone());
                requests.hooks = hooks;
                let context = wish.context.unwrap_or(self.cx.config.context) && !wish.bare;
                Some(Group { requests, context })
            }
            Err(error) => {
                self.blame(declared, &entry, &error);
                None
            }
        }
    }

    /// As `create` reads its command line.
    fn requests(&self, line: Vec<OsString>) -> Result<Requests> {
        let parsed = args::parse(line, &self.cx.build.drivers)
            .map_err(|wrong| Error::usage(wrong.to_string().trim_start_matches("error: ").to_owned()))?;
        let (Verb::Create(args), Some(flags)) = (parsed.verb, parsed.driver_flags) else {
            return Err(Error::failed("a group of machines was not read as a create"));
        };
        let profile = create::cloud(&args, self.cx, self.clouds)?;
        let given = Given { flags: &flags, profile, config: &self.cx.config, world: self.world };
        Requests::new(&args, &given, self.cx)
    }

    fn driver(&mut self, declared: &Declared) -> Option<Entry> {
        let wish = &declared.wish;
        let cloud = match &wish.cloud {
            None => None,
            Some(name) => match self.clouds.find(&name.value) {
                Ok(cloud) => Some(cloud),
                Err(error) => {
                    self.wrong(name.at, format!("{error}: {}", error.advice()));
                    return None;
                }
            },
        };
        let usual = create::usual_driver(cloud, self.cx);
        let (asked, at) = match &wish.driver {
            Some(driver) => (driver.value.as_str(), driver.at),
            None => (usual, declared.pattern.at),
        };
        match settings::find(&self.cx.build.drivers, asked) {
            Ok(entry) => Some(entry.clone()),
            Err(error) => {
                self.wrong(at, format!("{error}: {}", error.advice()));
                None
            }
        }
    }

    /// One option as flags.
    fn option(&mut self, entry: &Entry, key: &Placed<String>, values: &[Placed<String>]) -> Vec<String> {
        let driver = entry.about().name;
        let name = key.value.as_str();
        let named = |setting: &&wharf_driver::Setting| {
            settings::key(setting, driver) == name || setting.flag == name || setting.aliases.contains(&name)
        };
        let Some(setting) = entry.settings().iter().find(named) else {
            let known = entry.settings().iter().map(|setting| settings::key(setting, driver));
            let near =
                nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.wrong(key.at, format!("driver `{driver}` has no option `{name}`{near}"));
            return Vec::new();
        };
        if setting.takes.is_personal() {
            let variable = setting.env.first().map(|var| format!("{var} or ")).unwrap_or_default();
            let message =
                format!("`{name}` is a person's own and no fleet's: set it by {variable}`wharf cloud add`");
            self.mistakes.add(self.fleet.sources.mistake(key.at, message).without_line());
            return Vec::new();
        }
        if values.len() > 1 && !matches!(setting.takes, Takes::List(_) | Takes::Paths(_)) {
            self.wrong(key.at, format!("`{name}` takes one value, and these are {}", values.len()));
        }
        let mut flags = Vec::with_capacity(values.len());
        for value in values {
            match (setting.takes, value.value.as_str()) {
                (Takes::Switch, "true") => flags.push(format!("--{}", setting.flag)),
                (Takes::Switch, "false") => {}
                (Takes::Switch, _) => self.wrong(value.at, format!("`{name}` is true or false")),
                (_, text) => flags.push(format!("--{}={text}", setting.flag)),
            }
        }
        flags
    }

    /// Shows what is wrong with a group at the options that it names, else at the group.
    fn blame(&mut self, declared: &Declared, entry: &Entry, error: &Error) {
        let driver = entry.about().name;
        for line in error.message.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let names = |(key, _): &&(Placed<String>, Vec<Placed<String>>)| {
                let flag = entry
                    .settings()
                    .iter()
                    .find(|setting| settings::key(setting, driver) == key.value || setting.flag == key.value);
                flag.is_some_and(|setting| line.contains(&format!("--{}:", setting.flag)))
            };
            let option = declared.wish.options.iter().find(names);
            match option {
                Some((key, _)) => {
                    let message = line.split_once(": ").map_or(line, |(_, message)| message);
                    self.wrong(key.at, format!("`{}`: {message}", key.value));
                }
                None => self.wrong(declared.pattern.at, line.to_owned()),
            }
        }
    }
}
