//! Where private keys are kept, and what locks those in files. A passphrase is never a setting itself: the file that
//! holds it is, which may be a pipe.

use std::path::Path;

use wharf_core::Secret;

/// Where private keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// In the system's keyring where there is one.
    Auto,
    /// In files.
    Off,
}

pub(super) fn choice(text: Option<&str>) -> Result<Choice, String> {
    match text {
        None | Some("auto") => Ok(Choice::Auto),
        // Unquoted, YAML has its own idea of `off`.
        Some("off" | "false") => Ok(Choice::Off),
        Some(other) => Err(format!("the keyring is `auto` or `off`, not `{other}`")),
    }
}

/// The first line of the file.
pub(super) fn passphrase(file: &Path) -> Result<Secret<String>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("the passphrase file `{}` cannot be read: {e}", file.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(format!("the passphrase file `{}` begins with an empty line", file.display())),
    }
}
