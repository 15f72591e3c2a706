//! Execs: create, start, inspect, resize.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use wharfd_api_types::exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse};

use super::containers::size;
use super::error::Result;
use super::hijack::{Hijacked, hijack};
use super::parameters::{Parameters, Sent, body};
use super::streams::{Ended, content_type, detach_keys, frame, join};
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::containers::Containers;
use crate::engine::error::Error;
use crate::engine::exec::Exec;
use crate::runtime::Size;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/containers/{id}/exec", post(create))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/json", get(inspect))
        .route("/exec/{id}/resize", post(resize))
}

async fn create(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<(StatusCode, Json<IdResponse>)> {
    let request: ExecCreateRequest = sent.read()?;
    let container = engine.containers.find(&id)?;
    keys_of(&request)?;
    let id = engine.containers.create_exec(&container, request)?;
    Ok((StatusCode::CREATED, Json(IdResponse { id })))
}

/// The body is read before the connection is taken over: what follows it is stdin.
async fn start(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    Extension(version): Extension<ApiVersion>,
    request: Request,
) -> Result<Response> {
    let (parts, bytes) = request.into_parts();
    let bytes = axum::body::to_bytes(bytes, LARGEST_BODY).await.map_err(|e| Error::invalid(e.to_string()))?;
    let wanted: ExecStartRequest = body(&bytes)?;
    let exec = engine.containers.exec(&id)?;
    let console = wanted.console_size.map(|[rows, columns]| Size { rows, columns });
    if wanted.detach {
        engine.containers.start_exec(&exec, true, console).await?;
        return Ok(StatusCode::OK.into_response());
    }
    engine.containers.check_exec(&exec)?;
    let keys = Some(exec.request.detach_keys.as_str()).filter(|keys| !keys.is_empty());
    let keys = detach_keys(keys, exec.request.tty)?;
    let containers = engine.containers.clone();
    let content_type = content_type(exec.request.tty, version);
    let request = Request::from_parts(parts, Body::empty());
    Ok(hijack(request, content_type, move |mut client: Hijacked| async move {
        serve(&containers, &exec, &mut client, console, keys).await;
        // The client may be gone already.
        let _ = client.writer.shutdown().await;
    }))
}

async fn serve(
    containers: &Containers,
    exec: &Arc<Exec>,
    client: &mut Hijacked,
    console: Option<Size>,
    keys: Option<Vec<u8>>,
) {
    let started = containers.start_exec(exec, false, console).await;
    match started {
        Ok(Some(stream)) => {
            if join(client, stream, exec.request.attach_stdin, keys).await == Ended::Closed {
                // The client asks for the exit code as soon as we hang up.
                let _ = tokio::time::timeout(CODE_PATIENCE, exec.ended()).await;
            }
        }
        Ok(None) => exec.ended().await,
        // The head is out: the failure is output, as with dockerd, and the exit code tells the rest.
        Err(error) => {
            let text = format!("{error}\r\n");
            let bytes = if exec.request.tty { text.into_bytes() } else { frame(false, text.as_bytes()) };
            let _ = client.writer.write_all(&bytes).await;
        }
    }
}

/// The keys that the client named, none when it named none.
fn keys_of(request: &ExecCreateRequest) -> Result<Vec<u8>, Error> {
    if request.detach_keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys = detach_keys(Some(&request.detach_keys), true);
    let invalid = || format!("Invalid escape keys ({}) provided", request.detach_keys);
    Ok(keys.map_err(|error| Error::invalid(invalid()).caused_by(error))?.unwrap_or_default())
}

async fn inspect(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result<Json<ExecInspect>> {
    let exec = engine.containers.exec(&id)?;
    let mut shown = exec.inspect();
    // Bytes, as dockerd shows what it read.
    shown.detach_keys = STANDARD.encode(keys_of(&exec.request)?);
    Ok(Json(shown))
}

async fn resize(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<StatusCode> {
    engine.containers.exec(&id)?.resize(size(&parameters)?).await?;
    Ok(StatusCode::OK)
}

/// The body has three fields.
const LARGEST_BODY: usize = 64 << 10;
/// The exit follows the end of the output at once, unless the client left first.
const CODE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
