//! A key that cannot be printed by accident, and that can be locked with a passphrase.

use std::fmt;

use pkcs8::der::Decode as _;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo, SecretDocument};

use crate::Error;

/// A private key in PEM. It has no `Display` and no `Serialize`; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key.
    pub const fn new(pem: String) -> Self {
        Self(pem)
    }

    /// The key in PKCS #8, encrypted: AES-256 under a key that scrypt makes of the passphrase.
    pub fn encrypted(&self, passphrase: &str) -> Result<Self, Error> {
        let failed = |reason: String| Error::Damaged { what: "key", reason };
        let (_, plain) = SecretDocument::from_pem(&self.0).map_err(|e| failed(e.to_string()))?;
        let key = PrivateKeyInfo::from_der(plain.as_bytes()).map_err(|e| failed(e.to_string()))?;
        let (mut salt, mut start) = ([0; 16], [0; 16]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut start)?;
        let cost = scrypt::Params::new(LOG_ROUNDS, BLOCK, LANES, 32).map_err(|e| failed(e.to_string()))?;
        let how = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &start);
        let how = how.map_err(|e| failed(e.to_string()))?;
        let encrypted = key.encrypt_with_params(how, passphrase).map_err(|e| failed(e.to_string()))?;
        let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF);
        Ok(Self(pem.map_err(|e| failed(e.to_string()))?.to_string()))
    }

    /// Takes up a key that was encrypted with this passphrase.
    pub fn decrypt(pem: &str, passphrase: &str) -> Result<Self, Error> {
        let failed = |reason: String| Error::Damaged { what: "key", reason };
        let (_, encrypted) = SecretDocument::from_pem(pem).map_err(|e| failed(e.to_string()))?;
        let encrypted = EncryptedPrivateKeyInfo::from_der(encrypted.as_bytes());
        let encrypted = encrypted.map_err(|e| failed(e.to_string()))?;
        let plain = encrypted.decrypt(passphrase);
        let plain = plain.map_err(|_| failed("the passphrase is wrong".to_owned()))?;
        let pem = plain.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|e| failed(e.to_string()))?;
        Ok(Self(pem.to_string()))
    }

    /// The key. Every call of this is a place to look at.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// 16 MiB for every guess, five times: what the usual advice asks for, and less than what OpenSSL refuses.
const LOG_ROUNDS: u8 = 14;
const BLOCK: u32 = 8;
const LANES: u32 = 5;
