//! `/_ping`, `/version`, `/info`: what every client asks first.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use wharfd_api_types::{ComponentVersion, Platform, SystemInfo, SystemVersion};

use super::version::ApiVersion;
use crate::engine::{Engine, host};

pub(super) fn routes() -> Router<Arc<Engine>> {
    // axum answers HEAD by GET without the body.
    Router::new().route("/_ping", get(ping)).route("/version", get(version)).route("/info", get(info))
}

async fn ping() -> impl IntoResponse {
    let headers = [
        (header::CACHE_CONTROL.as_str(), "no-cache, no-store, must-revalidate"),
        (header::PRAGMA.as_str(), "no-cache"),
        // The classic builder: BuildKit's own routes are not served.
        ("builder-version", "1"),
        ("swarm", "inactive"),
    ];
    (headers, "OK")
}

async fn version() -> Json<SystemVersion> {
    let host = host::describe();
    let details = [
        ("ApiVersion", ApiVersion::NEWEST_TEXT),
        ("MinAPIVersion", ApiVersion::OLDEST_TEXT),
        ("Arch", host::ARCHITECTURE_IN_GO),
        ("BuildTime", ""),
        ("Experimental", "false"),
        ("GitCommit", ""),
        ("GoVersion", ""),
        ("KernelVersion", &host.kernel),
        ("Os", "linux"),
    ];
    let details: BTreeMap<_, _> = details.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let engine = ComponentVersion { name: "Engine".to_owned(), version: VERSION.to_owned(), details };
    Json(SystemVersion {
        platform: Platform { name: "wharf".to_owned() },
        components: vec![engine],
        version: VERSION.to_owned(),
        api_version: ApiVersion::NEWEST_TEXT.to_owned(),
        min_api_version: ApiVersion::OLDEST_TEXT.to_owned(),
        os: "linux".to_owned(),
        arch: host::ARCHITECTURE_IN_GO.to_owned(),
        kernel_version: host.kernel,
        ..SystemVersion::default()
    })
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

async fn info(State(engine): State<Arc<Engine>>) -> Json<SystemInfo> {
    Json(engine.info().await)
}
