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
