//! Volumes: list, create, inspect, remove, prune.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use wharfd_api_types::Filters;
use wharfd_api_types::volume::{Volume, VolumeCreateRequest, VolumesListed, VolumesPruned};

use super::error::{Refusal, Result};
use super::parameters::Sent;
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::engine::volumes::Volumes;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/prune", post(prune))
        .route("/volumes/{name}", get(inspect).delete(remove))
}

#[derive(Debug, Deserialize)]
struct Narrowed {
    filters: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Forced {
    force: Option<String>,
}

async fn list(
    State(engine): State<Arc<Engine>>,
    query: std::result::Result<Query<Narrowed>, QueryRejection>,
) -> Result<Json<VolumesListed>> {
    let filters = Filters::parse(query?.0.filters.as_deref()).map_err(Error::invalid)?;
    let volumes = on_disk(&engine, move |volumes| volumes.list(&filters)).await?;
    Ok(Json(VolumesListed {
        volumes: volumes.iter().map(crate::engine::volumes::Volume::to_wire).collect(),
        warnings: None,
    }))
}

async fn create(State(engine): State<Arc<Engine>>, sent: Sent) -> Result<(StatusCode, Json<Volume>)> {
    // Some clients send no body for an anonymous volume, and some no content type.
    let request: VolumeCreateRequest = sent.read()?;
    let volume = on_disk(&engine, move |volumes| volumes.create(request)).await?;
    Ok((StatusCode::CREATED, Json(volume.to_wire())))
}

async fn inspect(State(engine): State<Arc<Engine>>, Path(name): Path<String>) -> Result<Json<Volume>> {
    Ok(Json(engine.volumes.find(&name)?.to_wire()))
}

async fn remove(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    query: std::result::Result<Query<Forced>, QueryRejection>,
) -> Result<StatusCode> {
    let force = query?.0.force.is_some_and(|force| !matches!(force.as_str(), "" | "0" | "false" | "False"));
    on_disk(&engine, move |volumes| volumes.remove(&name, force)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prune(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    query: std::result::Result<Query<Narrowed>, QueryRejection>,
) -> Result<Json<VolumesPruned>> {
    let filters = Filters::parse(query?.0.filters.as_deref()).map_err(Error::invalid)?;
    // Before 1.42 named ones went too.
    let all = version < ApiVersion(1, 42);
    Ok(Json(on_disk(&engine, move |volumes| volumes.prune(&filters, all)).await?))
}

/// Volumes may be large: nothing that touches them runs on the async threads.
async fn on_disk<T: Send + 'static>(
    engine: &Engine,
    work: impl FnOnce(&Volumes) -> std::result::Result<T, Error> + Send + 'static,
) -> Result<T> {
    let volumes = engine.volumes.clone();
    let done = tokio::task::spawn_blocking(move || work(&volumes)).await;
    done.map_err(|e| Error::internal("working on volumes", e))?.map_err(Refusal::from)
}
