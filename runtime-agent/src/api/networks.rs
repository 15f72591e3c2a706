//! Networks: list, create, inspect, connect, disconnect, remove, prune.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use wharfd_api_types::Filters;
use wharfd_api_types::network::{
    Network, NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworksPruned,
};

use super::error::Result;
use super::parameters::{Parameters, Sent};
use super::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::error::Error;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/networks", get(list))
        .route("/networks/create", post(create))
        .route("/networks/prune", post(prune))
        .route("/networks/{id}", get(inspect).delete(remove))
        .route("/networks/{id}/connect", post(connect))
        .route("/networks/{id}/disconnect", post(disconnect))
}

#[derive(Debug, Deserialize)]
struct Narrowed {
    filters: Option<String>,
}

async fn list(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    query: std::result::Result<Query<Narrowed>, QueryRejection>,
) -> Result<Json<Vec<Network>>> {
    let filters = Filters::parse(query?.0.filters.as_deref()).map_err(Error::invalid)?;
    let networks = engine.networks.list(&filters)?;
    let shown = networks.iter().map(|network| {
        let mut network = as_of(version, network.to_wire());
        if version >= ApiVersion(1, 52) {
            network.containers = None;
        }
        network
    });
    Ok(Json(shown.collect()))
}

async fn create(
    State(engine): State<Arc<Engine>>,
    sent: Sent,
) -> Result<(StatusCode, Json<NetworkCreateResponse>)> {
    let request: NetworkCreateRequest = sent.read()?;
    let network = engine.networks.create(request).await?;
    Ok((StatusCode::CREATED, Json(NetworkCreateResponse { id: network.id, warning: String::new() })))
}

async fn inspect(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    Path(wanted): Path<String>,
    parameters: Parameters,
) -> Result<Json<Network>> {
    if let Some(other) = parameters.text("verbose").filter(|text| !BOOLEANS.contains(text)) {
        let why = format!("strconv.ParseBool: parsing \"{other}\": invalid syntax");
        return Err(Error::invalid(format!("invalid value for verbose: {other}: {why}")).into());
    }
    let network = engine.networks.find(&wanted)?;
    if parameters.text("scope").is_some_and(|scope| scope != "local") {
        return Err(Error::not_found(format!("network {wanted} not found")).into());
    }
    Ok(Json(as_of(version, engine.networks.inspect(&network))))
}

async fn remove(State(engine): State<Arc<Engine>>, Path(wanted): Path<String>) -> Result<StatusCode> {
    engine.networks.remove(&wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn connect(
    State(engine): State<Arc<Engine>>,
    Path(network): Path<String>,
    sent: Sent,
) -> Result<StatusCode> {
    let request: NetworkConnectRequest = sent.read()?;
    if request.container.is_empty() {
        return Err(Error::invalid("invalid name or ID supplied: \"\"").into());
    }
    let settings = request.endpoint_config.unwrap_or_default();
    engine.networks.connect(&network, &request.container, settings).await?;
    Ok(StatusCode::OK)
}

async fn disconnect(
    State(engine): State<Arc<Engine>>,
    Path(network): Path<String>,
    sent: Sent,
) -> Result<StatusCode> {
    let request: NetworkDisconnectRequest = sent.read()?;
    engine.networks.disconnect(&network, &request.container, request.force).await?;
    Ok(StatusCode::OK)
}

async fn prune(
    State(engine): State<Arc<Engine>>,
    query: std::result::Result<Query<Narrowed>, QueryRejection>,
) -> Result<Json<NetworksPruned>> {
    let filters = Filters::parse(query?.0.filters.as_deref()).map_err(Error::invalid)?;
    let before = filters.get("until").first().map(|text| until(text)).transpose()?;
    Ok(Json(engine.networks.prune(&filters, before).await?))
}

/// The shape that the requested version had.
fn as_of(version: ApiVersion, mut network: Network) -> Network {
    if version < ApiVersion(1, 48) {
        network.enable_ipv4 = None;
    }
    network
}

/// Seconds since 1970, RFC 3339, or how long ago: `10m`, `1h30m`.
fn until(text: &str) -> Result<OffsetDateTime, Error> {
    let wrong = || Error::invalid(format!("invalid filter 'until={text}'"));
    if let Ok(time) = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339) {
        return Ok(time);
    }
    let seconds = text.split('.').next().unwrap_or_default();
    if let Ok(seconds) = seconds.parse() {
        return OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| wrong());
    }
    let ago = ago(text).ok_or_else(wrong)?;
    OffsetDateTime::now_utc().checked_sub(ago).ok_or_else(wrong)
}

fn ago(text: &str) -> Option<Duration> {
    let mut left = text;
    let mut total = Duration::ZERO;
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = left.get(..digits)?.parse().ok()?;
        let units = left.get(digits..)?;
        let end = units.find(|c: char| c.is_ascii_digit()).unwrap_or(units.len());
        let unit = match units.get(..end)? {
            "h" => Duration::HOUR,
            "m" => Duration::MINUTE,
            "s" => Duration::SECOND,
            "ms" => Duration::MILLISECOND,
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(i32::try_from(count).ok()?)?)?;
        left = units.get(end..)?;
    }
    Some(total)
}

/// What Go's library reads as a boolean.
const BOOLEANS: [&str; 12] =
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_a_time_or_how_long_ago() {
        assert_eq!(until("1700000000").unwrap().unix_timestamp(), 1_700_000_000);
        assert_eq!(until("2026-01-02T03:04:05Z").unwrap().hour(), 3);
        assert_eq!(ago("1h30m"), Some(Duration::minutes(90)));
        let earlier = OffsetDateTime::now_utc() - until("10m").unwrap();
        assert!((599..=601).contains(&earlier.whole_seconds()));
        for wrong in ["", "10", "h", "1x", "1h2"] {
            assert!(wrong.is_empty() || ago(wrong).is_none(), "{wrong}");
        }
        assert!(until("yesterday").is_err());
    }
}
