//! For the engine's tests: real images on a real disk, without privileges and without a registry.

use std::path::Path;

use super::configuration::Configuration;
use super::new::New;
use super::{Image, Images};
use crate::engine::events::Events;
use crate::registry::Settings;
use crate::store::{Digest, Mounting};

impl Images {
    /// Images under a folder of the test's; containers' filesystems are plain folders.
    pub(crate) async fn for_tests(root: &Path, events: Events) -> Self {
        Self::open_at(root, Settings::default(), events, Mounting::Pretend).await.unwrap()
    }

    /// Adds an image without layers under a name.
    pub(crate) async fn add(&self, name: &str, configuration: Configuration) -> Digest {
        let document = serde_json::to_vec(&configuration).unwrap();
        let references = vec![name.parse().unwrap()];
        self.list_new(New { configuration, document, manifest: None, parent: None, references })
            .await
            .unwrap()
            .0
    }
}

/// A store, its images and what they do, as one transcript.
mod tests {
    use super::super::remove::Removed;
    use super::super::{ContainerUse, Names};
    use super::*;
    use crate::engine::error::Kind;

    struct World {
        images: Images,
        root: tempfile::TempDir,
    }

    async fn world() -> World {
        let root = tempfile::tempdir().unwrap();
        World { images: Images::for_tests(root.path(), Events::new()).await, root }
    }

    fn configuration(author: &str) -> Configuration {
        Configuration { author: author.to_owned(), ..Configuration::default() }
    }

    fn untagged(removed: &[Removed]) -> Vec<&str> {
        removed
            .iter()
            .filter_map(|r| if let Removed::Untagged(name) = r { Some(name.as_str()) } else { None })
            .collect()
    }

    #[tokio::test]
    async fn an_image_is_found_by_everything_that_means_it() {
        let World { images, root: _root } = world().await;
        let id = images.add("busybox:latest", configuration("a")).await;
        let hex = id.hex();
        for name in
            ["busybox", "busybox:latest", "docker.io/library/busybox", &hex, &hex[..7], &id.to_string()]
        {
            assert_eq!(images.resolve(name).unwrap().id, id, "{name}");
        }
        for (name, text) in [
            ("nope", "No such image: nope:latest"),
            ("busybox:2", "No such image: busybox:2"),
            (
                "sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "No such image: sha256:0000",
            ),
        ] {
            let error = images.resolve(name).unwrap_err();
            assert!(error.kind() == Kind::NotFound && error.to_string().starts_with(text), "{error}");
        }
        assert_eq!(images.resolve("Not A Name").unwrap_err().kind(), Kind::Invalid);
    }

    #[tokio::test]
    async fn names_go_one_by_one_and_the_image_with_the_last() {
        let World { images, root } = world().await;
        let id = images.add("a:1", configuration("a")).await;
        images.tag("a:1", "b:2".parse().unwrap()).await.unwrap();
        assert_eq!(images.names(&id), Names { tags: vec!["a:1".into(), "b:2".into()], digests: vec![] });
        let error = images.remove(&id.hex()[..12], false, true).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
                id.short()
            )
        );
        assert_eq!(untagged(&images.remove("b:2", false, true).await.unwrap()), ["b:2"]);
        let removed = images.remove("a:1", false, true).await.unwrap();
        assert_eq!(removed, [Removed::Untagged("a:1".into()), Removed::Deleted(id)]);
        assert_eq!(std::fs::read_dir(root.path().join("blobs/sha256")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn containers_keep_their_images() {
        let World { images, root: _root } = world().await;
        let id = images.add("a:1", configuration("a")).await;
        let state = std::sync::Arc::new(std::sync::Mutex::new(Some(true)));
        let uses = std::sync::Arc::clone(&state);
        images.in_use_by(move |_| {
            let running = *uses.lock().unwrap();
            running.map(|running| ContainerUse { id: "c".repeat(64), running }).into_iter().collect()
        });
        let error = images.remove("a:1", false, true).await.unwrap_err().to_string();
        assert!(
            error.contains("(must force) - container cccccccccccc is using its referenced image"),
            "{error}"
        );
        let error = images.remove(&id.hex(), true, true).await.unwrap_err().to_string();
        assert!(
            error.ends_with("(cannot be forced) - image is being used by running container cccccccccccc"),
            "{error}"
        );
        assert_eq!(images.prune(|_, _| true).await.unwrap().0, []);
        *state.lock().unwrap() = Some(false);
        let error = images.remove(&id.hex(), false, true).await.unwrap_err().to_string();
        assert!(
            error.ends_with("(must be forced) - image is being used by stopped container cccccccccccc"),
            "{error}"
        );
        assert!(images.remove("a:1", true, true).await.unwrap().contains(&Removed::Deleted(id)));
    }

    #[tokio::test]
    async fn what_is_listed_is_there_after_a_restart() {
        let World { images, root } = world().await;
        let id = images.add("a:1", configuration("a")).await;
        drop(images);
        // What a killed pull left.
        let stray = root.path().join("blobs/sha256").join(Digest::of(b"stray").hex());
        drop(std::fs::File::create(&stray).unwrap());
        std::fs::create_dir_all(root.path().join("layers").join(Digest::of(b"half").hex()).join("fs"))
            .unwrap();
        let images = Images::for_tests(root.path(), Events::new()).await;
        assert_eq!(images.resolve("a:1").unwrap().id, id);
        assert!(!stray.exists());
        assert_eq!(std::fs::read_dir(root.path().join("layers")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn only_what_nothing_names_dangles() {
        let World { images, root: _root } = world().await;
        images.add("a:1", configuration("old")).await;
        let new = images.add("a:1", configuration("new")).await;
        let (removed, _) =
            images.prune(|image: &Image, names| names.tags.is_empty() && image.id != new).await.unwrap();
        assert_eq!(removed.len(), 1);
        assert_eq!(images.resolve("a:1").unwrap().id, new);
    }
}
