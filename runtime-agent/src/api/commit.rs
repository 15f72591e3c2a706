//! `POST /commit`: a container as an image.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use wharfd_api_types::container::ContainerConfig;
use wharfd_api_types::exec::IdResponse;

use super::error::Result;
use super::parameters::{Parameters, Sent};
use crate::engine::Engine;
use crate::engine::containers::commit::Wish;
use crate::engine::error::Error;
use crate::registry::Reference;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/commit", post(commit))
}

async fn commit(
    State(engine): State<Arc<Engine>>,
    parameters: Parameters,
    RawQuery(query): RawQuery,
    sent: Sent,
) -> Result<(StatusCode, Json<IdResponse>)> {
    let config: ContainerConfig = sent.read()?;
    let container = engine.containers.find(parameters.text("container").unwrap_or_default())?;
    let wish = Wish {
        reference: reference(&parameters)?,
        message: parameters.text("comment").unwrap_or_default().to_owned(),
        author: parameters.text("author").unwrap_or_default().to_owned(),
        changes: changes(query.as_deref().unwrap_or_default())?,
        pause: parameters.flag_or("pause", true),
        config,
    };
    let id = engine.containers.commit(&container, wish).await?.to_string();
    Ok((StatusCode::CREATED, Json(IdResponse { id })))
}

fn reference(parameters: &Parameters) -> Result<Option<Reference>> {
    let Some(repository) = parameters.text("repo") else { return Ok(None) };
    let reference: Reference = repository.parse().map_err(Error::from)?;
    let reference = match parameters.text("tag") {
        Some(tag) => reference.with_tag(tag).map_err(Error::from)?,
        None => reference,
    };
    Ok(Some(reference))
}

/// The one parameter that may come several times, and that may hold several lines.
fn changes(query: &str) -> Result<Vec<String>> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|error| Error::invalid(error.to_string()))?;
    let lines = pairs.iter().filter(|(name, _)| name == "changes").flat_map(|(_, value)| value.lines());
    Ok(lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_one_by_one_or_in_lines() {
        let found = changes("repo=x&changes=CMD+%5B%22a%22%5D&changes=ENV+A%3D1%0AUSER+b&x=1").unwrap();
        assert_eq!(found, ["CMD [\"a\"]", "ENV A=1", "USER b"]);
    }
}
