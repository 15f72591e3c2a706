//! Where private keys are kept: in the operating system's keyring where there is one, else in files for their owner
//! alone, encrypted where there is a passphrase.
//!
//! ```text
//! ca-key.pem            the key: plain, encrypted with a passphrase, or in a shared store to its recipients
//! ca-key.pem.keyring    instead of it: which keyring has the key, and under what name
//! ```
//!
//! The note beside the place where the key would be is how another command finds it, or can say what is missing: a
//! session without the desktop's keyring is told so, and never makes a second key.
//!
//! A key is moved by writing it, reading it back, and only then taking the old one away; so a command that is killed
//! in between leaves both, and the file counts. The one key that stays a file is the person's own client key: the
//! docker client reads it there.

mod cipher;
mod identity;
mod keyring;
mod recipient;
#[cfg(test)]
mod recipient_tests;
mod roster;
mod sealed;
mod team;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use wharf_driver::Secret;

pub use self::identity::Identity;
pub use self::keyring::Keyring;
pub use self::recipient::{PublicKey, Recipient, RecipientRole};
pub(crate) use self::roster::Roster;
pub(crate) use self::sealed::seal;
pub(crate) use self::team::RECIPIENTS;
use crate::store::{Lease, Store, Subject};
use crate::{Error, Kind, Result};

/// Where keys are to be kept.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// The keyring of this session, where there may be one.
    pub keyring: Option<Arc<dyn Keyring>>,
    /// Keys are to be files though there is a keyring; those that it has are brought back.
    pub in_files: bool,
    /// What files are encrypted with, and what opens an identity that is locked.
    pub passphrase: Option<Secret<String>>,
    /// Who the person is to a store with recipients.
    pub identity: Option<Identity>,
    /// SHA-256 of the authority's certificate, in hex, where the person was told it.
    pub authority: Option<String>,
}

/// A private key by its file, and how it is written when it is encrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// The file, under its subject's folder.
    pub(crate) file: &'static str,
    /// What it is in, for the encryption that its readers know.
    pub(crate) format: Format,
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As certificates' keys are.
    Pkcs8,
    /// As OpenSSH's are.
    OpenSsh,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Missing,
    File,
    EncryptedFile,
    /// Encrypted to recipients: to which ones.
    SealedFile(String),
    Keyring(String),
}

/// The note about a key that is elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    keyring: String,
    account: String,
}

/// All private keys of a store but the person's own.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    store: Arc<dyn Store>,
    keeping: Keeping,
    /// The keyring has refused a key.
    refused: Arc<AtomicBool>,
}

impl Vault {
    pub(crate) fn new(store: Arc<dyn Store>, keeping: Keeping) -> Self {
        Self { store, keeping, refused: Arc::default() }
    }

    /// The key; `None` when there is none.
    pub(crate) async fn read(&self, subject: &Subject, key: Key) -> Result<Option<Secret<String>>> {
        if let Some(written) = self.file(subject, key).await? {
            return self.opened(subject, key, written).await.map(Some);
        }
        let Some(note) = self.note(subject, key).await? else { return Ok(None) };
        let held = self.keyring(subject, key, &note)?.get(&note.account).await;
        let held = held.map_err(|error| unreachable(subject, key, &note.keyring, &error))?;
        held.map(Some).ok_or_else(|| gone(subject, key, &note))
    }

    /// Where the key is.
    pub(crate) async fn place(&self, subject: &Subject, key: Key) -> Result<Place> {
        if let Some(written) = self.file(subject, key).await? {
            if sealed::is_sealed(written.expose()) {
                return Ok(Place::SealedFile(sealed::marked(written.expose()).to_owned()));
            }
            let encrypted = cipher::is_encrypted(key.format, written.expose());
            return Ok(if encrypted { Place::EncryptedFile } else { Place::File });
        }
        let note = self.note(subject, key).await?;
        Ok(note.map_or(Place::Missing, |note| Place::Keyring(note.keyring)))
    }

    /// Whether keys that are made now have a place to be.
    pub(crate) async fn can_keep(&self) -> Result<()> {
        let locked = self.keeping.passphrase.is_some() || !self.store.is_shared();
        if locked || self.roster().await?.is_some() { Ok(()) } else { Err(no_passphrase()) }
    }

    /// Keeps a key that was just made.
    pub(crate) async fn put(&self, lease: &Lease, key: Key, secret: &Secret<String>) -> Result<()> {
        if let Some(keyring) = self.wanted() {
            match self.hand_over(&**keyring, lease, key, secret).await {
                Ok(()) => return Ok(()),
                Err(error) => self.give_up(key, &error),
            }
        }
        self.write(lease, key, secret).await
    }

    /// Whether the key is where it is to be kept, or is not there yet.
    pub(crate) async fn is_settled(&self, subject: &Subject, key: Key) -> Result<bool> {
        let place = self.place(subject, key).await?;
        if place != Place::Missing
            && let Some(roster) = self.roster().await?
        {
            return Ok(place == Place::SealedFile(roster.mark(subject)));
        }
        Ok(match place {
            Place::Missing => true,
            Place::File | Place::EncryptedFile if self.wanted().is_some() => false,
            // A move out of the keyring may have been cut off.
            _ if self.keeping.in_files => self.note(subject, key).await?.is_none(),
            Place::File => self.keeping.passphrase.is_none(),
            Place::EncryptedFile | Place::SealedFile(_) | Place::Keyring(_) => true,
        })
    }

    /// Brings a key to where it is to be kept, if it is elsewhere. What cannot be moved stays, and is good there.
    pub(crate) async fn settle(&self, lease: &Lease, key: Key) -> Result<()> {
        let subject = &lease.subject;
        if let Some(roster) = self.roster().await? {
            return self.settle_sealed(lease, key, roster).await;
        }
        match (self.place(subject, key).await?, self.wanted()) {
            (Place::File | Place::EncryptedFile, Some(keyring)) => {
                let Some(secret) = self.read(subject, key).await? else { return Ok(()) };
                if let Err(error) = self.hand_over(&**keyring, lease, key, &secret).await {
                    self.give_up(key, &error);
                }
                Ok(())
            }
            (Place::Keyring(_), None) if self.keeping.in_files => {
                let Some(secret) = self.read(subject, key).await? else { return Ok(()) };
                self.write(lease, key, &secret).await?;
                self.forget(lease, key).await
            }
            (Place::File, None) if self.keeping.passphrase.is_some() => {
                let Some(secret) = self.read(subject, key).await? else { return Ok(()) };
                self.write(lease, key, &secret).await
            }
            // The file was written, and whoever did it was killed before the keyring's item was gone.
            (Place::File | Place::EncryptedFile, None) if self.keeping.in_files => {
                self.forget(lease, key).await
            }
            _ => Ok(()),
        }
    }

    /// Encrypts a key by the newest list, where it is not.
    async fn settle_sealed(&self, lease: &Lease, key: Key, roster: Roster) -> Result<()> {
        let place = self.place(&lease.subject, key).await?;
        if place == Place::Missing || place == Place::SealedFile(roster.mark(&lease.subject)) {
            return Ok(());
        }
        let Some(secret) = self.read(&lease.subject, key).await? else { return Ok(()) };
        self.write_sealed(lease, key, &secret, roster).await
    }

    /// Takes the key out of its keyring, if it is in one. The file goes with its subject's folder.
    pub(crate) async fn forget(&self, lease: &Lease, key: Key) -> Result<()> {
        let Some(note) = self.note(&lease.subject, key).await? else { return Ok(()) };
        let removed = self.keyring(&lease.subject, key, &note)?.remove(&note.account).await;
        removed.map_err(|error| unreachable(&lease.subject, key, &note.keyring, &error))?;
        self.store.delete(lease, &note_file(key)).await
    }

    fn wanted(&self) -> Option<&Arc<dyn Keyring>> {
        // Others cannot ask this computer's keyring.
        let in_files = self.keeping.in_files || self.store.is_shared();
        let refused = in_files || self.refused.load(Ordering::Relaxed);
        self.keeping.keyring.as_ref().filter(|_| !refused)
    }

    /// A keyring that nobody is there to unlock may take its time to say so: it is asked once.
    fn give_up(&self, key: Key, error: &Error) {
        tracing::debug!(key = key.file, %error, "the keyring does not keep the key: it is a file");
        self.refused.store(true, Ordering::Relaxed);
    }

    async fn hand_over(
        &self,
        keyring: &dyn Keyring,
        lease: &Lease,
        key: Key,
        secret: &Secret<String>,
    ) -> Result<()> {
        let store = self.store.id().await?;
        let account = format!("{}/{}/{}", store.0, name(&lease.subject), key.file);
        keyring.set(&account, secret).await?;
        if keyring.get(&account).await?.as_ref() != Some(secret) {
            return Err(Error::new(
                Kind::Failed,
                format!("{} does not give back what it got", keyring.name()),
            ));
        }
        let note = Note { keyring: keyring.name().to_owned(), account };
        let note = serde_json::to_vec(&note).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        self.store.put(lease, &note_file(key), &note).await?;
        self.store.delete(lease, key.file).await
    }

    async fn write(&self, lease: &Lease, key: Key, secret: &Secret<String>) -> Result<()> {
        if let Some(roster) = self.roster().await? {
            return self.write_sealed(lease, key, secret, roster).await;
        }
        let encrypted = match &self.keeping.passphrase {
            Some(passphrase) => Some(cipher::encrypt(key.format, secret, passphrase)?),
            None if self.store.is_shared() => return Err(no_passphrase()),
            None => None,
        };
        let written = encrypted.as_ref().unwrap_or(secret);
        self.store.put(lease, key.file, written.expose().as_bytes()).await
    }

    async fn opened(&self, subject: &Subject, key: Key, written: Secret<String>) -> Result<Secret<String>> {
        if sealed::is_sealed(written.expose()) {
            return self.open_sealed(subject, key, written.expose()).await;
        }
        if !cipher::is_encrypted(key.format, written.expose()) {
            return Ok(written);
        }
        let what = describe(subject, key);
        let Some(passphrase) = &self.keeping.passphrase else {
            return Err(Error::new(
                Kind::NotAllowed,
                format!("{what} is encrypted, and there is no passphrase"),
            )
            .hint("name the file that holds it with WHARF_PASSPHRASE_FILE"));
        };
        cipher::decrypt(key.format, &written, passphrase)
            .map_err(|error| error.during(&format!("{what} cannot be decrypted")))
    }

    fn keyring(&self, subject: &Subject, key: Key, note: &Note) -> Result<&Arc<dyn Keyring>> {
        let here = self.keeping.keyring.as_ref().filter(|keyring| keyring.name() == note.keyring);
        let none = Error::new(Kind::NotAllowed, "this session has no such keyring");
        here.ok_or_else(|| unreachable(subject, key, &note.keyring, &none))
    }

    async fn file(&self, subject: &Subject, key: Key) -> Result<Option<Secret<String>>> {
        let Some(bytes) = self.store.get(subject, key.file).await? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(Kind::Failed, format!("{} is damaged: it is not text", describe(subject, key)))
                .hint("bring the file back from a backup")
        })?;
        Ok(Some(Secret::new(text)))
    }

    async fn note(&self, subject: &Subject, key: Key) -> Result<Option<Note>> {
        let Some(bytes) = self.store.get(subject, &note_file(key)).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::new(
                Kind::Failed,
                format!("the note on where {} is is damaged: {e}", describe(subject, key)),
            )
            .fact("file", self.store.path(subject).join(note_file(key)).display().to_string())
            .hint("bring the file back from a backup")
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("nowhere yet"),
            Self::File => f.write_str("a file"),
            Self::EncryptedFile => f.write_str("an encrypted file"),
            Self::SealedFile(_) => f.write_str("a file encrypted to the store's recipients"),
            Self::Keyring(name) => f.write_str(name),
        }
    }
}

fn no_passphrase() -> Error {
    Error::new(Kind::Refused, "private keys would lie open in a store that is shared").hint(
        "`wharf store init URL --recipient KEY` encrypts them to people's own keys; or name a file with the team's \
         passphrase with WHARF_PASSPHRASE_FILE",
    )
}

fn note_file(key: Key) -> String {
    format!("{}.keyring", key.file)
}

fn name(subject: &Subject) -> String {
    match subject {
        Subject::Machine(name) => format!("machines/{name}"),
        Subject::Shared(name) => format!("shared/{name}"),
        Subject::Fleet(name) => format!("fleets/{name}"),
        Subject::Authority => "authority".to_owned(),
    }
}

fn describe(subject: &Subject, key: Key) -> String {
    match subject {
        Subject::Authority => "the key of the certificate authority".to_owned(),
        other => format!("the key `{}` of {}", key.file, other.describe()),
    }
}

fn unreachable(subject: &Subject, key: Key, keyring: &str, error: &Error) -> Error {
    let message = format!("{} is in {keyring}, which cannot be asked: {error}", describe(subject, key));
    Error::new(Kind::NotAllowed, message)
        .hint("run this in the desktop session that the keyring belongs to, and unlock it there")
}

fn gone(subject: &Subject, key: Key, note: &Note) -> Error {
    let message = format!("{} is not in {} any more", describe(subject, key), note.keyring);
    Error::new(Kind::Failed, message)
        .fact("account", note.account.clone())
        .hint("bring the keyring's item back from a backup of the keyring")
}
