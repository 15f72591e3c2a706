//! Paths as Dockerfiles name them.

use crate::engine::dockerfile::clean;

/// From the working folder; a slash at the end stays, since it says that a folder is meant.
pub(super) fn absolute(working_dir: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{working_dir}/{path}") };
    let folder = path.ends_with('/') || path == "." || path.ends_with("/.");
    let whole = clean(&whole);
    if folder && whole != "/" { format!("{whole}/") } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_start_from_the_working_folder() {
        for (folder, path, whole) in [
            ("", "a", "/a"),
            ("/w", "a/", "/w/a/"),
            ("/w", ".", "/w/"),
            ("/w", "/x/../y", "/y"),
            ("/w", "../../..", "/"),
            ("", "/", "/"),
        ] {
            assert_eq!(absolute(folder, path), whole, "{folder} {path}");
        }
    }
}
