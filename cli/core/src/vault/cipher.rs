//! Keys in files, encrypted as the programs that could read the plain ones know it: PKCS #8 with scrypt and AES for
//! certificates' keys, OpenSSH's own way for SSH keys. `openssl pkcs8` and `ssh-keygen -p` open them, and change the
//! passphrase.

use wharf_driver::Secret;

use super::Format;
use crate::{Error, Kind, Result};

/// Whether a file's text is an encrypted key.
pub(super) fn is_encrypted(format: Format, text: &str) -> bool {
    match format {
        Format::Pkcs8 => text.contains("BEGIN ENCRYPTED PRIVATE KEY"),
        Format::OpenSsh => wharf_ssh::KeyPair::is_encrypted(text),
    }
}

/// The key as it stands in a file.
pub(super) fn encrypt(
    format: Format,
    key: &Secret<String>,
    passphrase: &Secret<String>,
) -> Result<Secret<String>> {
    let (key, passphrase) = (key.expose(), passphrase.expose());
    let encrypted = match format {
        Format::Pkcs8 => wharf_pki::Secret::new(key.clone())
            .encrypted(passphrase)
            .map(|secret| secret.expose().to_owned())
            .map_err(|e| e.to_string()),
        Format::OpenSsh => wharf_ssh::KeyPair::load(key)
            .and_then(|pair| pair.encrypted(passphrase))
            .map_err(|e| e.to_string()),
    };
    encrypted.map(Secret::new).map_err(|e| Error::new(Kind::Failed, format!("cannot encrypt a key: {e}")))
}

/// The key in a file.
pub(super) fn decrypt(
    format: Format,
    file: &Secret<String>,
    passphrase: &Secret<String>,
) -> Result<Secret<String>> {
    let (file, passphrase) = (file.expose(), passphrase.expose());
    let decrypted = match format {
        Format::Pkcs8 => wharf_pki::Secret::decrypt(file, passphrase)
            .map(|secret| secret.expose().to_owned())
            .map_err(|e| e.to_string()),
        Format::OpenSsh => wharf_ssh::KeyPair::decrypt(file, passphrase)
            .map(|pair| pair.private().to_owned())
            .map_err(|e| e.to_string()),
    };
    decrypted.map(Secret::new).map_err(|e| {
        Error::new(Kind::NotAllowed, e)
            .hint("check the passphrase in the file that WHARF_PASSPHRASE_FILE names")
    })
}
