//! From wishes to mounts: sources are made or demanded, volumes are made, and new ones get the image's files.

use std::io;
use std::path::{Path, PathBuf};

use super::{Kind, Mount, Mounted, Source, Wish};
use crate::engine::containers::seams::{ImageSource, VolumeSource};
use crate::engine::error::{Error, Result};
use crate::shares::Shares;

/// The mounts, and those volumes that are to be filled from the image if they are empty.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) to_fill: Vec<Mount>,
}

/// Makes what must be made. Volumes made here stay when a later wish fails: they are listed, and in nobody's use.
pub(crate) async fn settle(
    wishes: Vec<Wish>,
    volumes: &dyn VolumeSource,
    images: &dyn ImageSource,
    shares: Option<&Shares>,
) -> Result<Settled> {
    let mut settled = Settled::default();
    for wish in wishes {
        let Wish { source, destination, read_only, mode, propagation, not_recursive, read_only_at_top } =
            wish;
        let mut mount = Mount {
            kind: Kind::Bind,
            source: PathBuf::new(),
            destination,
            volume: None,
            anonymous: false,
            read_only,
            mode,
            propagation,
            read_only_at_top,
            not_recursive,
            subpath: String::new(),
            options: Vec::new(),
            image: None,
        };
        let mut fill = false;
        match source {
            Source::Path { path, make } => mount.source = bind_source(path, make, shares).await?,
            Source::Image { name, subpath } => {
                let image = images.resolve(&name)?.id;
                mount.image = Some(Mounted { image, name, snapshot: String::new() });
                (mount.kind, mount.subpath) = (Kind::Image, subpath);
            }
            Source::Tmpfs { options } => (mount.kind, mount.options) = (Kind::Tmpfs, options),
            Source::Volume { name, copy, labels, subpath } => {
                mount.anonymous = name.is_none();
                let volume = volumes.obtain(name, labels).await?;
                mount.kind = Kind::Volume;
                mount.source = within(&volume.mountpoint, &subpath)?;
                mount.volume = Some(volume.name);
                fill = copy && subpath.is_empty();
                mount.subpath = subpath;
            }
        }
        if fill {
            settled.to_fill.push(mount.clone());
        }
        settled.mounts.push(mount);
    }
    Ok(settled)
}

async fn bind_source(path: PathBuf, make: bool, shares: Option<&Shares>) -> Result<PathBuf> {
    let missing = |why: String| {
        let path = path.display();
        Error::invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {path}{why}"
        ))
    };
    match tokio::fs::metadata(&path).await {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound && make => {
            if let Some(why) = shares.and_then(|shares| shares.may_make(&path).err()) {
                return Err(missing(format!(": {why}")));
            }
            tokio::fs::create_dir_all(&path).await.map_err(|e| {
                Error::internal(&format!("error while creating mount source path '{}'", path.display()), e)
            })?;
            Ok(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = shares.and_then(|shares| shares.may_make(&path).err());
            Err(missing(why.map(|why| format!(": {why}")).unwrap_or_default()))
        }
        Err(error) => Err(Error::internal(&format!("looking at {}", path.display()), error)),
    }
}

/// Refuses a part that is not there. What its name means then is looked up again at each start.
fn within(volume: &Path, subpath: &str) -> Result<PathBuf> {
    if subpath.is_empty() {
        return Ok(volume.to_owned());
    }
    let inside = crate::engine::containers::inside::Inside::open(volume)
        .map_err(|e| Error::internal(&format!("opening {}", volume.display()), e))?;
    match inside.locate(Path::new(subpath)) {
        Ok(Some(_)) => Ok(volume.join(super::names(subpath))),
        Ok(None) => Err(Error::invalid(format!(
            "cannot access path {}: no such file or directory",
            volume.join(subpath).display()
        ))),
        Err(error) => Err(Error::internal(&format!("looking for {subpath} in a volume"), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::containers::seams::fakes::FolderVolumes;
    use crate::engine::containers::tests::OneImage;
    use wharfd_api_types::container::{ContainerConfig, HostConfig};

    async fn settle_json(folder: &Path, json: &str) -> Result<Settled> {
        let host: HostConfig =
            serde_json::from_str(&json.replace("DIR", &folder.display().to_string())).unwrap();
        let wishes = super::super::wishes(&ContainerConfig::default(), &host)?;
        settle(wishes, &FolderVolumes::at(&folder.join("volumes")), &OneImage, None).await
    }

    #[tokio::test]
    async fn on_a_machine_with_shares_nothing_is_made_outside_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares::read("ro /home/ann\n");
        let settle = async |source: &Path, wish: &str| {
            let json = wish.replace("SOURCE", &source.display().to_string());
            let host: HostConfig = serde_json::from_str(&json).unwrap();
            let wishes = super::super::wishes(&ContainerConfig::default(), &host).unwrap();
            settle(wishes, &FolderVolumes::at(folder.path()), &OneImage, Some(&shares)).await
        };
        let gone = folder.path().join("gone");
        for wish in [
            r#"{"Binds":["SOURCE:/b"]}"#,
            r#"{"Mounts":[{"Type":"bind","Source":"SOURCE","Target":"/b","BindOptions":{"CreateMountpoint":true}}]}"#,
            r#"{"Mounts":[{"Type":"bind","Source":"SOURCE","Target":"/b"}]}"#,
        ] {
            let message = settle(&gone, wish).await.unwrap_err().to_string();
            assert!(
                message.contains("path does not exist") && message.contains("--local-mount"),
                "{message}"
            );
            assert!(!gone.exists());
            // What the machine itself has is used as ever.
            assert_eq!(settle(folder.path(), wish).await.unwrap().mounts.len(), 1);
        }
        assert_eq!(settle(&gone, r#"{"Binds":["data:/d"]}"#).await.unwrap().mounts.len(), 1);
    }

    #[tokio::test]
    async fn a_missing_source_is_made_for_binds_and_refused_for_mounts() {
        let folder = tempfile::tempdir().unwrap();
        let settled = settle_json(folder.path(), r#"{"Binds":["DIR/new/deep:/b"]}"#).await.unwrap();
        assert!(settled.mounts[0].source.is_dir() && settled.to_fill.is_empty());
        let json = r#"{"Mounts":[{"Type":"bind","Source":"DIR/gone","Target":"/b"}]}"#;
        let message = settle_json(folder.path(), json).await.unwrap_err().to_string();
        assert!(message.contains("bind source path does not exist"), "{message}");
        assert!(!folder.path().join("gone").exists());
    }

    #[tokio::test]
    async fn volumes_are_made_and_filled_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let settled =
            settle_json(folder.path(), r#"{"Binds":["data:/d","more:/m:nocopy","/anon"]}"#).await.unwrap();
        assert_eq!(settled.mounts.len(), 3);
        assert_eq!(
            settled.to_fill.iter().map(|m| m.destination.as_path()).collect::<Vec<_>>(),
            [Path::new("/d"), Path::new("/anon")]
        );
        assert!(settled.mounts[2].anonymous && !settled.mounts[0].anonymous);
        assert!(settled.mounts.iter().all(|mount| mount.source.is_dir()));
    }
}
