//! What only asks a registry: `POST /auth`, `GET /distribution/{name}/json`, and `POST /images/{name}/push`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use wharfd_api_types::image::{AuthAnswer, DistributionInspect, WireDescriptor, WirePlatform};

use super::{credentials, progress};
use crate::api::error::Result;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::registry::{Credentials, Reference};

/// `docker login`: the body holds what the header of later requests will.
pub(super) async fn auth(State(engine): State<Arc<Engine>>, body: Bytes) -> Result<Response> {
    let credentials: Credentials =
        serde_json::from_slice(&body).map_err(|error| Error::invalid(format!("invalid body: {error}")))?;
    let identity_token = engine.images.sign_in(&credentials).await?;
    let answer = AuthAnswer { status: "Login Succeeded".to_owned(), identity_token };
    Ok(Json(answer).into_response())
}

pub(super) async fn distribution(
    State(engine): State<Arc<Engine>>,
    Path(rest): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let name = rest.strip_suffix("/json").ok_or_else(|| Error::not_found("page not found"))?;
    let reference: Reference = name.parse::<Reference>().map_err(Error::from)?.or_latest();
    let described = engine.images.describe(&reference, &credentials(&headers)?).await?;
    let platforms = described.platforms.into_iter().map(|platform| WirePlatform {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
    });
    let answer = DistributionInspect {
        descriptor: WireDescriptor {
            media_type: described.media_type,
            digest: described.digest.to_string(),
            size: described.size,
        },
        platforms: platforms.collect(),
    };
    Ok(Json(answer).into_response())
}

pub(super) async fn push(
    engine: Arc<Engine>,
    name: &str,
    tag: &str,
    headers: &HeaderMap,
) -> Result<Response> {
    let reference: Reference = name.parse().map_err(Error::from)?;
    let reference = if tag.is_empty() { reference } else { reference.with_tag(tag).map_err(Error::from)? };
    let credentials = credentials(headers)?;
    progress::run(move |report| async move { engine.images.push(&reference, &credentials, &report).await })
        .await
}
