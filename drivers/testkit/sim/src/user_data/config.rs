//! The cloud-config keys that are known, typed. Another key is an error, not a warning.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::Refused;

/// A cloud-config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloudConfig {
    /// What the machine calls itself.
    pub hostname: Option<String>,
    /// Whether the name stays as it is.
    pub preserve_hostname: Option<bool>,
    /// Who may sign in. Where any are named, the cloud's own first user is made only if `default` is among them.
    pub users: Vec<Entry>,
    /// Keys of the first user.
    pub ssh_authorized_keys: Vec<String>,
    /// Whether passwords sign in.
    pub ssh_pwauth: Option<bool>,
    /// Whether root may not sign in.
    pub disable_root: Option<bool>,
    /// Whether the image's host keys go.
    pub ssh_deletekeys: Option<bool>,
    /// Which host keys are made anew.
    pub ssh_genkeytypes: Option<Vec<String>>,
    /// The host keys.
    pub ssh_keys: Keys,
    /// Files.
    pub write_files: Vec<File>,
    /// Commands: a line for a shell, or a program with its arguments.
    pub runcmd: Vec<Command>,
    /// Whether packages are looked up and renewed.
    pub package_update: Option<bool>,
    /// Whether packages are renewed.
    pub package_upgrade: Option<bool>,
}

/// An entry of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The user whom the cloud was told of.
    Default,
    /// Another.
    User(User),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

/// By hand, so that a wrong field is named.
struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`default` or a user")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Entry, E> {
        if text == "default" {
            Ok(Entry::Default)
        } else {
            Err(E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        User::deserialize(MapAccessDeserializer::new(map)).map(Entry::User)
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name.
    pub name: String,
    /// The shell.
    #[serde(default)]
    pub shell: Option<String>,
    /// Whether no password signs in.
    #[serde(default)]
    pub lock_passwd: Option<bool>,
    /// What sudo allows.
    #[serde(default)]
    pub sudo: Option<String>,
    /// Further groups, with commas between.
    #[serde(default)]
    pub groups: Option<String>,
    /// Who may sign in as this user.
    #[serde(default)]
    pub ssh_authorized_keys: Vec<String>,
}

/// Host keys: `ed25519_private`, `ed25519_public`, `rsa_private`, …
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Keys(pub BTreeMap<String, String>);

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where.
    pub path: String,
    /// What stands in it.
    #[serde(default)]
    pub content: String,
    /// How `content` is written: `b64`, `base64`, or as it is.
    #[serde(default)]
    pub encoding: Option<String>,
    /// As `0644`.
    #[serde(default)]
    pub permissions: Option<String>,
    /// As `root:root`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Added to the end of what is there.
    #[serde(default)]
    pub append: bool,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// For a shell.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

const KEY_KINDS: &[&str] = &["rsa", "ecdsa", "ed25519"];

impl CloudConfig {
    /// Reads one, and checks what the types cannot say.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let config: Self =
            serde_saphyr::from_str(text).map_err(|error| Refused(format!("cloud-config: {error}")))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Refused> {
        for name in self.ssh_keys.0.keys() {
            let kind = name.strip_suffix("_private").or_else(|| name.strip_suffix("_public"));
            if !kind.is_some_and(|kind| KEY_KINDS.contains(&kind)) {
                return Err(Refused(format!("cloud-config: `ssh_keys` knows no `{name}`")));
            }
        }
        let unknown = |kind: &&String| !KEY_KINDS.contains(&kind.as_str());
        if self.ssh_genkeytypes.as_ref().is_some_and(Vec::is_empty) {
            // It goes on all the same, and complains at every boot.
            return Err(Refused("cloud-config: `ssh_genkeytypes` names at least one kind".to_owned()));
        }
        if let Some(kind) = self.ssh_genkeytypes.iter().flatten().find(unknown) {
            return Err(Refused(format!("cloud-config: `ssh_genkeytypes` knows no `{kind}`")));
        }
        let name = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && text
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        };
        for entry in &self.users {
            if let Entry::User(user) = entry
                && !name(&user.name)
            {
                return Err(Refused(format!("cloud-config: no system has a user `{}`", user.name)));
            }
        }
        if self.package_update == Some(true) || self.package_upgrade == Some(true) {
            return Err(Refused("cloud-config: there is no package manager to reach from here".to_owned()));
        }
        self.write_files.iter().try_for_each(|file| file.bytes().map(drop))
    }

    /// Adds a later part: lists are appended, what is set stays.
    pub fn join(&mut self, later: Self) {
        self.hostname = self.hostname.take().or(later.hostname);
        self.preserve_hostname = self.preserve_hostname.or(later.preserve_hostname);
        self.users.extend(later.users);
        self.ssh_authorized_keys.extend(later.ssh_authorized_keys);
        self.ssh_pwauth = self.ssh_pwauth.or(later.ssh_pwauth);
        self.disable_root = self.disable_root.or(later.disable_root);
        self.ssh_deletekeys = self.ssh_deletekeys.or(later.ssh_deletekeys);
        self.ssh_genkeytypes = self.ssh_genkeytypes.take().or(later.ssh_genkeytypes);
        for (name, key) in later.ssh_keys.0 {
            self.ssh_keys.0.entry(name).or_insert(key);
        }
        self.write_files.extend(later.write_files);
        self.runcmd.extend(later.runcmd);
        self.package_update = self.package_update.or(later.package_update);
        self.package_upgrade = self.package_upgrade.or(later.package_upgrade);
    }
}

impl File {
    /// What is to stand in it.
    pub fn bytes(&self) -> Result<Vec<u8>, Refused> {
        match self.encoding.as_deref() {
            None | Some("text/plain") => Ok(self.content.clone().into_bytes()),
            Some("b64" | "base64") => STANDARD
                .decode(self.content.split_whitespace().collect::<String>())
                .map_err(|error| Refused(format!("cloud-config: the content of {}: {error}", self.path))),
            Some(other) => {
                Err(Refused(format!("cloud-config: nothing here decodes `{other}`, of {}", self.path)))
            }
        }
    }
}
