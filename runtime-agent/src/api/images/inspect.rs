//! `GET /images/{name}/json`, in the shape of the requested version.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use wharfd_api_types::container::{ContainerConfig, HealthConfig};
use wharfd_api_types::image::{
    DriverData, Empty, ImageConfig, ImageInspect, ImageMetadata, InspectedConfig, RootFs,
};

use crate::api::error::Result;
use crate::api::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::images::configuration::Config;
use crate::engine::images::{Image, Names};

/// What Go prints for a time that never was.
const YEAR_ONE: &str = "0001-01-01T00:00:00Z";

pub(super) fn inspect(engine: &Engine, name: &str, version: ApiVersion) -> Result<Response> {
    let image = engine.images.resolve(name)?;
    let names = engine.images.names(&image.id);
    let mut answer = shape(&image, names, version);
    answer.graph_driver = graph_driver(engine, &image);
    Ok(Json(answer).into_response())
}

fn shape(image: &Image, names: Names, version: ApiVersion) -> ImageInspect {
    let configuration = &image.configuration;
    let below = |minor| version < ApiVersion(1, minor);
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let created = configuration.created.clone();
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: names.tags,
        repo_digests: names.digests,
        parent: below(52).then(|| image.parent.map(|parent| parent.to_string()).unwrap_or_default()),
        comment: configuration.comment.clone(),
        created: if below(44) { created.or_else(|| Some(YEAR_ONE.to_owned())) } else { created },
        container: below(45).then(|| configuration.container.clone()),
        container_config: below(45).then(|| {
            configuration.container_config.as_deref().map(container_config).map(Box::new).unwrap_or_default()
        }),
        docker_version: below(52).then(|| configuration.docker_version.clone()),
        author: configuration.author.clone(),
        config: if below(50) {
            InspectedConfig::Container(Box::new(container_config(&configuration.config)))
        } else {
            InspectedConfig::Image(Box::new(image_config(&configuration.config)))
        },
        architecture: configuration.architecture.clone(),
        variant: configuration.variant.clone(),
        os: configuration.os.clone(),
        os_version: configuration.os_version.clone(),
        size,
        virtual_size: below(44).then_some(size),
        graph_driver: DriverData::default(),
        root_fs: RootFs {
            kind: "layers".into(),
            layers: image.layers().iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: image.tagged.clone().unwrap_or_else(|| YEAR_ONE.to_owned()),
        },
    }
}

fn graph_driver(engine: &Engine, image: &Image) -> DriverData {
    let folders = engine.images.layer_folders(image);
    let text = |path: &std::path::PathBuf| path.display().to_string();
    let mut data = BTreeMap::new();
    if let Some((top, lower)) = folders.split_first() {
        data.insert("UpperDir".to_owned(), text(top));
        if !lower.is_empty() {
            data.insert("LowerDir".to_owned(), lower.iter().map(text).collect::<Vec<_>>().join(":"));
        }
    }
    DriverData { data, name: "overlay2".into() }
}

fn container_config(config: &Config) -> ContainerConfig {
    let ImageConfig { user, exposed_ports, env, entrypoint, cmd, volumes, .. } = image_config(config);
    ContainerConfig {
        user,
        exposed_ports,
        env,
        entrypoint,
        cmd,
        volumes,
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone().unwrap_or_default(),
        on_build: config.on_build.clone(),
        healthcheck: image_config(config).healthcheck,
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone(),
        args_escaped: config.args_escaped,
        ..ContainerConfig::default()
    }
}

fn image_config(config: &Config) -> ImageConfig {
    let set = |map: &BTreeMap<String, _>| {
        (!map.is_empty())
            .then(|| map.keys().map(|key| (key.clone(), Empty::new())).collect::<BTreeMap<_, _>>())
    };
    let healthcheck = config.healthcheck.as_ref().map(|check| HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    });
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: set(&config.exposed_ports),
        env: (!config.env.is_empty()).then(|| config.env.clone()),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        on_build: config.on_build.clone(),
        healthcheck,
        stop_signal: config.stop_signal.clone(),
        shell: config.shell.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::images::configuration::{Configuration, RootFs as Layers};
    use crate::store::Digest;

    fn inspected(version: ApiVersion) -> serde_json::Value {
        let configuration = Configuration {
            architecture: "amd64".into(),
            os: "linux".into(),
            config: Config { cmd: Some(vec!["sh".into()]), ..Config::default() },
            rootfs: Layers { kind: "layers".into(), diff_ids: vec![Digest::of(b"layer")] },
            ..Configuration::default()
        };
        let image = Image {
            id: Digest::of(b"id"),
            configuration,
            manifest: None,
            size: 5,
            tagged: None,
            parent: None,
        };
        serde_json::to_value(shape(&image, Names::default(), version)).unwrap()
    }

    fn has(value: &serde_json::Value, keys: &[&str]) -> Vec<bool> {
        keys.iter().map(|key| value.get(key).is_some()).collect()
    }

    #[test]
    fn shapes_follow_the_requested_version() {
        let keys = ["VirtualSize", "Created", "ContainerConfig", "Parent", "DockerVersion"];
        assert_eq!(has(&inspected(ApiVersion(1, 43)), &keys), [true, true, true, true, true]);
        assert_eq!(has(&inspected(ApiVersion(1, 44)), &keys), [false, false, true, true, true]);
        assert_eq!(has(&inspected(ApiVersion(1, 47)), &keys), [false, false, false, true, true]);
        assert_eq!(has(&inspected(ApiVersion(1, 52)), &keys), [false, false, false, false, false]);
        let hostname = |version| inspected(version)["Config"].get("Hostname").is_some();
        assert!(hostname(ApiVersion(1, 49)) && !hostname(ApiVersion(1, 50)));
        assert!(inspected(ApiVersion(1, 47))["RepoTags"].is_array(), "null breaks clients");
        assert_eq!(inspected(ApiVersion(1, 50))["Config"], serde_json::json!({ "Cmd": ["sh"] }));
    }
}
