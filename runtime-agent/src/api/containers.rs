//! Containers: create, list, inspect, and the verbs that answer with a status.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use wharfd_api_types::container::{
    ContainerInspect, ContainerSummary, CreateRequest, CreateResponse, PruneResponse, TopResponse,
    UpdateRequest, UpdateResponse, WaitError, WaitResponse,
};

use super::error::Result;
use super::parameters::{Parameters, Sent};
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::containers::stats::Sampling;
use crate::engine::containers::{Filter, Until, Wanted};
use crate::engine::error::Error;
use crate::runtime::Size;

type Shared = State<Arc<Engine>>;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/containers/create", post(create))
        .route("/containers/json", get(list))
        .route("/containers/prune", post(prune))
        .route("/containers/{id}", delete(remove))
        .route("/containers/{id}/{alias}", delete(unlink))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/pause", post(pause))
        .route("/containers/{id}/unpause", post(unpause))
        .route("/containers/{id}/wait", post(wait))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/resize", post(resize))
        .route("/containers/{id}/update", post(update))
        .route("/containers/{id}/top", get(top))
        .route("/containers/{id}/stats", get(stats))
}

async fn create(
    State(engine): Shared,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
    sent: Sent,
) -> Result<(StatusCode, Json<CreateResponse>)> {
    let mut request: CreateRequest = sent.read()?;
    if version < ApiVersion(1, 44) {
        as_before_recursion(&mut request)?;
    }
    let made = engine.containers.create(parameters.text("name"), request).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Until 1.44, a read-only bind among the mounts was read-only at its top alone.
fn as_before_recursion(request: &mut CreateRequest) -> Result<(), Error> {
    let mounts = request.host_config.mounts.iter_mut().flatten();
    for mount in mounts.filter(|mount| mount.kind == "bind" && mount.read_only) {
        let options = mount.bind_options.get_or_insert_default();
        if options.read_only_force_recursive {
            return Err(Error::invalid("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"));
        }
        options.read_only_non_recursive = true;
    }
    Ok(())
}

async fn list(
    State(engine): Shared,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
) -> Result<Json<Vec<ContainerSummary>>> {
    let wanted = Wanted {
        all: parameters.flag("all"),
        limit: parameters.number("limit")?.unwrap_or(0),
        size: parameters.flag("size"),
        filter: Filter::list(&engine.containers, parameters.filters()?)?,
    };
    let mut rows = engine.containers.list(&wanted).await?;
    if version < ApiVersion(1, 52) {
        rows.iter_mut().for_each(|row| row.health = None);
    }
    Ok(Json(rows))
}

async fn inspect(
    State(engine): Shared,
    Path(id): Path<String>,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
) -> Result<Json<ContainerInspect>> {
    let container = engine.containers.find(&id)?;
    let mut shown = engine.containers.inspect(&container, parameters.flag("size")).await?;
    if version < ApiVersion(1, 45) {
        name_twice(&mut shown);
    }
    Ok(Json(shown))
}

/// What is among the DNS names since 1.45 stood among the aliases: the beginning of the id, and the host name.
fn name_twice(shown: &mut ContainerInspect) {
    let id = shown.id.get(..12).unwrap_or_default().to_owned();
    let named = shown.network_settings.networks.iter_mut();
    for (_, end) in named.filter(|(name, _)| !matches!(name.as_str(), "bridge" | "host" | "none")) {
        let aliases = end.aliases.get_or_insert_default();
        for name in [&id, &shown.config.hostname] {
            if !aliases.contains(name) {
                aliases.push(name.clone());
            }
        }
    }
}

/// A body was a configuration once; two bytes are an empty one, which some clients still send.
async fn start(State(engine): Shared, Path(id): Path<String>, bytes: Bytes) -> Result<StatusCode> {
    if bytes.len() > 2 {
        return Err(Error::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        )
        .into());
    }
    let container = engine.containers.find(&id)?;
    engine.containers.still_taken(SystemTime::now())?;
    container.start().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stop(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<StatusCode> {
    engine.containers.find(&id)?.stop(parameters.text("signal"), parameters.number("t")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn restart(
    State(engine): Shared,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<StatusCode> {
    let container = engine.containers.find(&id)?;
    engine.containers.still_taken(SystemTime::now())?;
    container.restart(parameters.text("signal"), parameters.number("t")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn kill(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<StatusCode> {
    engine.containers.find(&id)?.kill(parameters.text("signal")).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(State(engine): Shared, Path(id): Path<String>) -> Result<StatusCode> {
    engine.containers.find(&id)?.pause().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unpause(State(engine): Shared, Path(id): Path<String>) -> Result<StatusCode> {
    engine.containers.find(&id)?.unpause().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rename(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<StatusCode> {
    let name =
        parameters.text("name").ok_or_else(|| Error::invalid("Neither old nor new names may be empty"))?;
    engine.containers.rename(&id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resize(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<StatusCode> {
    engine.containers.find(&id)?.resize(size(&parameters)?).await?;
    Ok(StatusCode::OK)
}

/// `h` and `w`, both needed.
pub(super) fn size(parameters: &Parameters) -> Result<Size> {
    let missing = |name: &str| Error::invalid(format!("invalid resize height or width: {name} is missing"));
    let rows = parameters.number("h")?.ok_or_else(|| missing("h"))?;
    let columns = parameters.number("w")?.ok_or_else(|| missing("w"))?;
    Ok(Size { rows, columns })
}

async fn remove(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<StatusCode> {
    if parameters.flag("link") {
        // Names of links have two parts, as those of the next route.
        return Err(Error::conflict("Conflict, cannot remove the default link name of the container").into());
    }
    engine.containers.find(&id)?.remove(parameters.flag("force"), parameters.flag("v")).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unlink(
    State(engine): Shared,
    Path((parent, alias)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<StatusCode> {
    if !parameters.flag("link") {
        return Err(Error::not_found(format!("No such container: {parent}/{alias}")).into());
    }
    engine.containers.unlink(&parent, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prune(State(engine): Shared, parameters: Parameters) -> Result<Json<PruneResponse>> {
    Ok(Json(engine.containers.prune(&Filter::prune(parameters.filters()?)?).await?))
}

async fn update(State(engine): Shared, Path(id): Path<String>, sent: Sent) -> Result<Json<UpdateResponse>> {
    let request: UpdateRequest = sent.read()?;
    let container = engine.containers.find(&id)?;
    let warnings = engine.containers.update(&container, request).await?;
    Ok(Json(UpdateResponse { warnings: (!warnings.is_empty()).then_some(warnings) }))
}

async fn top(
    State(engine): Shared,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<TopResponse>> {
    let container = engine.containers.find(&id)?;
    Ok(Json(engine.containers.top(&container, parameters.text("ps_args")).await?))
}

async fn stats(
    State(engine): Shared,
    Path(id): Path<String>,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
) -> Result<Response> {
    let container = engine.containers.find(&id)?;
    let sampling = match (parameters.flag_or("stream", true), parameters.flag("one-shot")) {
        (true, true) => return Err(Error::invalid("cannot have stream=true and one-shot=true").into()),
        (true, false) => Sampling::Stream,
        (false, true) => Sampling::Single,
        (false, false) => Sampling::Pair,
    };
    let samples = ReceiverStream::new(engine.containers.stats(&container, sampling));
    let body = samples.map(move |sample| {
        let mut sample = sample?;
        sample.os_type = (version >= ApiVersion(1, 52)).then(|| "linux".to_owned());
        let mut line = serde_json::to_vec(&sample).map_err(|e| Error::internal("describing a sample", e))?;
        line.push(b'\n');
        Ok::<_, Error>(Bytes::from(line))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}

/// The head goes out at once and the body when it is over: clients start the container in between.
async fn wait(State(engine): Shared, Path(id): Path<String>, parameters: Parameters) -> Result<Response> {
    let until = match parameters.text("condition") {
        None | Some("not-running") => Until::NotRunning,
        Some("next-exit") => Until::NextExit,
        Some("removed") => Until::Removed,
        Some(other) => return Err(Error::invalid(format!("invalid condition: \"{other}\"")).into()),
    };
    let waiting = engine.containers.find(&id)?.wait(until);
    let body = futures_util::stream::once(async move {
        let answer = match waiting.await {
            Ok(status_code) => WaitResponse { status_code, error: None },
            Err(error) => {
                WaitResponse { status_code: -1, error: Some(WaitError { message: error.to_string() }) }
            }
        };
        serde_json::to_vec(&answer).map(Bytes::from)
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}
