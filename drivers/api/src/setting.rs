//! What a person may set for a driver, as data: the program turns each [`Setting`] into a flag of `create`, an
//! environment variable and a key of the configuration file, and hands back what was set. So a driver names its flags
//! in its own folder and still reads neither arguments nor environment.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Driver;

/// A driver that a person can configure.
pub trait Configure: Driver {
    /// Everything that can be set, in the order `--help` shows it.
    const SETTINGS: &'static [Setting];
    /// The setting that is the address of a place, for drivers whose places a person can set up as profiles.
    const PLACE: Option<&'static str> = None;

    /// Parses what was set into the driver's own type, or says everything that is wrong with it at once.
    ///
    /// # Errors
    /// Every mistake found, none of them depending on what is outside this process.
    fn configure(set: &Settings) -> Result<Self::Config, Vec<Mistake>>;
}

/// One thing that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The flag without its dashes; begins with the driver's name: `local-memory`.
    pub flag: &'static str,
    /// Other flags that mean the same, docker-machine's among them: `generic-ip-address`.
    pub aliases: &'static [&'static str],
    /// The environment variables that set it; the first one present wins.
    pub env: &'static [&'static str],
    /// One line for `--help`.
    pub help: &'static str,
    /// What kind of value it takes.
    pub takes: Takes,
    /// What holds when nobody sets it, in the spelling a person would use.
    pub default: Option<&'static str>,
    /// What holds instead when nobody sets it and somebody sits at a terminal.
    pub at_terminal: Option<&'static str>,
}

impl Takes {
    /// Whether it is the person's and not the machine's.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Personal(_) | Self::PersonalPath(_) | Self::Secret(_))
    }
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One word; the placeholder stands in `--help`.
    Text(&'static str),
    /// A path on this computer; `~` is expanded and it is made absolute before the driver sees it.
    Path(&'static str),
    /// A word, as often as wanted.
    List(&'static str),
    /// A folder of this computer, as often as wanted: made absolute as [`Takes::Path`], with what stands behind its last
    /// colon left as it is. `none` stays a word; `home` becomes `home:` and the person's home, and is left out where
    /// there is none.
    Paths(&'static str),
    /// Nothing: there or not.
    Switch,
    /// One word that is the person's and not the machine's, such as a secret or who signs in: no configuration and no
    /// journal ever holds it. The driver finds it in [`crate::Session`] under the setting's first variable, at every
    /// command, wherever the person set it.
    Personal(&'static str),
    /// As [`Takes::Personal`], and a path on this computer, made absolute.
    PersonalPath(&'static str),
    /// As [`Takes::Personal`], and secret: no profile holds it either, only where it is.
    Secret(&'static str),
}

/// What was set, by flag; defaults are filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Vec<String>>);

/// Something wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// What is wrong and why, starting lower-case.
    pub message: String,
}

impl Mistake {
    /// `flag` is wrong, because of `message`.
    pub fn new(flag: &'static str, message: impl Into<String>) -> Self {
        Self { flag, message: message.into() }
    }
}

impl Settings {
    /// Sets `flag`; a switch that is on has the value `true`.
    pub fn set(&mut self, flag: impl Into<String>, values: Vec<String>) {
        self.0.insert(flag.into(), values);
    }

    /// Everything that was set, by flag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(flag, values)| (flag.as_str(), values.as_slice()))
    }

    /// The one value of `flag`. An empty one counts as unset.
    #[must_use]
    pub fn text(&self, flag: &str) -> Option<&str> {
        self.list(flag).last().map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The path that `flag` names.
    #[must_use]
    pub fn path(&self, flag: &str) -> Option<PathBuf> {
        self.text(flag).map(PathBuf::from)
    }

    /// Every value of `flag`, in the order given.
    #[must_use]
    pub fn list(&self, flag: &str) -> &[String] {
        self.0.get(flag).map_or(&[], Vec::as_slice)
    }

    /// Whether the switch `flag` is on.
    #[must_use]
    pub fn switch(&self, flag: &str) -> bool {
        self.text(flag) == Some("true")
    }

    /// The value of `flag` as a `T`. What does not parse is noted in `mistakes` and counts as unset.
    pub fn parse<T>(&self, flag: &'static str, mistakes: &mut Vec<Mistake>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(flag)?;
        text.parse().map_err(|e| mistakes.push(Mistake::new(flag, format!("`{text}` is wrong: {e}")))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_parse_or_become_mistakes() {
        let mut set = Settings::default();
        set.set("x-cpus", vec!["2".into()]);
        set.set("x-port", vec!["many".into()]);
        set.set("x-empty", vec![String::new()]);
        set.set("x-on", vec!["true".into()]);
        let mut mistakes = Vec::new();
        assert_eq!(set.parse("x-cpus", &mut mistakes), Some(2_u32));
        assert_eq!(set.parse::<u32>("x-empty", &mut mistakes), None);
        assert_eq!(mistakes, []);
        assert_eq!(set.parse::<u16>("x-port", &mut mistakes), None);
        assert_eq!(mistakes, [Mistake::new("x-port", "`many` is wrong: invalid digit found in string")]);
        assert!(set.switch("x-on") && !set.switch("x-off"));
    }
}
