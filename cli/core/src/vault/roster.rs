//! The list of those whom a shared store's keys are encrypted to, signed by the store's authority.
//!
//! ```text
//! authority/recipients.json   { "list": "<the list as JSON>", "signature": "<by the authority's key>" }
//! known.json                  on this computer alone: which authority, and which list, it has seen
//! ```
//!
//! **Promised.** Whoever can write to the bucket and cannot open the authority's key adds no recipient, changes no role
//! and brings no older list back without being noticed: a list that the authority did not sign, that is gone, or that is
//! older than one that this computer has seen is refused by every command that would encrypt by it, and so is another
//! authority than the one that this computer has seen (or was told of: `WHARF_AUTHORITY`).
//!
//! **Not promised.** A computer that sees a store for the first time, and is told of no authority, believes the one that
//! it finds. Whoever was an admin has held the authority's key, and may sign a list with it. Whoever can write to the
//! bucket can destroy what is in it, decides where machines are thought to be (journals are not signed), and may hide a
//! certificate from being taken back: who is removed is to lose their access to the bucket first. What somebody opened
//! while they were on the list, they may have kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wharf_pki::{Authority, Certificate};

use super::recipient::{PublicKey, Recipient, RecipientRole};
use crate::store::Subject;
use crate::{Error, Kind, Result};

/// Who opens what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roster {
    version: u32,
    /// Goes up with every change.
    pub(crate) number: u64,
    pub(crate) recipients: Vec<Recipient>,
    /// Those whose removal has begun: nothing is encrypted to them any more, and not everything is encrypted anew yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) leaving: Vec<Recipient>,
}

/// What stands in the store.
#[derive(Serialize, Deserialize)]
struct Signed {
    list: String,
    signature: String,
}

/// What this computer has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// SHA-256 of the authority's certificate.
    pub(crate) authority: String,
    /// The number of the newest list.
    pub(crate) list: u64,
}

impl Roster {
    pub(crate) fn new(recipients: Vec<Recipient>) -> Self {
        Self { version: VERSION, number: 1, recipients, leaving: Vec::new() }
    }

    /// Reads a list that the authority signed.
    pub(crate) fn read(bytes: &[u8], authority: &Certificate) -> Result<Self> {
        let signed: Signed = serde_json::from_slice(bytes).map_err(|e| tampered(&format!("damaged: {e}")))?;
        if !authority.vouches_for(KIND, &signed.list, &signed.signature) {
            return Err(tampered("not signed by the store's authority"));
        }
        let list: Self = serde_json::from_str(&signed.list).map_err(|e| {
            Error::new(Kind::Refused, format!("the store's list of recipients cannot be read: {e}"))
                .hint("use the newer release of wharf that wrote it")
        })?;
        if list.version > VERSION {
            let message = format!(
                "the list of recipients has version {}, and this release knows {VERSION}",
                list.version
            );
            return Err(
                Error::new(Kind::Refused, message).hint("use the newer release of wharf that wrote it")
            );
        }
        Ok(list)
    }

    /// The list as it stands in the store.
    pub(crate) fn signed(&self, authority: &Authority) -> Result<Vec<u8>> {
        let failed = |e: String| Error::new(Kind::Failed, format!("cannot sign the list of recipients: {e}"));
        let list = serde_json::to_string(self).map_err(|e| failed(e.to_string()))?;
        let signature = authority.sign(KIND, &list).map_err(|e| failed(e.to_string()))?;
        serde_json::to_vec_pretty(&Signed { list, signature }).map_err(|e| failed(e.to_string()))
    }

    /// The keys that those of `subject` are encrypted to.
    pub(crate) fn openers(&self, subject: &Subject) -> Vec<&PublicKey> {
        self.recipients.iter().filter(|one| one.role.opens(subject)).map(|one| &one.key).collect()
    }

    /// What is written beside keys of `subject` that are encrypted by this list.
    pub(crate) fn mark(&self, subject: &Subject) -> String {
        mark(&self.openers(subject))
    }

    pub(crate) fn called(&self, name: &str) -> Option<&Recipient> {
        self.recipients.iter().find(|one| one.name == name)
    }

    pub(crate) fn admins(&self) -> Vec<&str> {
        let admins = self.recipients.iter().filter(|one| one.role == RecipientRole::Admin);
        admins.map(|one| one.name.as_str()).collect()
    }
}

impl Known {
    /// Refuses another authority, and a list that is older.
    pub(crate) fn check(&self, authority: &Certificate, list: Option<&Roster>) -> Result<()> {
        if authority.fingerprint() != self.authority {
            return Err(other_authority(&self.authority, authority.fingerprint()));
        }
        match list {
            Some(list) if list.number >= self.list => Ok(()),
            _ if self.list == 0 => Ok(()),
            Some(list) => Err(tampered("older than one that this computer has seen")
                .fact("its number", list.number.to_string())
                .fact("seen before", self.list.to_string())),
            None => Err(tampered("gone")),
        }
    }
}

/// The mark of these keys, in whatever order they come.
pub(super) fn mark(keys: &[&PublicKey]) -> String {
    let mut keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    keys.sort_unstable();
    hex::encode(&Sha256::digest(keys.join("\n"))[..16])
}

pub(crate) fn other_authority(expected: &str, found: &str) -> Error {
    Error::new(Kind::Refused, "the store has another certificate authority than the one that this computer knows")
        .fact("expected", expected.to_owned())
        .fact("found", found.to_owned())
        .hint("somebody replaced it: ask an admin, and compare the fingerprint that `wharf store recipients` shows there")
}

pub(super) fn tampered(what: &str) -> Error {
    Error::new(Kind::Refused, format!("the store's list of recipients is {what}: somebody changed it")).hint(
        "nothing is encrypted by it; bring the object `authority/files/recipients.json` back from an older version, and \
         find out who can write to the store",
    )
}

const VERSION: u32 = 1;
/// What the signature is over.
const KIND: &str = "recipients";
