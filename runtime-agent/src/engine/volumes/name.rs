//! What a volume may be called.

use crate::engine::error::{Error, Result};

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, in dockerd's words when it is not.
pub(super) fn check(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    // It becomes a folder's name.
    if first && name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// 64 hexadecimal digits, for a volume that nobody named.
pub(super) fn random() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex::encode(bytes))
}
