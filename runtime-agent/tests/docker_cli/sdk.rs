//! Images and the builder through bollard, as a program in Rust uses them.

use std::collections::HashMap;

use bollard::models::ImageInspect;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptions, ListImagesOptionsBuilder,
    RemoveImageOptions, TagImageOptionsBuilder,
};
use bollard::{Docker, body_full};
use futures_util::{StreamExt as _, TryStreamExt as _};

const DOCKERFILE: &str =
    "FROM busybox AS first\nARG WORD\nRUN echo $WORD > /word\nFROM first AS second\nRUN false\n";

#[test]
fn images_are_made_moved_and_removed_by_bollard() {
    let engine = engine!("images_are_made_moved_and_removed_by_bollard");
    let socket = engine.folder().join("sock").display().to_string();
    let docker = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        built(&docker).await;
        moved(&docker).await;
    });
}

async fn built(docker: &Docker) {
    let wish = |target: &str, tag: &str| {
        BuildImageOptionsBuilder::default()
            .t(tag)
            .target(target)
            .networkmode("none")
            .rm(true)
            .buildargs(&HashMap::from([("WORD", "said")]))
            .labels(&HashMap::from([("tier", "db")]))
            .build()
    };
    let context = archive("Dockerfile", DOCKERFILE.as_bytes());
    let said: Vec<_> = docker
        .build_image(wish("first", "made:1"), None, Some(body_full(context.clone().into())))
        .try_collect()
        .await
        .unwrap();
    let id = said
        .iter()
        .find_map(|info| info.aux.as_ref()?.id.clone())
        .expect("the image's id is among what is said");
    let text: String = said.iter().filter_map(|info| info.stream.clone()).collect();
    assert!(
        text.contains("Step 3/4 : RUN echo $WORD > /word") && text.contains("Successfully tagged made:1"),
        "{text}"
    );
    let image: ImageInspect = docker.inspect_image("made:1").await.unwrap();
    assert_eq!(image.id, Some(id));
    assert_eq!(image.config.unwrap().labels.unwrap()["tier"], "db");
    let history = docker.image_history("made:1").await.unwrap();
    assert!(history[1].created_by.contains("echo $WORD > /word"), "{history:?}");
    let failed: Vec<_> =
        docker.build_image(wish("second", "never"), None, Some(body_full(context.into()))).collect().await;
    let failure = failed.into_iter().find_map(Result::err).expect("a failed step is an error").to_string();
    assert!(failure.contains("returned a non-zero code: 1"), "{failure}");
    let missing = docker.inspect_image("never").await.unwrap_err();
    assert!(status(&missing) == Some(404), "{missing}");
}

async fn moved(docker: &Docker) {
    let tag = TagImageOptionsBuilder::default().repo("other").tag("2").build();
    docker.tag_image("made:1", Some(tag)).await.unwrap();
    let filters = HashMap::from([("label", vec!["tier=db"])]);
    let listed = ListImagesOptionsBuilder::default().filters(&filters).build();
    let images = docker.list_images(Some(listed)).await.unwrap();
    let mut tags = images[0].repo_tags.clone();
    tags.sort();
    assert_eq!((images.len(), tags), (1, vec!["made:1".to_owned(), "other:2".to_owned()]));
    let packed: Vec<u8> = docker
        .export_images(&["made:1", "other:2"])
        .map_ok(|bytes| bytes.to_vec())
        .try_concat()
        .await
        .unwrap();
    for name in ["made:1", "other:2"] {
        let gone = docker.remove_image(name, None::<RemoveImageOptions>, None).await.unwrap();
        assert_eq!(gone[0].untagged.as_deref(), Some(name));
    }
    assert_eq!(status(&docker.inspect_image("made:1").await.unwrap_err()), Some(404));
    let loaded = docker.import_image(ImportImageOptions::default(), body_full(packed.into()), None);
    let loaded: Vec<_> = loaded.try_collect().await.unwrap();
    let text: String = loaded.iter().filter_map(|info| info.stream.clone()).collect();
    assert!(text.contains("Loaded image: made:1") && text.contains("Loaded image: other:2"), "{text}");
    assert_eq!(
        docker.inspect_image("made:1").await.unwrap().id,
        docker.inspect_image("other:2").await.unwrap().id
    );
    let nobody = CreateImageOptionsBuilder::default().from_image("127.0.0.1:9/nobody").tag("latest").build();
    let refused: Vec<_> = docker.create_image(Some(nobody), None, None).collect().await;
    assert!(refused.iter().any(Result::is_err), "{refused:?}");
}

fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len().try_into().unwrap());
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap()
}
