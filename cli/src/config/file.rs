//! The configuration file: YAML, all of it optional, unknown keys refused with their place.
//!
//! ```yaml
//! driver: ssh             # what `create` takes without --driver
//! cloud: stamp1           # or where it makes machines without --cloud
//! timeout: 30s
//! keyring: off           # private keys are files
//! passphrase-file: ~/.config/wharf/passphrase    # which are encrypted with its first line
//! identity: ~/.ssh/id_ed25519    # who you are to a shared store with recipients
//! drivers:
//!   ssh:                  # the driver's flags without its name: --ssh-user
//!     user: admin
//!     jump: [bastion.example]
//! ```
//! It stands where `--config` or `WHARF_CONFIG` says, else in the platform's folder for configuration. A file that was
//! named must exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::world::World;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct File {
    pub(crate) store: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) guest: Option<String>,
    pub(crate) driver: Option<String>,
    pub(crate) cloud: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) context: Option<bool>,
    pub(crate) keyring: Option<String>,
    pub(crate) passphrase_file: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) engine: Engine,
    pub(crate) drivers: BTreeMap<String, Section>,
}

/// What every new machine's engine gets, beside what flags say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Engine {
    pub(crate) labels: Vec<String>,
    pub(crate) registry_mirrors: Vec<String>,
    pub(crate) insecure_registries: Vec<String>,
}

/// A driver's settings, by flag without the driver's name.
type Section = BTreeMap<String, Values>;

/// One value or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Values {
    One(Value),
    Many(Vec<Value>),
}

/// A scalar in the spelling a flag would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Switch(bool),
    Number(i64),
    Text(String),
}

impl Values {
    /// These texts: one alone is no list.
    pub(crate) fn of(texts: &[String]) -> Self {
        match texts {
            [only] => Self::One(Value::Text(only.clone())),
            several => Self::Many(several.iter().cloned().map(Value::Text).collect()),
        }
    }

    /// As if they had been flags.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value.text()],
            Self::Many(values) => values.iter().map(Value::text).collect(),
        }
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl File {
    /// Reads the file, if there is one.
    pub(super) fn load(named: Option<&Path>, world: &World) -> Result<Self, String> {
        let must_exist = named.is_some();
        let Some(path) = named.map(Path::to_owned).or_else(|| usual_place(world)) else {
            return Ok(Self::default());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Ok(Self::default()),
            Ok(text) => {
                let wrong = |said: String| {
                    // It says itself that it is an error, and so does whoever shows this.
                    let said = said.strip_prefix("error: ").unwrap_or(&said).to_owned();
                    format!("`{}` is wrong: {said}", path.display())
                };
                serde_saphyr::from_str(&text).map_err(|e| wrong(e.to_string()))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(Self::default()),
            Err(e) => Err(format!("`{}` cannot be read: {e}", path.display())),
        }
    }
}

/// Where it is unless somebody says otherwise.
pub(super) fn usual_place(world: &World) -> Option<PathBuf> {
    if let Some(config) = world.var("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Some(config.join("wharf/config.yaml"));
    }
    Some(world.home.as_ref()?.join(".config/wharf/config.yaml"))
}
