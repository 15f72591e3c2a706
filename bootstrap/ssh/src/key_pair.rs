//! A new key pair, in OpenSSH's format.

use std::fmt;

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use crate::{Error, HostKey};

/// An ed25519 key pair: a person's, or a host's. `Debug` shows the public half only.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    private: String,
    public: String,
}

impl KeyPair {
    /// Makes one.
    pub fn generate(comment: &str) -> Result<Self, Error> {
        let made = |error: ssh_key::Error| Error::Protocol(format!("cannot make a key: {error}"));
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(made)?;
        key.set_comment(comment);
        let private = key.to_openssh(LineEnding::LF).map_err(made)?.to_string();
        Ok(Self { private, public: key.public_key().to_openssh().map_err(made)? })
    }

    /// Takes up one made before.
    pub fn load(private: &str) -> Result<Self, Error> {
        let damaged =
            |error: ssh_key::Error| Error::Identity { name: "key".to_owned(), reason: error.to_string() };
        let key = PrivateKey::from_openssh(private).map_err(damaged)?;
        Ok(Self { private: private.to_owned(), public: key.public_key().to_openssh().map_err(damaged)? })
    }

    /// Whether this text is a private key that needs a passphrase.
    pub fn is_encrypted(private: &str) -> bool {
        PrivateKey::from_openssh(private).is_ok_and(|key| key.is_encrypted())
    }

    /// Takes up one made before, encrypted with this passphrase.
    pub fn decrypt(private: &str, passphrase: &str) -> Result<Self, Error> {
        let damaged =
            |error: ssh_key::Error| Error::Identity { name: "key".to_owned(), reason: error.to_string() };
        let key = PrivateKey::from_openssh(private).map_err(damaged)?;
        let wrong =
            |_| Error::Identity { name: "key".to_owned(), reason: "the passphrase is wrong".to_owned() };
        let key = key.decrypt(passphrase).map_err(wrong)?;
        Self::load(&key.to_openssh(LineEnding::LF).map_err(damaged)?)
    }

    /// The private half, encrypted with a passphrase.
    pub fn encrypted(&self, passphrase: &str) -> Result<String, Error> {
        let failed = |error: ssh_key::Error| Error::Protocol(format!("cannot encrypt a key: {error}"));
        let key = PrivateKey::from_openssh(&self.private).map_err(failed)?;
        let encrypted = key.encrypt(&mut OsRng, passphrase).map_err(failed)?;
        Ok(encrypted.to_openssh(LineEnding::LF).map_err(failed)?.to_string())
    }

    /// The private half. Every call of this is a place to look at.
    pub fn private(&self) -> &str {
        &self.private
    }

    /// The public half: one line, as it stands in `authorized_keys`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The public half as a host's.
    pub fn host_key(&self) -> Result<HostKey, Error> {
        self.public.parse()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}
