//! Who a person or job is to a store with recipients: an identity of age's or an SSH private key, which may be locked
//! with a passphrase. Nobody is asked for that: it comes with the identity, or the identity opens nothing.

use std::fmt;
use std::sync::{Arc, OnceLock};

use age::secrecy::SecretString;
use wharf_driver::Secret;

use super::recipient::PublicKey;
use crate::{Error, Kind, Result};

/// A private key, read and not yet opened.
#[derive(Clone)]
pub struct Identity {
    name: String,
    public: Vec<PublicKey>,
    key: Arc<Key>,
    opened: Arc<OnceLock<Result<Opened>>>,
}

enum Key {
    Age(Vec<age::x25519::Identity>),
    Ssh(Box<age::ssh::Identity>),
}

/// What opens files.
pub(crate) struct Opened(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identity {
    /// Reads the text of a file that is called `name`.
    ///
    /// # Errors
    /// When it holds no such key.
    pub fn read(name: &str, text: &Secret<String>) -> Result<Self> {
        let text = text.expose();
        let (key, public) =
            if text.contains("PRIVATE KEY-----") { ssh(name, text)? } else { age(name, text)? };
        Ok(Self { name: name.to_owned(), public, key: Arc::new(key), opened: Arc::default() })
    }

    /// What the file is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the private half of it.
    #[must_use]
    pub fn is(&self, key: &PublicKey) -> bool {
        self.public.contains(key)
    }

    /// Opens it, once for all.
    pub(crate) fn open(&self, passphrase: Option<&Secret<String>>) -> Result<&Opened> {
        let opened = self.opened.get_or_init(|| match &*self.key {
            Key::Age(keys) => Ok(Opened(keys.iter().map(|key| Box::new(key.clone()) as _).collect())),
            Key::Ssh(key) => self.open_ssh(key, passphrase),
        });
        opened.as_ref().map_err(Error::again)
    }

    fn open_ssh(&self, key: &age::ssh::Identity, passphrase: Option<&Secret<String>>) -> Result<Opened> {
        let name = &self.name;
        let encrypted = match key {
            age::ssh::Identity::Encrypted(encrypted) => encrypted,
            other => return Ok(Opened(vec![Box::new(other.clone())])),
        };
        let passphrase = passphrase.ok_or_else(|| {
            let message = format!("the identity `{name}` is locked with a passphrase, and there is none");
            Error::new(Kind::NotAllowed, message).hint(
                "name the file that holds it with WHARF_PASSPHRASE_FILE, or another identity with --identity",
            )
        })?;
        let plain = encrypted.decrypt(SecretString::from(passphrase.expose().clone())).map_err(|_| {
            let message = format!("the passphrase of the identity `{name}` is wrong");
            Error::new(Kind::NotAllowed, message)
                .hint("check the passphrase in the file that WHARF_PASSPHRASE_FILE names")
        })?;
        Ok(Opened(vec![Box::new(age::ssh::Identity::from(plain))]))
    }
}

impl Opened {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| &**key as &dyn age::Identity)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

fn age(name: &str, text: &str) -> Result<(Key, Vec<PublicKey>)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // The line itself is never shown: it may be a secret with a mistake in it.
    let keys: Vec<age::x25519::Identity> =
        lines.map(|line| line.parse().map_err(|_| not_one(name))).collect::<Result<_>>()?;
    if keys.is_empty() {
        return Err(not_one(name));
    }
    let public = keys.iter().map(|key| key.to_public().to_string().parse()).collect::<Result<_>>()?;
    Ok((Key::Age(keys), public))
}

fn ssh(name: &str, text: &str) -> Result<(Key, Vec<PublicKey>)> {
    let key = age::ssh::Identity::from_buffer(text.as_bytes(), None).map_err(|_| not_one(name))?;
    let public = age::ssh::Recipient::try_from(key.clone()).map_err(|_| {
        let message =
            format!("the identity `{name}` is an SSH key of a kind that nothing can be encrypted to");
        Error::new(Kind::Refused, message)
            .hint("use one of type ed25519 or RSA, in a file, or an identity of age's")
    })?;
    Ok((Key::Ssh(Box::new(key)), vec![public.to_string().parse()?]))
}

fn not_one(name: &str) -> Error {
    let message = format!("the identity `{name}` is neither one of age's nor an SSH private key");
    Error::new(Kind::Refused, message)
        .hint("--identity or WHARF_IDENTITY names a file that `age-keygen` or `ssh-keygen` made")
}
