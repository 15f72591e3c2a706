//! `wharf cloud add`: asks an address what it is, signs in there, and writes both down.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use wharf_core::{MachineName, Secret};
use wharf_driver::{Setting, Settings, Survey, Takes};

use super::{Cx, secret_name};
use crate::clouds::{At, File, Word, cloud_name, usual_name};
use crate::error::{Error, Result};
use crate::settings::{self, Entry, Given, key};
use crate::ui::{Board, Table};

/// Sets up a cloud: finds out what is at the address, signs in, and remembers how
///
/// What is found out, what the drivers' options below say, and how this person signs in are written to a file of its
/// own; a secret goes to the system's keyring. Afterwards `wharf create --cloud NAME` needs nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the cloud answers, such as https://management.REGION.DOMAIN
    #[arg(value_name = "URL")]
    url: String,
    /// What it is to be called; the first part of its own name without it
    #[arg(long)]
    name: Option<String>,
    /// The driver that makes machines there
    #[arg(short, long)]
    driver: Option<String>,
    /// Set it up anew where there is one of that name
    #[arg(short, long)]
    force: bool,
}

/// What programs read of a cloud that was set up.
#[derive(Debug, Serialize)]
struct Added<'a> {
    name: &'a str,
    driver: &'a str,
    account: Option<String>,
    file: &'a Path,
    settings: BTreeMap<&'static str, String>,
    facts: BTreeMap<&'static str, &'a str>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let name = cloud_name(&args.name.clone().unwrap_or_else(|| usual_name(&args.url)))?;
    if clouds.has(&name) && !args.force {
        return Err(Error::usage(format!("there is a cloud `{name}` already"))
            .hint("give this one another name with --name, or set it up anew with --force"));
    }
    let (entry, place) = driver(&args, cx)?;
    let about = entry.about();
    let flags = cx.driver_flags.as_ref().ok_or_else(|| Error::usage("the driver's flags are missing"))?;
    let setting = entry.settings().iter().find(|setting| setting.flag == place);
    if setting.is_some_and(|setting| settings::given(flags, setting).is_some()) {
        return Err(Error::usage(format!("--{place} is what the address says")).hint("leave it out"));
    }
    let mut at = wharf_driver::Profile::default();
    at.settings.set(place, vec![with_scheme(&args.url)]);
    let given = Given { flags, profile: Some(&at), config: &cx.config, world: &cx.world };
    let config = settings::configuration(&cx.build.drivers, about.name, &given)?;
    let board = Board::new(&cx.ui);
    let call = cx.call("cloud add", Duration::from_secs(120), &board);
    let wharf = cx.wharf_at(&clouds.forgotten(), None);
    let (survey, account) = wharf.survey(&name, about.name, &config, &call).await?;
    let profile = Draft { name: &name, entry, set: entry.set(&given), survey: &survey }.file(cx).await?;
    let file = clouds.write(&name, &profile.file)?;
    let settings = profile.shown;
    if cx.ui.is_json() {
        let facts = survey.facts.iter().map(|(name, fact)| (*name, fact.as_str())).collect();
        let account = account.map(|account| account.to_string());
        return cx.ui.json(&Added {
            name: name.as_str(),
            driver: about.name,
            account,
            file: &file,
            settings,
            facts,
        });
    }
    let mut table = Table::new(&["CLOUD", name.as_str()]);
    for (what, fact) in &survey.facts {
        table.row([(*what).to_owned(), fact.clone()]);
    }
    for (word, value) in &settings {
        table.row([(*word).to_owned(), value.clone()]);
    }
    table.row(["file".to_owned(), file.display().to_string()]);
    cx.ui.table(&table)?;
    for note in &profile.notes {
        cx.ui.warn(note);
    }
    cx.ui.note(&format!("\nMake machines there:  wharf create --cloud {name} NAME"));
    Ok(())
}

/// The driver, and its setting that the address is.
fn driver<'a>(args: &Args, cx: &'a Cx) -> Result<(&'a Entry, &'static str)> {
    let with_places = || cx.build.drivers.iter().filter_map(|entry| Some((entry, entry.place()?)));
    let Some(name) = &args.driver else {
        return with_places()
            .next()
            .ok_or_else(|| Error::usage("no driver of this build has clouds to set up"));
    };
    let entry = settings::find(&cx.build.drivers, name)?;
    entry.place().map(|place| (entry, place)).ok_or_else(|| {
        let names: Vec<&str> = with_places().map(|(entry, _)| entry.about().name).collect();
        Error::usage(format!("driver `{name}` has no clouds to set up"))
            .hint(format!("those that have: {}", names.join(", ")))
    })
}

/// People leave out what every address begins with.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

/// A cloud's file in the making.
struct Draft<'a> {
    name: &'a MachineName,
    entry: &'a Entry,
    set: Settings,
    survey: &'a Survey,
}

/// A cloud's file, and what a person is told of it.
struct Drafted {
    file: File,
    shown: BTreeMap<&'static str, String>,
    notes: Vec<String>,
}

impl Draft<'_> {
    async fn file(&self, cx: &Cx) -> Result<Drafted> {
        let driver = self.entry.about().name;
        let mut drafted = Drafted {
            file: File { driver: driver.to_owned(), settings: BTreeMap::new() },
            shown: BTreeMap::new(),
            notes: Vec::new(),
        };
        for setting in self.entry.settings() {
            // What was found out is more than what was asked for: of several it is those that are there.
            let found = self.survey.settings.list(setting.flag);
            let values = if found.is_empty() { self.set.list(setting.flag) } else { found };
            if values.is_empty() {
                continue;
            }
            let word = key(setting, driver);
            let (kept, shown) = match setting.takes {
                Takes::Secret(_) => self.keep(setting, word, &values[0], cx, &mut drafted.notes).await,
                _ => (Word::from(values), values.join(", ")),
            };
            drafted.file.settings.insert(word.to_owned(), kept);
            drafted.shown.insert(word, shown);
        }
        Ok(drafted)
    }

    /// Hands a secret to the keyring; without one, it stays where the person has it.
    async fn keep(
        &self,
        setting: &Setting,
        word: &str,
        secret: &str,
        cx: &Cx,
        notes: &mut Vec<String>,
    ) -> (Word, String) {
        let name = secret_name(self.name.as_str(), word);
        if let Some(keyring) = cx.keyring() {
            match keyring.set(&name, &Secret::new(secret.to_owned())).await {
                Ok(()) => return (Word::At(At::Keyring(name)), format!("in {}", keyring.name())),
                Err(error) => notes.push(format!("{} does not keep the {word}: {error}", keyring.name())),
            }
        }
        let variable = setting.env.first().copied().unwrap_or_default();
        notes.push(format!(
            "the {word} is kept nowhere, since there is no keyring: {variable} must be set whenever this cloud is \
             used, or the file above must say where it is, as `{word}: {{ file: PATH }}`"
        ));
        (Word::At(At::Env(variable.to_owned())), format!("in {variable}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_short() {
        assert_eq!(with_scheme("management.x.example"), "https://management.x.example");
        assert_eq!(with_scheme("http://x"), "http://x", "which the driver refuses");
    }
}
