//! A key encrypted to several recipients: an armored age file, below a line that says to which ones.
//!
//! That line is how whoever cannot open the file knows that it is not encrypted by the newest list. It protects nothing:
//! what it is about is that a file encrypted by an older list is written anew.

use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use wharf_driver::Secret;

use super::identity::Opened;
use super::recipient::PublicKey;
use super::roster::mark;
use crate::{Error, Kind, Result};

/// Whether a file's text is one of these.
pub(super) fn is_sealed(text: &str) -> bool {
    text.starts_with(TO)
}

/// The mark of those that it is encrypted to.
pub(super) fn marked(text: &str) -> &str {
    text.strip_prefix(TO).and_then(|rest| rest.lines().next()).unwrap_or_default().trim()
}

/// The text that these can read.
pub(crate) fn seal(plain: &Secret<String>, to: &[&PublicKey]) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::new(Kind::Failed, format!("cannot encrypt a key: {e}"));
    let keys = to.iter().map(|key| key.to_age()).collect::<Result<Vec<_>>>()?;
    let each = keys.iter().map(|key| &**key as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(each).map_err(|e| failed(&e))?;
    let written = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain.expose().as_bytes())?;
        writer.finish()?.finish()
    };
    let armored = String::from_utf8(written().map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    Ok(format!("{TO}{}\n{armored}", mark(to)))
}

/// What stands in it; `None` when it is encrypted to none of these keys.
pub(super) fn open(text: &str, with: &Opened) -> Result<Option<Secret<String>>> {
    let damaged = |e: &dyn std::fmt::Display| Error::new(Kind::Failed, format!("it is damaged: {e}"));
    let armored = text.split_once('\n').map_or("", |(_, rest)| rest);
    let decryptor =
        age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).map_err(|e| damaged(&e))?;
    let mut reader = match decryptor.decrypt(with.keys()) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Ok(None),
        Err(error) => return Err(damaged(&error)),
    };
    let mut plain = String::new();
    reader.read_to_string(&mut plain).map_err(|e| damaged(&e))?;
    Ok(Some(Secret::new(plain)))
}

const TO: &str = "wharf-recipients: ";
