//! What an engine outside a swarm, without plugins, answers: clients ask and must be told in the words they know.

use std::sync::Arc;

use axum::routing::{any, delete, get, post};
use axum::{Json, Router};

use super::error::{Refusal, Result};
use crate::engine::Engine;
use crate::engine::error::Error;

/// Everything that only a swarm's manager serves, and below.
const SWARM_ONLY: &[&str] = &["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"];

pub(super) fn routes() -> Router<Arc<Engine>> {
    let routes = Router::new()
        .route("/plugins", get(no_plugins))
        .route("/plugins/{name}", delete(no_such_plugin))
        .route("/plugins/{name}/json", get(no_such_plugin))
        .route("/swarm/leave", post(not_in_a_swarm));
    let routes = ["enable", "disable", "push", "upgrade", "set"].iter().fold(routes, |routes, verb| {
        routes.route(&format!("/plugins/{{name}}/{verb}"), post(no_such_plugin))
    });
    SWARM_ONLY.iter().fold(routes, |routes, path| {
        routes.route(path, any(no_swarm)).route(&format!("{path}/{{*rest}}"), any(no_swarm))
    })
}

async fn no_plugins() -> Json<[(); 0]> {
    Json([])
}

async fn no_such_plugin(axum::extract::Path(name): axum::extract::Path<String>) -> Refusal {
    Error::not_found(format!("plugin {name:?} not found")).into()
}

async fn not_in_a_swarm() -> Refusal {
    Error::unavailable("This node is not part of a swarm").into()
}

async fn no_swarm() -> Result<()> {
    Err(Error::unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to \
         swarm and try again.",
    )
    .into())
}
