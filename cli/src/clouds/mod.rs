//! Clouds that the person has set up: one file each, `clouds/NAME.yaml` beside the configuration file.
//!
//! ```yaml
//! driver: azure
//! endpoint: https://management.stamp1.example     # the driver's flags without its name
//! location: stamp1
//! size: [Standard_DS1_v2]
//! client-id: 6a3c6a0e-0000-4000-8000-000000000000
//! client-secret:
//!   keyring: clouds/stamp1/client-secret          # or env: VARIABLE, or file: /path
//! ```
//! No secret stands in it, only where it is. What else is there may be edited by hand.

mod file;

use std::path::{Path, PathBuf};

use wharf_core::MachineName;
use wharf_driver::Profile;

use crate::error::{Error, Kind, Result};
use crate::files;
use crate::settings::Entry;
use crate::world::World;

pub(crate) use file::{At, File, Word};

/// All of them.
#[derive(Debug, Clone)]
pub(crate) struct Clouds {
    folder: PathBuf,
    profiles: Vec<Profile>,
    /// Files that are none, each with the reason.
    damaged: Vec<(String, String)>,
}

impl Clouds {
    /// Reads the files.
    pub(crate) fn load(folder: &Path, drivers: &[Entry], world: &World) -> Self {
        let mut clouds = Self { folder: folder.to_owned(), profiles: Vec::new(), damaged: Vec::new() };
        let Ok(entries) = std::fs::read_dir(folder) else { return clouds };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for path in files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match File::read(path).and_then(|file| file.profile(&name, drivers, world)) {
                Ok(profile) => clouds.profiles.push(profile),
                Err(why) => clouds.damaged.push((name, format!("`{}` is wrong: {why}", path.display()))),
            }
        }
        clouds
    }

    /// As if none of them were there.
    pub(crate) fn forgotten(&self) -> Self {
        Self { folder: self.folder.clone(), profiles: Vec::new(), damaged: Vec::new() }
    }

    /// Every cloud whose file could be read, by name.
    pub(crate) fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// What is wrong with the others.
    pub(crate) fn damage(&self) -> impl Iterator<Item = &str> {
        self.damaged.iter().map(|(_, why)| why.as_str())
    }

    /// The cloud called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<&Profile> {
        if let Some((_, why)) = self.damaged.iter().find(|(damaged, _)| damaged == name) {
            return Err(Error::usage(why.clone()).hint("correct the file, or set the cloud up anew"));
        }
        self.profiles.iter().find(|profile| profile.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.profiles.iter().map(|profile| profile.name.as_str()).collect();
            let hint = if names.is_empty() {
                "`wharf cloud add URL` sets one up".to_owned()
            } else {
                format!("there are {}; `wharf cloud add URL` sets another one up", names.join(", "))
            };
            Error::usage(format!("there is no cloud `{name}`")).hint(hint)
        })
    }

    /// Whether the name is taken, by whatever.
    pub(crate) fn has(&self, name: &MachineName) -> bool {
        self.path(name).exists()
    }

    /// The profiles for a command that means `chosen`, if any: that one is asked first.
    pub(crate) fn ordered(&self, chosen: Option<&str>) -> Vec<Profile> {
        let mut profiles = self.profiles.clone();
        profiles.sort_by_key(|profile| Some(profile.name.as_str()) != chosen);
        profiles
    }

    /// Keeps a cloud.
    pub(crate) fn write(&self, name: &MachineName, file: &File) -> Result<PathBuf> {
        let path = self.path(name);
        files::replace(&path, file.text()?.as_bytes())
            .map_err(|e| Error::failed(format!("cannot write `{}`", path.display())).caused_by(&e))?;
        Ok(path)
    }

    /// Forgets a cloud; what its file said, where that could be read.
    pub(crate) fn remove(&self, name: &MachineName) -> Result<Option<File>> {
        let path = self.path(name);
        if !path.exists() {
            return self.find(name.as_str()).map(|_| None);
        }
        let file = File::read(&path).ok();
        std::fs::remove_file(&path)
            .map_err(|e| Error::failed(format!("cannot remove `{}`", path.display())).caused_by(&e))?;
        Ok(file)
    }

    fn path(&self, name: &MachineName) -> PathBuf {
        self.folder.join(format!("{name}.yaml"))
    }
}

/// A cloud's name as typed: of the form that machines' names have.
pub(crate) fn cloud_name(name: &str) -> Result<MachineName> {
    name.parse().map_err(|e: wharf_driver::NameError| {
        Error::new(Kind::Usage, format!("as a cloud's name, {e}")).hint("name it with --name")
    })
}

/// What a cloud is called that nobody gave a name: the first label of its own name, `management.` left out.
pub(crate) fn usual_name(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':', '?', '#']).next().unwrap_or(host);
    let host = host.strip_prefix("management.").unwrap_or(host);
    host.split('.').next().unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_called_by_its_own_name() {
        for (url, name) in [
            ("https://management.stamp1.example.com", "stamp1"),
            ("https://management.azure.com/", "azure"),
            ("management.local.azurestack.external:443/x", "local"),
            ("https://cloud.example", "cloud"),
        ] {
            assert_eq!(usual_name(url), name, "{url}");
        }
    }
}
