//! Images and the builder through bollard, as a program in Rust uses them, and what buildx asks of a container.

use std::collections::HashMap;

use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig, ImageInspect, Mount, MountType};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptions,
    ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{Docker, body_full};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

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

/// What `docker buildx` with its driver docker-container asks for: a privileged container with an init, a volume, a parent
/// group and a file that is there before it starts; then a conversation over the stdio of an exec.
#[test]
fn a_builder_in_a_container_is_spoken_to_over_an_exec() {
    let engine = engine!("a_builder_in_a_container_is_spoken_to_over_an_exec");
    let socket = engine.folder().join("sock").display().to_string();
    let docker = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION).unwrap();
    let parent = ParentGroup(format!("/wharf-buildx-{}", std::process::id()));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let state = Mount {
            target: Some("/var/lib/buildkit".to_owned()),
            source: Some("buildx_state".to_owned()),
            typ: Some(MountType::VOLUME),
            ..Mount::default()
        };
        let script = "mount -t tmpfs none /mnt && grep -c /mnt /proc/mounts; cat /etc/buildkit/buildkitd.toml; sleep 600";
        let body = ContainerCreateBody {
            image: Some("busybox".to_owned()),
            cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            host_config: Some(HostConfig {
                privileged: Some(true),
                init: Some(true),
                cgroup_parent: Some(parent.0.clone()),
                userns_mode: Some("host".to_owned()),
                mounts: Some(vec![state]),
                binds: Some(crate::init::LIBRARIES.iter().map(|path| format!("{path}:{path}:ro")).collect()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = CreateContainerOptionsBuilder::default().name("buildx_buildkit_b0").build();
        let id = docker.create_container(Some(name), body).await.unwrap().id;
        let place = UploadToContainerOptionsBuilder::default().path("/").build();
        let configuration = archive("etc/buildkit/buildkitd.toml", b"debug = true\n");
        docker.upload_to_container(&id, Some(place), body_full(configuration.into())).await.unwrap();
        docker.start_container(&id, None).await.unwrap();
        engine.until(&["logs", "buildx_buildkit_b0"], |said| said == "1\ndebug = true\n");
        let pid = docker.inspect_container(&id, None).await.unwrap().state.unwrap().pid.unwrap();
        let groups = engine.inside(&["cat", &format!("/proc/{pid}/cgroup")]);
        assert!(groups.contains(&format!("{}/{id}", parent.0)), "{groups}");
        converse(&docker, &id).await;
    });
    engine.ok(&["rm", "-fv", "buildx_buildkit_b0"]);
}

/// More than any pipe holds goes there and comes back, piece by piece, until the client says that it is done.
async fn converse(docker: &Docker, container: &str) {
    let wish = ExecConfig {
        cmd: Some(vec!["cat".to_owned()]),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = docker.create_exec(container, wish).await.unwrap().id;
    let StartExecResults::Attached { mut output, mut input } = docker.start_exec(&exec, None).await.unwrap()
    else {
        panic!("an exec that is attached is a conversation");
    };
    for letter in [b'a', b'b', b'c'] {
        let sent = vec![letter; 300_000];
        let (written, heard) = tokio::join!(input.write_all(&sent), async {
            let mut heard = Vec::new();
            while heard.len() < sent.len() {
                heard.extend(output.next().await.unwrap().unwrap().into_bytes());
            }
            heard
        });
        written.unwrap();
        assert!(heard == sent, "{} bytes came back", heard.len());
    }
    input.shutdown().await.unwrap();
    assert!(output.next().await.is_none(), "nothing more is said");
    assert_eq!(docker.inspect_exec(&exec).await.unwrap().exit_code, Some(0));
}

/// Engines leave a group that was named by others; here nobody else would take it away.
struct ParentGroup(String);

impl Drop for ParentGroup {
    fn drop(&mut self) {
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(hierarchy.path().join(self.0.trim_start_matches('/')));
        }
        let _ = std::fs::remove_dir(format!("/sys/fs/cgroup{}", self.0));
    }
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
