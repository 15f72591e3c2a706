//! A host's public key, and the short form of it that people compare.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, PublicKey};

use crate::Error;

/// A host's public key. Equal to another when the key is the same, whatever the comment.
#[derive(Debug, Clone)]
pub struct HostKey(PublicKey);

/// SHA-256 of a host's public key, as `SHA256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl HostKey {
    /// Reads the form in which it crosses the wire.
    pub(crate) fn from_wire(bytes: &[u8]) -> Result<Self, Error> {
        let key = PublicKey::from_bytes(bytes);
        key.map(Self).map_err(|error| Error::Protocol(format!("the host's key cannot be read: {error}")))
    }

    pub(crate) const fn of(key: PublicKey) -> Self {
        Self(key)
    }

    /// The short form.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.fingerprint(HashAlg::Sha256).to_string())
    }

    /// The type as it stands in front of the key: `ssh-ed25519`.
    pub fn algorithm(&self) -> String {
        self.0.algorithm().to_string()
    }
}

impl PartialEq for HostKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key_data() == other.0.key_data()
    }
}

impl Eq for HostKey {}

impl FromStr for HostKey {
    type Err = Error;

    /// Reads one line in OpenSSH's format: type, key, and perhaps a comment.
    fn from_str(line: &str) -> Result<Self, Error> {
        let key = PublicKey::from_openssh(line.trim());
        key.map(Self)
            .map_err(|error| Error::HostKeyText { text: line.trim().to_owned(), reason: error.to_string() })
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.to_openssh().map_err(|_| fmt::Error)?;
        let mut words = line.splitn(3, ' ');
        write!(f, "{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed: Result<ssh_key::Fingerprint, _> = text.trim().trim_end_matches('=').parse();
        match parsed {
            Ok(fingerprint) if fingerprint.is_sha256() => Ok(Self(fingerprint.to_string())),
            Ok(_) => Err(mistake(text, "it is not SHA256")),
            Err(error) => Err(mistake(text, &error.to_string())),
        }
    }
}

fn mistake(text: &str, reason: &str) -> Error {
    Error::HostKeyText { text: text.to_owned(), reason: reason.to_owned() }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
