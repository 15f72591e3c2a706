//! Images: `/images/…`, `/auth` and `/distribution/…`.
//!
//! Names of images hold slashes, so everything about one image goes through one catch-all route, which looks at the
//! end of the path.

mod create;
mod inspect;
mod list;
mod load;
pub(super) mod progress;
mod registry;
mod remove;

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;

pub(super) use list::summary;

use super::error::Result;
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::registry::manifest::Platform;
use crate::registry::{Credentials, Reference};

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/images/json", get(list::list))
        .route("/images/create", post(create::create))
        .route("/images/search", get(search))
        .route("/images/load", post(load::load))
        .route("/images/get", get(load::save))
        .route("/images/prune", post(remove::prune))
        .route("/images/{*rest}", get(read).post(write).merge(delete(remove::remove)))
        .route("/distribution/{*rest}", get(registry::distribution))
        .route("/auth", post(registry::auth))
}

/// Docker Hub's search is an interface of its own, which no other registry has.
async fn search() -> Result<Response> {
    let text = "searching for images is not supported by this engine: look on the registry's own site, and pull by name";
    Err(Error::unimplemented(text).into())
}

async fn read(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    Path(rest): Path<String>,
) -> Result<Response> {
    match rest.rsplit_once('/') {
        Some((name, "json")) => inspect::inspect(&engine, name, version),
        Some((name, "history")) => list::history(&engine, name),
        Some((name, "get")) => load::save_names(&engine, &[name.to_owned()]),
        _ => Err(Error::not_found("page not found").into()),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tag {
    repo: String,
    tag: String,
}

async fn write(
    State(engine): State<Arc<Engine>>,
    Path(rest): Path<String>,
    query: std::result::Result<Query<Tag>, QueryRejection>,
    headers: HeaderMap,
    _body: Body,
) -> Result<Response> {
    let Query(query) = query?;
    match rest.rsplit_once('/') {
        Some((name, "tag")) => tag(&engine, name, &query).await,
        Some((name, "push")) => registry::push(engine, name, &query.tag, &headers).await,
        _ => Err(Error::not_found("page not found").into()),
    }
}

async fn tag(engine: &Engine, name: &str, query: &Tag) -> Result<Response> {
    let reference: Reference = query.repo.parse().map_err(Error::from)?;
    let reference =
        if query.tag.is_empty() { reference } else { reference.with_tag(&query.tag).map_err(Error::from)? };
    engine.images.tag(name, reference).await?;
    Ok(StatusCode::CREATED.into_response())
}

/// Who asks a registry, as the client says.
fn credentials(headers: &HeaderMap) -> Result<Credentials> {
    let Some(header) = headers.get("x-registry-auth").filter(|header| !header.is_empty()) else {
        return Ok(Credentials::default());
    };
    let credentials = header.to_str().ok().and_then(Credentials::from_header);
    Ok(credentials
        .ok_or_else(|| Error::invalid("invalid X-Registry-Auth header: it must be base64 of JSON"))?)
}

/// `linux/arm64`, or, from newer clients, a JSON object. Empty means none in particular.
pub(super) fn platform(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    let platform =
        if text.starts_with('{') { serde_json::from_str(text).ok() } else { Platform::parse(text) };
    let unknown = || {
        Error::invalid(format!(
            "\"{text}\" is an invalid OS or architecture, or not of the form os[/arch[/variant]]"
        ))
    };
    Ok(Some(platform.ok_or_else(unknown)?))
}
