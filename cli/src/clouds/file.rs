//! One cloud's file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wharf_driver::{Profile, Reference, Setting};

use crate::config::Values;
use crate::error::{Error, Result};
use crate::settings::{Entry, key, spelled};
use crate::world::World;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct File {
    /// The driver that makes machines there.
    pub(crate) driver: String,
    /// The driver's settings, by flag without the driver's name.
    #[serde(flatten)]
    pub(crate) settings: BTreeMap<String, Word>,
}

/// What a setting is, or where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    /// What it is.
    Values(Values),
    /// Where it is.
    At(At),
}

/// Where a word of the person's is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum At {
    /// In this variable.
    Env(String),
    /// In this file.
    File(String),
    /// In the system's keyring, under this name.
    Keyring(String),
}

const HEAD: &str = "# A cloud that `wharf create --cloud` makes machines in. Edit it, or set it up anew with\n\
                    # `wharf cloud add`; no secret stands here, only where it is.\n";

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        serde_saphyr::from_str(&text).map_err(|e| e.to_string())
    }

    pub(super) fn text(&self) -> Result<String> {
        let text = serde_saphyr::to_string(self)
            .map_err(|e| Error::failed("the cloud cannot be written down").caused_by(&e))?;
        Ok(format!("{HEAD}{text}"))
    }

    /// What the driver of this build makes of it.
    pub(super) fn profile(&self, name: &str, drivers: &[Entry], world: &World) -> Result<Profile, String> {
        let entry = drivers.iter().find(|entry| entry.about().name == self.driver);
        let entry = entry.ok_or_else(|| format!("there is no driver `{}` in this build", self.driver))?;
        let mut profile =
            Profile { name: name.to_owned(), driver: self.driver.clone(), ..Profile::default() };
        for (word, value) in &self.settings {
            let setting = entry.settings().iter().find(|setting| key(setting, &self.driver) == word);
            let setting =
                setting.ok_or_else(|| format!("driver `{}` has no setting `{word}`", self.driver))?;
            place(&mut profile, setting, value, world).map_err(|why| format!("`{word}`: {why}"))?;
        }
        Ok(profile)
    }
}

/// Puts one setting into the profile.
fn place(profile: &mut Profile, setting: &Setting, value: &Word, world: &World) -> Result<(), String> {
    if !setting.takes.is_personal() {
        let Word::Values(values) = value else {
            return Err("only what is secret is kept elsewhere".to_owned());
        };
        let texts = values.texts();
        let spelled = texts.iter().map(|text| spelled(setting, text, world)).collect();
        profile.settings.set(setting.flag, spelled);
        return Ok(());
    }
    let Some(variable) = setting.env.first() else { return Err("it cannot be kept".to_owned()) };
    let reference = match value {
        Word::At(At::Env(name)) => Reference::Variable(name.clone()),
        Word::At(At::File(path)) => Reference::File(world.absolute(path)),
        Word::At(At::Keyring(name)) => Reference::Keyring(name.clone()),
        Word::Values(values) => match values.texts().as_slice() {
            [only] => Reference::Text(spelled(setting, only, world)),
            _ => return Err("it is one word".to_owned()),
        },
    };
    profile.personal.insert((*variable).to_owned(), reference);
    Ok(())
}

impl From<&[String]> for Word {
    fn from(texts: &[String]) -> Self {
        Self::Values(Values::of(texts))
    }
}

impl Word {
    /// The name in the keyring, where it is there.
    pub(crate) fn in_keyring(&self) -> Option<&str> {
        match self {
            Self::At(At::Keyring(name)) => Some(name),
            _ => None,
        }
    }
}
