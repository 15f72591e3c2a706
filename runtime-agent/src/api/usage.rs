//! `GET /system/df`: what takes room on disk, and what of it could be had back.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use wharfd_api_types::container::ContainerSummary;
use wharfd_api_types::image::ImageSummary;
use wharfd_api_types::volume::{Volume, VolumeUsage};

use super::error::Result;
use super::images::summary;
use super::parameters::Parameters;
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::containers::{Filter, Wanted};
use crate::engine::error::Error;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/system/df", get(usage))
}

/// The kinds of things that take room.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

async fn usage(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Value>> {
    // Given once for each kind.
    let asked: BTreeSet<&str> =
        pairs.iter().filter(|(key, _)| key == "type").map(|(_, kind)| kind.as_str()).collect();
    if let Some(unknown) = asked.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(Error::invalid(format!("unknown object type: {unknown}")).into());
    }
    let wanted = |kind: &str| asked.is_empty() || asked.contains(kind);
    let everything = Wanted { all: true, limit: 0, size: true, filter: Filter::default() };
    let containers = engine.containers.list(&everything).await?;
    let images = if wanted("image") { Some(images(&engine, &containers, version)?) } else { None };
    let volumes = if wanted("volume") { Some(volumes(&engine).await?) } else { None };
    let layers = if wanted("image") { engine.images.layers_size()? } else { 0 };
    let containers = wanted("container").then_some(containers);
    if version >= ApiVersion(1, 52) {
        return Ok(Json(summed(images, containers, volumes, layers, parameters.flag("verbose"))));
    }
    Ok(Json(json!({
        "LayersSize": layers,
        "Images": images,
        "Containers": containers,
        "Volumes": volumes,
        "BuildCache": wanted("build-cache").then_some(Value::Array(Vec::new())),
        "BuilderSize": 0,
    })))
}

fn images(
    engine: &Engine,
    containers: &[ContainerSummary],
    version: ApiVersion,
) -> Result<Vec<ImageSummary>> {
    let shared = engine.images.shared_sizes()?;
    let summaries = engine.images.all().into_iter().map(|(image, names)| {
        let size = shared.get(&image.id).copied().unwrap_or_default();
        let summary = summary(&image, names, Some(size), version);
        let users = containers.iter().filter(|container| container.image_id == summary.id).count();
        ImageSummary { containers: i64::try_from(users).unwrap_or(i64::MAX), ..summary }
    });
    Ok(summaries.collect())
}

/// Counting bytes walks every volume's files.
async fn volumes(engine: &Arc<Engine>) -> Result<Vec<Volume>> {
    let engine = Arc::clone(engine);
    let counted = tokio::task::spawn_blocking(move || {
        let volumes = engine.volumes.list(&wharfd_api_types::Filters::default())?;
        Ok(volumes
            .iter()
            .map(|volume| {
                let users = engine.containers.using_volume(&volume.name).len();
                let usage = VolumeUsage {
                    size: signed(volume.size()),
                    ref_count: i64::try_from(users).unwrap_or(-1),
                };
                Volume { usage_data: Some(usage), ..volume.to_wire() }
            })
            .collect())
    });
    let counted: std::result::Result<Vec<Volume>, Error> =
        counted.await.map_err(|e| Error::internal("counting volumes", e))?;
    Ok(counted?)
}

/// The shape from 1.52 on: sums, and the things themselves only when asked for.
fn summed(
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerSummary>>,
    volumes: Option<Vec<Volume>>,
    layers: u64,
    verbose: bool,
) -> Value {
    let mut answer = serde_json::Map::new();
    if let Some(images) = images {
        let unused = |image: &&ImageSummary| image.containers == 0;
        let needed: i64 = images.iter().filter(|image| image.containers > 0).map(|image| image.size).sum();
        let sums = Sums {
            active: images.iter().filter(|image| !unused(image)).count(),
            size: signed(layers),
            reclaimable: (signed(layers) - needed).max(0),
        };
        answer.insert("ImageUsage".to_owned(), sums.with(&images, verbose));
    }
    if let Some(containers) = containers {
        let written = |container: &ContainerSummary| container.size_rw.unwrap_or_default();
        let idle = |container: &&ContainerSummary| {
            !matches!(container.state.as_str(), "running" | "paused" | "restarting")
        };
        let sums = Sums {
            active: containers.iter().filter(|container| !idle(container)).count(),
            size: containers.iter().map(written).sum(),
            reclaimable: containers.iter().filter(idle).map(written).sum(),
        };
        answer.insert("ContainerUsage".to_owned(), sums.with(&containers, verbose));
    }
    if let Some(volumes) = volumes {
        let usage = |volume: &Volume| volume.usage_data.unwrap_or_default();
        let sums = Sums {
            active: volumes.iter().filter(|volume| usage(volume).ref_count > 0).count(),
            size: volumes.iter().map(|volume| usage(volume).size).sum(),
            reclaimable: volumes
                .iter()
                .map(usage)
                .filter(|usage| usage.ref_count == 0)
                .map(|usage| usage.size)
                .sum(),
        };
        answer.insert("VolumeUsage".to_owned(), sums.with(&volumes, verbose));
    }
    let nothing = Sums { active: 0, size: 0, reclaimable: 0 };
    answer.insert("BuildCacheUsage".to_owned(), nothing.with::<Volume>(&[], verbose));
    Value::Object(answer)
}

struct Sums {
    active: usize,
    size: i64,
    reclaimable: i64,
}

impl Sums {
    fn with<T: serde::Serialize>(&self, items: &[T], verbose: bool) -> Value {
        let mut sums = json!({
            "ActiveCount": self.active,
            "TotalCount": items.len(),
            "Reclaimable": self.reclaimable,
            "TotalSize": self.size,
        });
        if verbose && !items.is_empty() {
            sums["Items"] = json!(items);
        }
        sums
    }
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
