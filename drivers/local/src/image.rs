//! Our own guest's image: a folder with `kernel`, `initramfs` and `image.json`, made by `guest/build.sh`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use wharf_driver::{Error, Kind, Result};

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) folder: PathBuf,
    pub(crate) inputs: String,
}

#[derive(Debug, Deserialize)]
struct Label {
    version: u32,
    architecture: String,
    inputs: String,
}

/// What this release knows. 2 mounts folders of this computer.
const VERSION: u32 = 2;
const HINT: &str =
    "make one with drivers/local/guest/build.sh, and name it with --local-image-dir or WHARF_GUEST";

/// The image in `folder`, or the newest one in the folders below it.
pub(crate) fn find(folder: &Path) -> Result<Image> {
    if folder.join("image.json").exists() {
        return open(folder);
    }
    let mut images: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((fs::metadata(path.join("image.json")).ok()?.modified().ok()?, path)))
        .collect();
    images.sort();
    let (_, newest) = images.pop().ok_or_else(|| {
        Error::new(Kind::Refused, format!("no guest image is in {}", folder.display())).hint(HINT)
    })?;
    open(&newest)
}

/// When nobody said where the image is.
pub(crate) fn unnamed() -> Error {
    Error::new(Kind::Refused, "nobody said where the guest's image is").hint(HINT)
}

fn open(folder: &Path) -> Result<Image> {
    let broken = |why: String| {
        Error::new(Kind::Refused, format!("the guest image in {} is unusable: {why}", folder.display()))
            .hint(HINT)
    };
    let read = || -> io::Result<Label> { Ok(serde_json::from_slice(&fs::read(folder.join("image.json"))?)?) };
    let label = read().map_err(|error| broken(error.to_string()))?;
    if label.version != VERSION {
        return Err(broken(format!("its version is {}, and {VERSION} is needed", label.version)));
    }
    if label.architecture != std::env::consts::ARCH {
        return Err(broken(format!(
            "it is for {}, and this is {}",
            label.architecture,
            std::env::consts::ARCH
        )));
    }
    for part in ["kernel", "initramfs"] {
        if !folder.join(part).is_file() {
            return Err(broken(format!("it has no {part}")));
        }
    }
    Ok(Image { folder: folder.to_owned(), inputs: label.inputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(architecture: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        fs::create_dir(&one).unwrap();
        for part in ["kernel", "initramfs"] {
            fs::File::create(one.join(part)).unwrap();
        }
        let label = format!(r#"{{"version":2,"architecture":"{architecture}","kernel":"6","inputs":"abc"}}"#);
        io::Write::write_all(&mut fs::File::create(one.join("image.json")).unwrap(), label.as_bytes())
            .unwrap();
        folder
    }

    #[test]
    fn an_image_is_found_in_its_folder_and_above() {
        let folder = image(std::env::consts::ARCH);
        let found = find(folder.path()).unwrap();
        assert_eq!(found.inputs, "abc");
        assert_eq!(find(&found.folder).unwrap(), found);
    }

    #[test]
    fn what_is_not_an_image_is_refused_with_a_hint() {
        let error = find(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.advice().unwrap().contains("build.sh"));
        let other = image("pdp11");
        assert!(find(other.path()).unwrap_err().to_string().contains("it is for pdp11"));
    }
}
