//! What holds for this run: flags over environment over file over defaults, decided once, into typed values.
//!
//! Every mistake is found before any is reported, so that a person corrects them in one go.

mod file;
mod identity;
mod keyring;
mod parts;
mod place;
mod span;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use file::{File, Values};
pub(crate) use keyring::Choice;
pub(crate) use span::{life, parse as span};

use wharf_core::{Identity, Secret};
use wharf_objects::Address;

use crate::args::Global;
use crate::error::{Error, Result};
use crate::settings::GUEST;
use crate::ui::Output;
use crate::world::World;

/// What holds for this run.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where machines are kept, or what of a shared store stays on this computer.
    pub(crate) store: PathBuf,
    /// Where what stays on this computer of shared stores is.
    home: Option<PathBuf>,
    /// The shared store, where machines are kept in one.
    pub(crate) shared: Option<Address>,
    /// The docker client's folder.
    pub(crate) docker: PathBuf,
    /// Where images and the like are kept; safe to delete.
    pub(crate) cache: PathBuf,
    /// The agent's executable, where one was found.
    pub(crate) agent: Option<PathBuf>,
    /// The folder of the guest image, where one was found.
    pub(crate) guest: Option<PathBuf>,
    /// The driver of `create` when no flag names one; without one it is the build's first.
    pub(crate) driver: Option<String>,
    /// The cloud of `create` when no flag names one.
    pub(crate) cloud: Option<String>,
    /// The folder of the clouds that the person has set up.
    pub(crate) clouds: PathBuf,
    /// How long a command may take, where a person set it.
    pub(crate) timeout: Option<Duration>,
    /// How long to wait for what another command holds, where a person set it.
    pub(crate) lock_wait: Option<Duration>,
    /// Whether `create` writes a docker context.
    pub(crate) context: bool,
    /// Where private keys are kept.
    pub(crate) keyring: Choice,
    /// What private keys in files are encrypted with.
    pub(crate) passphrase: Option<Secret<String>>,
    /// Who the person is to a shared store with recipients.
    pub(crate) identity: Option<Identity>,
    /// SHA-256 of the shared store's authority, where the person was told it.
    pub(crate) authority: Option<String>,
    pub(crate) output: Output,
    pub(crate) debug: bool,
    pub(crate) colour: bool,
    /// The configuration file, for what commands read from it themselves.
    pub(crate) file: File,
}

impl Config {
    /// Decides, or says everything that is wrong.
    pub(crate) fn resolve(flags: &Global, world: &World) -> Result<Self> {
        let mut mistakes = Vec::new();
        let named = flags.config.as_deref().or_else(|| world.var("WHARF_CONFIG"));
        let named = named.map(|path| world.absolute(path));
        let file = File::load(named.as_deref(), world).unwrap_or_else(|e| {
            mistakes.push(e);
            File::default()
        });
        let path = |flag: Option<&String>, var: &str, key: Option<&String>| {
            let text = flag.map(String::as_str).or_else(|| world.var(var)).or(key.map(String::as_str));
            text.map(|text| world.absolute(text))
        };
        let place = place::decide(flags.store.as_ref(), file.store.as_ref(), data_folder(world), world)
            .map_err(|e| mistakes.push(e))
            .ok();
        let agent = path(flags.agent.as_ref(), "WHARF_AGENT", file.agent.as_ref());
        if let Some(missing) = agent.as_ref().filter(|file| !file.is_file()) {
            mistakes.push(format!("the agent `{}` is not a file", missing.display()));
        }
        let guest = path(None, GUEST, file.guest.as_ref());
        if let Some(missing) = guest.as_ref().filter(|path| !path.exists()) {
            mistakes.push(format!("the guest image `{}` does not exist", missing.display()));
        }
        let timeout =
            flags.timeout.as_deref().or_else(|| world.var("WHARF_TIMEOUT")).or(file.timeout.as_deref());
        let timeout = timeout.and_then(|text| span::parse(text).map_err(|e| mistakes.push(e)).ok());
        let lock_wait = world.var("WHARF_LOCK_WAIT");
        let lock_wait = lock_wait.and_then(|text| span::parse(text).map_err(|e| mistakes.push(e)).ok());
        let keyring =
            flags.keyring.as_deref().or_else(|| world.var("WHARF_KEYRING")).or(file.keyring.as_deref());
        let keyring = keyring::choice(keyring).unwrap_or_else(|e| {
            mistakes.push(e);
            Choice::Auto
        });
        let passphrase = path(None, "WHARF_PASSPHRASE_FILE", file.passphrase_file.as_ref());
        let passphrase =
            passphrase.and_then(|file| keyring::passphrase(&file).map_err(|e| mistakes.push(e)).ok());
        let identity = path(flags.identity.as_ref(), "WHARF_IDENTITY", file.identity.as_ref());
        let identity = identity.and_then(|file| identity::read(&file).map_err(|e| mistakes.push(e)).ok());
        let authority = world.var("WHARF_AUTHORITY").map(identity::fingerprint);
        let authority = authority.and_then(|read| read.map_err(|e| mistakes.push(e)).ok());
        let Some(place) = place.filter(|_| mistakes.is_empty()) else { return Err(report(&mistakes)) };
        let (store, shared, home) = (place.folder, place.shared, place.home);
        let cache = path(None, "WHARF_CACHE", None).unwrap_or_else(|| cache_folder(world, &store));
        Ok(Self {
            docker: path(None, "DOCKER_CONFIG", None).unwrap_or_else(|| world.absolute("~/.docker")),
            agent: agent.or_else(|| parts::agent(&world.program)),
            guest: guest.or_else(|| parts::guest(&world.program, &cache)),
            cache,
            driver: world.var("WHARF_DRIVER").map(ToOwned::to_owned).or(file.driver.clone()),
            cloud: world.var("WHARF_CLOUD").map(ToOwned::to_owned).or(file.cloud.clone()),
            clouds: named
                .or_else(|| file::usual_place(world))
                .and_then(|file| Some(file.parent()?.join("clouds")))
                .unwrap_or_else(|| store.join("clouds")),
            timeout,
            lock_wait,
            context: file.context.unwrap_or(true),
            keyring,
            passphrase,
            identity,
            authority,
            output: flags.output.map(Into::into).unwrap_or_default(),
            debug: flags.debug || world.var("WHARF_DEBUG").is_some(),
            colour: world.var("NO_COLOR").is_none() && world.var("TERM") != Some("dumb"),
            store,
            home,
            shared,
            file,
        })
    }

    /// As if this shared store had been named.
    pub(crate) fn at(&self, address: &Address) -> Self {
        let folder = self.home.as_ref().map(|home| place::own(home, address));
        let store = folder.unwrap_or_else(|| self.store.clone());
        Self { store, shared: Some(address.clone()), ..self.clone() }
    }
}

fn report(mistakes: &[String]) -> Error {
    let message = match mistakes {
        [only] => only.clone(),
        several => {
            format!(
                "{} settings are wrong:\n{}",
                several.len(),
                several.iter().map(|m| format!("  - {m}")).collect::<Vec<_>>().join("\n")
            )
        }
    };
    Error::usage(message).hint(
        "flags win over the environment, that over the file, that over defaults; `wharf --help` lists them",
    )
}

/// The platform's folder for what a program keeps.
fn data_folder(world: &World) -> Option<PathBuf> {
    if let Some(data) = world.var("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Some(data.join("wharf"));
    }
    if cfg!(windows) {
        return Some(PathBuf::from(world.var("LOCALAPPDATA")?).join("wharf"));
    }
    let below =
        if cfg!(target_os = "macos") { "Library/Application Support/wharf" } else { ".local/share/wharf" };
    Some(world.home.as_ref()?.join(below))
}

/// The platform's folder for what can be made again.
fn cache_folder(world: &World, store: &std::path::Path) -> PathBuf {
    if let Some(cache) = world.var("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        return cache.join("wharf");
    }
    let below = if cfg!(target_os = "macos") { "Library/Caches/wharf" } else { ".cache/wharf" };
    world.home.as_ref().map_or_else(|| store.join("cache"), |home| home.join(below))
}

#[cfg(test)]
mod tests;
