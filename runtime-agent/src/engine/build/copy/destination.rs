//! Paths as Dockerfiles name them.

/// Absolute, without `.` and `..`: nothing climbs above the root.
pub(in crate::engine::build) fn clean(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

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
