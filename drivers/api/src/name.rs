//! Names and ids that cannot be wrong.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const LONGEST: usize = 63;

/// What a person calls a machine: `^[a-zA-Z0-9][a-zA-Z0-9.-]*$`, at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

/// Why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a machine name cannot be empty")]
    Empty,
    /// More than 63 characters.
    #[error("machine name is {0} characters long, and {LONGEST} is the most")]
    TooLong(usize),
    /// A character that is not allowed, or not there.
    #[error("machine name {name:?} contains {character:?} at position {position}")]
    Character {
        /// The name as given.
        name: String,
        /// The first offending character.
        character: char,
        /// Counted from 1.
        position: usize,
    },
}

impl FromStr for MachineName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let fits = |(i, c): (usize, char)| c.is_ascii_alphanumeric() || i > 0 && matches!(c, '.' | '-');
        if let Some((at, character)) = name.chars().enumerate().find(|&c| !fits(c)) {
            return Err(NameError::Character { name: name.to_owned(), character, position: at + 1 });
        }
        if name.len() > LONGEST {
            return Err(NameError::TooLong(name.len()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl MachineName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MachineName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        name.parse()
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

/// What a machine is, whatever it is called: sixteen random bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(String);

impl MachineId {
    /// The id of these random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Thirty-two hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, as they stand in resource names.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The deterministic name of a machine's resource: `<machine>-<8 hex of the machine id>-<kind>`. The machine's part is
/// cut so that the whole fits `longest`; the id keeps it unique.
#[must_use]
pub fn resource_name(machine: &MachineName, id: &MachineId, kind: &str, longest: usize) -> String {
    let rest = format!("-{}-{kind}", id.short());
    let room = longest.saturating_sub(rest.len());
    let head: String = machine.as_str().chars().take(room).collect();
    format!("{head}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_docker_machine_accepts() {
        for name in ["a", "web1", "Web-1.example", &"x".repeat(63)] {
            assert!(name.parse::<MachineName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_with_the_place() {
        assert_eq!("".parse::<MachineName>(), Err(NameError::Empty));
        assert_eq!("x".repeat(64).parse::<MachineName>(), Err(NameError::TooLong(64)));
        for (name, position) in
            [("-a", 1), (".a", 1), ("a b", 2), ("../x", 1), ("a/b", 2), ("ä", 1), ("a\n", 2)]
        {
            let error = name.parse::<MachineName>().unwrap_err();
            assert!(
                matches!(error, NameError::Character { position: p, .. } if p == position),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn resource_names_fit_and_stay_apart() {
        let name: MachineName = "a-rather-long-machine-name".parse().unwrap();
        let id = MachineId::from_bytes([0xab; 16]);
        assert_eq!(resource_name(&name, &id, "nic", 80), "a-rather-long-machine-name-abababab-nic");
        assert_eq!(resource_name(&name, &id, "nic", 20), "a-rathe-abababab-nic");
    }
}
