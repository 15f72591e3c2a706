//! `DELETE /images/{name}` and `POST /images/prune`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use wharfd_api_types::Filters;
use wharfd_api_types::image::{ImageDeleteItem, ImagesPruned};

use super::list::{is_false, is_true, until};
use crate::api::error::Result;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::engine::images::remove::Removed;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    force: Option<String>,
    noprune: Option<String>,
    filters: Option<String>,
}

pub(super) async fn remove(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    let force = wanted.force.as_deref().is_some_and(is_true);
    let with_parents = !wanted.noprune.as_deref().is_some_and(is_true);
    let removed = engine.images.remove(&name, force, with_parents).await?;
    Ok(Json(removed.iter().map(item).collect::<Vec<_>>()).into_response())
}

pub(super) async fn prune(
    State(engine): State<Arc<Engine>>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    let filters = Filters::parse(wanted.filters.as_deref()).map_err(Error::invalid)?;
    filters.only(&["dangling", "label", "label!", "until"]).map_err(Error::invalid)?;
    if let Some(other) = filters.get("dangling").iter().find(|value| !is_true(value) && !is_false(value)) {
        return Err(Error::invalid(format!("invalid filter 'dangling=[{other}]'")).into());
    }
    let dangling_only = !filters.get("dangling").iter().any(|value| is_false(value));
    let before = filters.get("until").first().map(|text| until(text)).transpose()?;
    let (removed, bytes) = engine
        .images
        .prune(|image, names| {
            let labels = image.configuration.config.labels.as_ref();
            let labelled = |wanted: &String| {
                let (key, value) =
                    wanted.split_once('=').map_or((wanted.as_str(), None), |(k, v)| (k, Some(v)));
                let found = labels.and_then(|labels| labels.get(key));
                found.is_some_and(|found| value.is_none_or(|value| value == found))
            };
            (!dangling_only || names.tags.is_empty())
                && filters.get("label").iter().all(labelled)
                && !filters.get("label!").iter().any(labelled)
                && before.is_none_or(|before| image.created().is_some_and(|created| created < before))
        })
        .await?;
    let items: Vec<_> = removed.iter().map(item).collect();
    let images_deleted = (!items.is_empty()).then_some(items);
    Ok(Json(ImagesPruned { images_deleted, space_reclaimed: bytes }).into_response())
}

fn item(removed: &Removed) -> ImageDeleteItem {
    match removed {
        Removed::Untagged(name) => ImageDeleteItem::Untagged(name.clone()),
        Removed::Deleted(digest) => ImageDeleteItem::Deleted(digest.to_string()),
    }
}
