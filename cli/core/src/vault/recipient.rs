//! Somebody whom keys are encrypted to: a colleague or a job, by their public key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::Subject;
use crate::{Error, Kind, Result, Role};

/// Somebody whom keys in a shared store are encrypted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Which keys are theirs to open.
    pub role: RecipientRole,
    /// What is encrypted to.
    pub key: PublicKey,
}

/// Which keys of a store somebody opens, and what the engines let them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipientRole {
    /// All keys, the authority's included.
    Admin,
    /// The machines' SSH keys, and an intermediate for operators.
    Operator,
    /// An intermediate for readers.
    Reader,
    /// An intermediate for operators: a program on computers that come and go.
    Job,
}

impl RecipientRole {
    /// The role in certificates.
    #[must_use]
    pub const fn in_certificates(self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::Operator | Self::Job => Role::Operator,
            Self::Reader => Role::Reader,
        }
    }

    /// Whether the keys of `subject` are theirs to open.
    pub(crate) const fn opens(self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Admin, _) | (Self::Operator, Subject::Machine(_)) => true,
            (Self::Operator | Self::Reader | Self::Job, _) => false,
        }
    }
}

/// Who opens the keys of `subject`, in words.
pub(crate) const fn openers(subject: &Subject) -> &'static str {
    match subject {
        Subject::Machine(_) => "admins and operators",
        _ => "admins",
    }
}

/// A public key of age's or OpenSSH's, in the one spelling by which two are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(String);

impl PublicKey {
    /// What a text holds beside the key: the comment of an SSH key, which usually says whose it is.
    #[must_use]
    pub fn comment(text: &str) -> Option<&str> {
        let line = lines(text).next()?;
        line.starts_with("ssh-").then(|| line.splitn(3, ' ').nth(2)).flatten()
    }

    /// The key as the library takes it. It was read once already.
    pub(crate) fn to_age(&self) -> Result<Box<dyn age::Recipient + Send>> {
        if let Ok(key) = self.0.parse::<age::x25519::Recipient>() {
            return Ok(Box::new(key));
        }
        let key = self.0.parse::<age::ssh::Recipient>();
        Ok(Box::new(key.map_err(|e| not_a_key(&because(&e)))?))
    }

    /// Enough of it to tell keys apart.
    #[must_use]
    pub fn short(&self) -> String {
        match self.0.split_once(' ') {
            Some((kind, _)) => format!("{kind} {}", &hex::encode(Sha256::digest(&self.0))[..SHOWN]),
            None => self.0.chars().take(SHOWN + AGE.len()).collect(),
        }
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Takes one line, or the text of a file with one key in it.
    fn from_str(text: &str) -> Result<Self> {
        if text.contains("PRIVATE KEY-----") || text.contains("AGE-SECRET-KEY-") {
            let message = "this is a private key, which nobody but its owner needs";
            return Err(Error::new(Kind::Refused, message)
                .hint("hand over the public half: the file that ends in `.pub`, or the line that begins with `age1`"));
        }
        let mut keys = lines(text);
        let (Some(line), None) = (keys.next(), keys.next()) else {
            return Err(not_a_key("there must be one key, and nothing else"));
        };
        if line.starts_with(AGE) {
            let key: age::x25519::Recipient = line.parse().map_err(not_a_key)?;
            return Ok(Self(key.to_string()));
        }
        let key: age::ssh::Recipient = line.parse().map_err(|e| not_a_key(&because(&e)))?;
        Ok(Self(key.to_string()))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RecipientRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Admin, Self::Operator, Self::Reader, Self::Job]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    format!("no such role: `{text}`; there are admin, operator, reader and job"),
                )
            })
    }
}

impl fmt::Display for RecipientRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Reader => "reader",
            Self::Job => "job",
        })
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn because(error: &age::ssh::ParseRecipientKeyError) -> String {
    use age::ssh::ParseRecipientKeyError as Why;
    match error {
        Why::RsaModulusTooLarge => "the RSA key is longer than 4096 bits".to_owned(),
        Why::RsaModulusTooSmall => "the RSA key is shorter than 2048 bits, which is too weak".to_owned(),
        Why::Unsupported(kind) => format!("keys of type `{kind}` cannot be encrypted to"),
        _ => "it is none of age's and none of OpenSSH's".to_owned(),
    }
}

fn not_a_key(because: &str) -> Error {
    Error::new(Kind::Refused, format!("this is no public key to encrypt to: {because}")).hint(
        "it is a line that begins with `age1`, `ssh-ed25519` or `ssh-rsa`, or a file with one such line",
    )
}

const AGE: &str = "age1";
/// Characters that are shown to eyes.
const SHOWN: usize = 12;
