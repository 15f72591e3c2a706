//! What proves to a server who we are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh_key::PrivateKey;

use crate::Error;

/// One thing to sign in with. `Debug` shows no key.
#[derive(Clone)]
pub enum Identity {
    /// A private key in memory, in OpenSSH's or PEM format.
    Key(String),
    /// A private key in a file, read when it is needed; a certificate beside it (`<path>-cert.pub`) is shown too.
    File(PathBuf),
    /// Every key of the agent that listens on this socket.
    Agent(PathBuf),
}

/// Asked for the passphrase of the key that is named; `None` skips that key.
#[derive(Clone)]
pub struct Passphrase(Arc<Ask>);

type Ask = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Passphrase {
    /// Asks this function. It may block: it is called off the async threads.
    pub fn new(ask: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key([secret])"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Agent(socket) => f.debug_tuple("Agent").field(socket).finish(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("the machine's own key"),
            Self::File(path) => write!(f, "the key {}", path.display()),
            Self::Agent(_) => f.write_str("the keys of the SSH agent"),
        }
    }
}

/// A key ready to sign with.
pub(crate) struct Usable {
    pub(crate) pem: String,
    pub(crate) passphrase: Option<String>,
    pub(crate) certificate: Option<String>,
}

impl Usable {
    pub(crate) fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, Error> {
        let failed = |reason: String| Error::Identity { name: path.display().to_string(), reason };
        let pem = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mut certificate = path.as_os_str().to_owned();
        certificate.push("-cert.pub");
        let certificate = std::fs::read_to_string(certificate).ok();
        Ok(Self { certificate, ..Self::of(pem, &path.display().to_string(), passphrase)? })
    }

    pub(crate) fn of(pem: String, name: &str, passphrase: Option<&Passphrase>) -> Result<Self, Error> {
        let failed = |reason: &str| Error::Identity { name: name.to_owned(), reason: reason.to_owned() };
        let encrypted = match PrivateKey::from_openssh(&pem) {
            Ok(key) => key.is_encrypted(),
            Err(_) if pem.contains("PRIVATE KEY-----") && !pem.contains("BEGIN OPENSSH") => {
                pem.contains("ENCRYPTED")
            }
            Err(error) => return Err(failed(&format!("it is no private key: {error}"))),
        };
        if !encrypted {
            return Ok(Self { pem, passphrase: None, certificate: None });
        }
        let given = passphrase.and_then(|Passphrase(ask)| ask(name));
        let given = given.ok_or_else(|| failed("it is encrypted, and there was no passphrase"))?;
        if PrivateKey::from_openssh(&pem).is_ok_and(|key| key.decrypt(&given).is_err()) {
            return Err(failed("the passphrase is wrong"));
        }
        Ok(Self { pem, passphrase: Some(given), certificate: None })
    }
}
