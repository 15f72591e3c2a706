//! The files that belong to the program: the agent's executable and the guest image. They stand beside it, or in its
//! library folder (`../lib/wharf`).

use std::path::{Path, PathBuf};

/// The agent's executable.
pub(super) fn agent(program: &Path) -> Option<PathBuf> {
    find(program, "wharfd", Path::is_file)
}

/// The folder of the guest image; the last place is the one where its build script leaves it.
pub(super) fn guest(program: &Path, cache: &Path) -> Option<PathBuf> {
    find(program, "guest", Path::is_dir)
        .or_else(|| Some(cache.join("guest")).filter(|folder| folder.is_dir()))
}

fn find(program: &Path, name: &str, fits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    // A link on PATH stands for the file it points to.
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let folder = program.parent()?;
    let beside = folder.join(name);
    let library = folder.parent().map(|up| up.join("lib/wharf").join(name));
    std::iter::once(beside).chain(library).find(|path| fits(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn parts_are_found_beside_and_in_the_library_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["bin", "lib/wharf/guest"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let program = root.join("bin/wharf");
        fs::File::create(&program).unwrap();
        assert_eq!(agent(&program), None);
        fs::File::create(root.join("lib/wharf/wharfd")).unwrap();
        assert_eq!(agent(&program), Some(root.join("lib/wharf/wharfd")));
        fs::File::create(root.join("bin/wharfd")).unwrap();
        assert_eq!(agent(&program), Some(root.join("bin/wharfd")));
        assert_eq!(guest(&program, &root), Some(root.join("lib/wharf/guest")));
        assert_eq!(
            guest(Path::new("/elsewhere/wharf"), &root.join("lib/wharf")),
            Some(root.join("lib/wharf/guest"))
        );
    }
}
