//! Who the person is to a shared store with recipients, and which authority they were told that it has. A key is never a
//! setting itself: the file that holds it is, which may be a pipe.

use std::path::Path;

use wharf_core::{Identity, Secret};

/// Reads the file; a key that is locked is opened when it is needed.
pub(super) fn read(file: &Path) -> Result<Identity, String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| {
        format!("the file `{name}` that --identity or WHARF_IDENTITY names cannot be read: {e}")
    })?;
    Identity::read(&name, &Secret::new(text)).map_err(|e| match e.advice() {
        Some(advice) => format!("{e}: {advice}"),
        None => e.to_string(),
    })
}

/// SHA-256 in hex, in whatever spelling people hand it on.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let plain = text.trim().replace(':', "").to_ascii_lowercase();
    let plain = plain.strip_prefix("sha256").unwrap_or(&plain);
    let whole = plain.len() == 64 && plain.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| plain.to_owned()).ok_or_else(|| {
        format!("WHARF_AUTHORITY is no fingerprint of 64 hexadecimal digits, as `wharf store recipients` shows it: `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_is_taken_however_it_is_spelled() {
        let (plain, digits) = ("ab".repeat(32), vec!["AB"; 32].join(":"));
        for spelled in [plain.clone(), format!("SHA256:{plain}"), digits, format!(" {plain}\n")] {
            assert_eq!(fingerprint(&spelled).as_deref(), Ok(plain.as_str()));
        }
        for wrong in ["", "ab", &"zz".repeat(32), &format!("{plain}00")] {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
