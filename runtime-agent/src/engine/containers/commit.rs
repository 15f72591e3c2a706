//! `docker commit`: a container's files and configuration as an image.

use wharfd_api_types::container::ContainerConfig;

use super::record::{ContainerRecord, Status};
use super::{Container, Containers};
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::engine::images::commit::Commit;
use crate::engine::images::configuration::Config;
use crate::registry::Reference;
use crate::store::Digest;

/// What a client wants of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) reference: Option<Reference>,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) changes: Vec<String>,
    /// Whether a running container stands still meanwhile.
    pub(crate) pause: bool,
    /// What the image's configuration shall say instead of the container's.
    pub(crate) config: ContainerConfig,
}

impl Containers {
    /// Makes the image, and says its id.
    pub(crate) async fn commit(&self, container: &Container, wish: Wish) -> Result<Digest> {
        let record = container.snapshot().record.clone();
        if matches!(record.state.status, Status::Removing | Status::Dead) {
            return Err(Error::conflict(format!(
                "You cannot commit container {} which is {}",
                container.id,
                record.state.status.as_str()
            )));
        }
        let commit = Commit {
            parent: record.image,
            reference: wish.reference.clone(),
            message: wish.message.clone(),
            author: wish.author,
            command: record.command().join(" "),
            config: configuration(&record, wish.config)?,
            changes: wish.changes,
        };
        let paused = wish.pause && record.state.status == Status::Running;
        if paused {
            container.pause().await?;
        }
        let made = async {
            let difference = self.world.ground.filesystems.difference(&container.id).await?;
            self.world.ground.images.commit(commit, difference).await
        };
        let made = made.await;
        if paused {
            match container.unpause().await {
                // Somebody else let it go on, or ended it.
                Err(error) if made.is_ok() => {
                    tracing::warn!(%error, container = container.id, "cannot unpause");
                }
                _ => {}
            }
        }
        let id = made?;
        let mut told = super::task::attributes(&record);
        told.insert("comment".to_owned(), wish.message);
        told.insert("imageID".to_owned(), id.to_string());
        told.insert(
            "imageRef".to_owned(),
            wish.reference.map(|name| name.or_latest().to_string()).unwrap_or_default(),
        );
        self.world.events.publish(EventKind::Container, "commit", container.id.clone(), told);
        Ok(id)
    }
}

/// The client's words where it has any, else the container's. What belongs to one container alone stays behind.
fn configuration(record: &ContainerRecord, mut wish: ContainerConfig) -> Result<Config> {
    let own = as_image(&record.config)?;
    super::merge::over_image(&mut wish, &own)?;
    as_image(&wish)
}

/// The two documents have the same fields, as far as images have them.
fn as_image(config: &ContainerConfig) -> Result<Config> {
    let text = serde_json::to_value(config).and_then(serde_json::from_value);
    text.map_err(|error| Error::internal("reading the container's configuration", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_words_go_before_the_containers() {
        let text = r#"{"id":"a","name":"a","created":"2026-01-01T00:00:00Z","endpoints":[],"host":{},"state":{},"mounts":[],
            "config":{"Hostname":"h","Env":["A=1","B=2"],"Cmd":["old"],"WorkingDir":"/w","Labels":{"x":"y"},
                "ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["CMD","x"],"Interval":5000000}},
            "image":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#;
        let record: ContainerRecord = serde_json::from_str(text).unwrap();
        let wish = serde_json::from_str(r#"{"Cmd":["new"],"Env":["B=3"]}"#).unwrap();
        let config = configuration(&record, wish).unwrap();
        assert_eq!((config.cmd.unwrap(), config.working_dir.as_str()), (vec!["new".to_owned()], "/w"));
        assert_eq!(config.env, ["B=3", "A=1"]);
        assert_eq!(config.healthcheck.unwrap().interval, 5_000_000);
        assert!(config.exposed_ports.contains_key("80/tcp") && config.labels.unwrap()["x"] == "y");
        let unchanged = configuration(&record, ContainerConfig::default()).unwrap();
        assert_eq!((unchanged.cmd.unwrap(), unchanged.env.len()), (vec!["old".to_owned()], 2));
    }
}
