//! A container's files: archive in both directions, export, changes.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head};
use axum::{Json, Router};
use base64::Engine as _;
use futures_util::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use wharfd_api_types::container::FilesystemChange;

use super::error::Result;
use super::parameters::Parameters;
use crate::engine::Engine;
use crate::engine::containers::files::{PathStat, Pieces, Upload};
use crate::engine::error::Error;
use crate::store::changes::ChangeKind;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/containers/{id}/archive", head(stat).get(download).put(upload))
        .route("/containers/{id}/export", get(export))
        .route("/containers/{id}/changes", get(changes))
}

async fn stat(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response> {
    let path = path(&parameters)?;
    let container = engine.containers.find(&id)?;
    let stat = engine.containers.path_stat(&container, path).await?;
    Ok((describe(&stat)?, StatusCode::OK).into_response())
}

async fn download(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response> {
    let path = path(&parameters)?;
    let container = engine.containers.find(&id)?;
    let (stat, pieces) = engine.containers.read_path(&container, path).await?;
    let kind = [(header::CONTENT_TYPE, "application/x-tar")];
    Ok((kind, describe(&stat)?, Body::from_stream(ReceiverStream::new(pieces))).into_response())
}

async fn upload(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    parameters: Parameters,
    request: Request,
) -> Result<StatusCode> {
    let upload = Upload {
        path: path(&parameters)?.to_owned(),
        own: parameters.flag("copyUIDGID"),
        keep_kinds: parameters.flag("noOverwriteDirNonDir"),
    };
    let container = engine.containers.find(&id)?;
    engine.containers.write_path(&container, upload, pieces(request.into_body())).await?;
    Ok(StatusCode::OK)
}

async fn export(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result<Response> {
    let container = engine.containers.find(&id)?;
    let pieces = engine.containers.export(&container).await?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(ReceiverStream::new(pieces))).into_response())
}

/// `null` when nothing changed, as with dockerd.
async fn changes(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
) -> Result<Json<Option<Vec<FilesystemChange>>>> {
    let container = engine.containers.find(&id)?;
    let changes = engine.containers.changes(&container).await?.into_iter().map(|change| FilesystemChange {
        path: change.path.to_string_lossy().into_owned(),
        kind: match change.kind {
            ChangeKind::Modified => 0,
            ChangeKind::Added => 1,
            ChangeKind::Removed => 2,
        },
    });
    let changes: Vec<_> = changes.collect();
    Ok(Json((!changes.is_empty()).then_some(changes)))
}

fn path(parameters: &Parameters) -> Result<&str> {
    Ok(parameters.text("path").ok_or_else(|| Error::invalid("bad parameter: pathcannot be empty"))?)
}

fn describe(stat: &PathStat) -> Result<HeaderMap> {
    let failed = |error| Error::internal("describing a path", error);
    let text = serde_json::to_vec(stat).map_err(|error| failed(io::Error::other(error)))?;
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    let value = HeaderValue::try_from(text).map_err(|error| failed(io::Error::other(error)))?;
    Ok(HeaderMap::from_iter([(HeaderName::from_static("x-docker-container-path-stat"), value)]))
}

/// The body as a thread can take it: a client that breaks off is an error, not an end.
fn pieces(body: Body) -> Pieces {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            if sender.send(piece.map_err(io::Error::other)).await.is_err() {
                return;
            }
        }
    });
    receiver
}
