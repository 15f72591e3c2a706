//! Machines on their way from one store to another: one file, an age file with an archive in it, encrypted to somebody's
//! public keys or with a passphrase.
//!
//! ```text
//! bundle.json                        the version of this layout, and which store it came from
//! machines/<name>/journal.jsonl      the journal, as it stands in a folder's store
//!                 keys/id_ed25519    and the other keys of the machine, with their public halves
//! ```
//!
//! What is read is held to exactly this: any other path (absolute, with `..`, unknown, or there twice), anything that is
//! no plain file, and anything too big is refused before a byte of it goes anywhere. Nothing is ever unpacked to disk.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};

use age::secrecy::SecretString;
use serde::{Deserialize, Serialize};
use wharf_driver::{MachineName, Secret, StoreId};

use crate::engine::{HOST, SIGN_IN, public_file};
use crate::journal::{Entry, parse, write_line};
use crate::vault::{Identity, PublicKey};
use crate::{Error, Kind, Result};

/// Machines with all that another store needs of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The store that they came from.
    pub store: StoreId,
    /// The machines, by name.
    pub machines: BTreeMap<MachineName, BundledMachine>,
}

/// One machine in a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundledMachine {
    pub(crate) journal: Vec<u8>,
    /// Files of keys, by their path under the machine's folder.
    pub(crate) files: BTreeMap<String, Secret<Vec<u8>>>,
}

/// With what a bundle is locked or opened.
#[derive(Debug, Clone)]
pub enum Lock {
    /// With public keys.
    Recipients(Vec<PublicKey>),
    /// With a passphrase.
    Passphrase(Secret<String>),
}

/// What there is to open a bundle with.
#[derive(Debug, Clone, Default)]
pub struct Opener {
    /// A private key.
    pub identity: Option<Identity>,
    /// The bundle's passphrase, or the one of a private key that is locked.
    pub passphrase: Option<Secret<String>>,
}

/// What `bundle.json` says.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    store: StoreId,
}

impl Bundle {
    /// The bundle as a file.
    ///
    /// # Errors
    /// When it cannot be encrypted.
    pub fn lock(&self, with: &Lock) -> Result<Vec<u8>> {
        let failed =
            |e: &dyn std::fmt::Display| Error::new(Kind::Failed, format!("cannot make the bundle: {e}"));
        let archive = self.archive().map_err(|e| failed(&e))?;
        let encryptor = match with {
            Lock::Passphrase(text) => {
                let mut key = age::scrypt::Recipient::new(SecretString::from(text.expose().clone()));
                key.set_work_factor(WORK);
                age::Encryptor::with_recipients(std::iter::once(&key as &dyn age::Recipient))
                    .map_err(|e| failed(&e))?
            }
            Lock::Recipients(keys) => {
                let keys = keys.iter().map(PublicKey::to_age).collect::<Result<Vec<_>>>()?;
                let each = keys.iter().map(|key| &**key as &dyn age::Recipient);
                age::Encryptor::with_recipients(each).map_err(|e| failed(&e))?
            }
        };
        let written = || -> std::io::Result<Vec<u8>> {
            let mut writer = encryptor.wrap_output(Vec::new())?;
            writer.write_all(&archive)?;
            writer.finish()
        };
        written().map_err(|e| failed(&e))
    }

    /// Reads a file that [`Bundle::lock`] made.
    ///
    /// # Errors
    /// Refused when it is none, when it is damaged, or when it cannot be opened with what there is.
    pub fn open(bytes: &[u8], with: &Opener) -> Result<Self> {
        let decryptor = age::Decryptor::new_buffered(bytes).map_err(|e| no_bundle(&e.to_string()))?;
        let by_passphrase = decryptor.is_scrypt();
        let read = |identities: &mut dyn Iterator<Item = &dyn age::Identity>| -> Result<Vec<u8>> {
            let reader = decryptor.decrypt(identities).map_err(|e| not_opened(&e))?;
            let mut archive = Vec::new();
            let read = reader.take(LARGEST + 1).read_to_end(&mut archive);
            read.map_err(|e| no_bundle(&e.to_string()))?;
            Ok(archive)
        };
        let archive = if by_passphrase {
            let passphrase = with.passphrase.as_ref().ok_or_else(|| {
                Error::new(Kind::NotAllowed, "the bundle is locked with a passphrase, and there is none")
                    .hint("name the file that holds it with WHARF_PASSPHRASE_FILE")
            })?;
            let mut key = age::scrypt::Identity::new(SecretString::from(passphrase.expose().clone()));
            key.set_max_work_factor(MOST_WORK);
            read(&mut std::iter::once(&key as &dyn age::Identity))?
        } else {
            let identity = with.identity.as_ref().ok_or_else(|| {
                Error::new(
                    Kind::NotAllowed,
                    "the bundle is encrypted to somebody's key, and no identity is named",
                )
                .hint("name your age identity or SSH private key with --identity FILE or WHARF_IDENTITY")
            })?;
            read(&mut identity.open(with.passphrase.as_ref())?.keys())?
        };
        if archive.len() as u64 > LARGEST {
            return Err(no_bundle("it is too big"));
        }
        Self::unpack(&archive)
    }

    fn archive(&self) -> std::io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let header = serde_json::to_vec(&Header { version: VERSION, store: self.store.clone() })?;
        append(&mut archive, HEADER, &header)?;
        for (name, machine) in &self.machines {
            append(&mut archive, &format!("{MACHINES}/{name}/{JOURNAL}"), &machine.journal)?;
            for (file, bytes) in &machine.files {
                append(&mut archive, &format!("{MACHINES}/{name}/{file}"), bytes.expose())?;
            }
        }
        archive.into_inner()
    }

    fn unpack(archive: &[u8]) -> Result<Self> {
        let damaged = |e: std::io::Error| no_bundle(&e.to_string());
        let mut header: Option<Header> = None;
        let mut machines: BTreeMap<MachineName, BundledMachine> = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if entry.header().entry_type() != tar::EntryType::Regular {
                return Err(no_bundle(&format!("`{path}` in it is no plain file")));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            if path == HEADER && header.is_none() {
                header = Some(serde_json::from_slice(&bytes).map_err(|e| no_bundle(&e.to_string()))?);
                continue;
            }
            let (name, file) =
                place(&path).ok_or_else(|| no_bundle(&format!("`{path}` in it belongs nowhere")))?;
            let machine = machines.entry(name).or_default();
            let again = if file == JOURNAL {
                !std::mem::replace(&mut machine.journal, bytes).is_empty()
            } else {
                machine.files.insert(file.to_owned(), Secret::new(bytes)).is_some()
            };
            if again {
                return Err(no_bundle(&format!("`{path}` is in it twice")));
            }
        }
        let header = header.ok_or_else(|| no_bundle("it does not say what it is"))?;
        if header.version > VERSION {
            let message =
                format!("the bundle has version {}, and this release knows {VERSION}", header.version);
            return Err(
                Error::new(Kind::Refused, message).hint("use the newer release of wharf that wrote it")
            );
        }
        Ok(Self { store: header.store, machines })
    }
}

impl BundledMachine {
    pub(crate) fn of(entries: &[Entry]) -> Result<Self> {
        let (mut journal, mut sum) = (Vec::new(), String::new());
        for entry in entries {
            let (line, next) = write_line(&sum, entry)
                .map_err(|e| Error::new(Kind::Failed, format!("cannot write an event as JSON: {e}")))?;
            journal.extend(line);
            sum = next;
        }
        Ok(Self { journal, files: BTreeMap::new() })
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let lines = parse(&self.journal).map_err(|e| no_bundle(&e.to_string()))?;
        if lines.torn > 0 || lines.entries.is_empty() {
            return Err(no_bundle("a journal in it is not whole"));
        }
        Ok(lines.entries)
    }
}

/// Every file that a bundle holds of a machine, beside its journal.
pub(crate) fn files() -> [String; 4] {
    [SIGN_IN.file.to_owned(), public_file(SIGN_IN), HOST.file.to_owned(), public_file(HOST)]
}

/// Which machine's, and which of its files, a path in a bundle is; `None` when it is no such path.
fn place(path: &str) -> Option<(MachineName, &str)> {
    let (name, file) = path.strip_prefix(MACHINES)?.strip_prefix('/')?.split_once('/')?;
    let known = file == JOURNAL || files().iter().any(|known| known == file);
    known.then(|| Some((name.parse().ok()?, file)))?
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, path, bytes)
}

fn no_bundle(because: &str) -> Error {
    Error::new(Kind::Refused, format!("this is no bundle that can be imported: {because}"))
        .hint("`wharf export` makes one; nothing of this file was taken over")
}

fn not_opened(error: &age::DecryptError) -> Error {
    let (because, hint) = match error {
        age::DecryptError::NoMatchingKeys => (
            "it is not encrypted to this identity".to_owned(),
            "name another one with --identity, or have it exported once more with your public key as --recipient",
        ),
        age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => (
            "the passphrase is wrong".to_owned(),
            "check the passphrase in the file that WHARF_PASSPHRASE_FILE names",
        ),
        other => (other.to_string(), "export it once more"),
    };
    Error::new(Kind::NotAllowed, format!("the bundle cannot be opened: {because}")).hint(hint)
}

const VERSION: u32 = 1;
/// How costly a passphrase is to guess, as a power of two, and how costly it may be: what `age` itself takes. What the
/// library would choose, by how busy this computer is, another computer or this one an hour later might refuse.
const WORK: u8 = 18;
const MOST_WORK: u8 = 22;
const HEADER: &str = "bundle.json";
const MACHINES: &str = "machines";
const JOURNAL: &str = "journal.jsonl";
/// Journals are some kilobytes each.
const LARGEST: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests;
