//! `POST /build`, `/build/prune`, `/build/cancel`, and what BuildKit's clients ask for first.
//!
//! The classic builder's request: a context in the body, everything else in the query. BuildKit's own requests are refused
//! with a text that says what to do instead; `/grpc` is not found, which lets clients fall back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};
use wharfd_api_types::container::HostConfig;

use super::error::{Refusal, Result};
use super::hijack::{upgrade, wants_upgrade};
use super::images::platform;
use super::images::progress::{self, body_reader};
use super::parameters::Parameters;
use crate::engine::Engine;
use crate::engine::build::{Origin, Wish, build as run};
use crate::engine::error::Error;
use crate::registry::{Credentials, Reference};
use crate::tls::{Identity, Role};

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/build", post(build))
        .route("/build/prune", post(prune))
        .route("/build/cancel", post(cancel))
        .route("/session", any(session))
        .route("/grpc", any(no_buildkit))
}

async fn build(
    State(engine): State<Arc<Engine>>,
    Extension(identity): Extension<Identity>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut wish = wish(&parameters)?;
    wish.credentials = credentials(&headers)?;
    wish.may_download = identity.role == Role::Admin;
    let origin = match parameters.text("remote") {
        None => Origin::Archive(Box::new(body_reader(body))),
        Some(remote) => Origin::Url(address(remote)?),
    };
    progress::run(move |report| run(engine, wish, origin, report)).await
}

fn wish(parameters: &Parameters) -> Result<Wish> {
    if parameters.text("version").is_some_and(|version| version != "1") {
        return Err(Error::invalid(BUILDKIT).into());
    }
    if parameters.flag("squash") {
        return Err(Error::invalid(
            "squash is not supported by this engine: build in stages, and copy the result",
        )
        .into());
    }
    if parameters.text("outputs").is_some_and(|outputs| outputs != "[]" && outputs != "null") {
        return Err(
            Error::invalid(format!("exporting what was built elsewhere needs BuildKit: {BUILDKIT}")).into()
        );
    }
    let force_remove = parameters.flag("forcerm");
    Ok(Wish {
        tags: tags(parameters)?,
        dockerfile: parameters.text("dockerfile").unwrap_or_default().to_owned(),
        arguments: parameters.json("buildargs")?,
        labels: parameters.json("labels")?,
        target: parameters.text("target").map(str::to_owned),
        no_cache: parameters.flag("nocache"),
        pull: parameters.flag("pull"),
        remove: force_remove || parameters.text("rm").is_none() || parameters.flag("rm"),
        force_remove,
        quiet: parameters.flag("q"),
        host: host(parameters)?,
        platform: platform(parameters.text("platform").unwrap_or_default())?,
        cache_from: parameters.json("cachefrom")?,
        ..Wish::default()
    })
}

fn host(parameters: &Parameters) -> Result<HostConfig> {
    let text = |name: &str| parameters.text(name).unwrap_or_default().to_owned();
    let mut host = HostConfig {
        network_mode: text("networkmode"),
        memory: parameters.number("memory")?.unwrap_or_default(),
        memory_swap: parameters.number("memswap")?.unwrap_or_default(),
        cpu_shares: parameters.number("cpushares")?.unwrap_or_default(),
        cpu_period: parameters.number("cpuperiod")?.unwrap_or_default(),
        cpu_quota: parameters.number("cpuquota")?.unwrap_or_default(),
        cpuset_cpus: text("cpusetcpus"),
        cpuset_mems: text("cpusetmems"),
        cgroup_parent: text("cgroupparent"),
        shm_size: parameters.number("shmsize")?.unwrap_or_default(),
        isolation: text("isolation"),
        ulimits: parameters.json("ulimits")?,
        security_opt: parameters.json("securityopt")?,
        ..HostConfig::default()
    };
    // A list in JSON, or names and addresses one by one.
    let hosts: Vec<String> = match parameters.text("extrahosts") {
        Some(list) if list.starts_with('[') => parameters.json("extrahosts")?,
        _ => parameters.texts("extrahosts").flat_map(|hosts| hosts.split(',')).map(str::to_owned).collect(),
    };
    host.extra_hosts = (!hosts.is_empty()).then_some(hosts);
    // The client reads what a step writes while it runs; nobody reads it later.
    "none".clone_into(&mut host.log_config.kind);
    Ok(host)
}

fn tags(parameters: &Parameters) -> Result<Vec<Reference>> {
    let mut tags = Vec::new();
    for name in parameters.texts("t") {
        let reference: Reference = name.parse().map_err(Error::from)?;
        if reference.digest.is_some() {
            return Err(Error::invalid("build tag cannot contain a digest").into());
        }
        let reference = reference.or_latest();
        if !tags.contains(&reference) {
            tags.push(reference);
        }
    }
    Ok(tags)
}

/// Who asks which registry. Clients send all that they know.
fn credentials(headers: &HeaderMap) -> Result<BTreeMap<String, Credentials>> {
    let Some(header) = headers.get("x-registry-config").filter(|header| !header.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let bytes = header.to_str().ok().and_then(|text| {
        let alphabets =
            [&base64::engine::general_purpose::URL_SAFE, &base64::engine::general_purpose::STANDARD];
        alphabets.into_iter().find_map(|alphabet| alphabet.decode(text.trim()).ok())
    });
    let read =
        bytes.and_then(|bytes| serde_json::from_slice::<Option<BTreeMap<String, Credentials>>>(&bytes).ok());
    let wrong = || Error::invalid("invalid X-Registry-Config header: it must be base64 of JSON");
    Ok(read.ok_or_else(wrong)?.unwrap_or_default())
}

fn address(remote: &str) -> Result<String> {
    let is_http = remote.starts_with("http://") || remote.starts_with("https://");
    let path = remote.split(['#', '?']).next().unwrap_or_default();
    if is_http && !path.ends_with(".git") {
        return Ok(remote.to_owned());
    }
    if remote == "client-session" {
        return Err(Error::invalid(BUILDKIT).into());
    }
    let text = format!(
        "cannot build from {remote}: this engine fetches no git repositories; clone it, and send its folder"
    );
    Err(Error::invalid(text).into())
}

/// The cache of the classic builder is images: `docker image prune` removes those that nothing needs.
async fn prune(parameters: Parameters) -> Result<Json<Value>> {
    parameters.filters()?;
    Ok(Json(json!({ "CachesDeleted": null, "SpaceReclaimed": 0 })))
}

/// Only BuildKit's builds have ids. One that nobody knows is over.
async fn cancel(parameters: Parameters) -> Result<()> {
    match parameters.text("id") {
        Some(_) => Ok(()),
        None => Err(Error::invalid("build ID not provided").into()),
    }
}

/// A client that prefers BuildKit opens this before its build, and shows nothing of a refusal here. It is let in and not
/// spoken to, so that it reads what its build is refused with.
async fn session(request: Request) -> Response {
    if !wants_upgrade(&request, H2C) {
        return no_buildkit().await.into_response();
    }
    upgrade(request, H2C, |mut client| async move {
        // Until the client leaves.
        let _ = tokio::io::copy(&mut client.reader, &mut tokio::io::sink()).await;
    })
}

/// What BuildKit's connections speak.
const H2C: &str = "h2c";

async fn no_buildkit() -> Refusal {
    Error::not_found(BUILDKIT).into()
}

/// Which of the two ways to take.
const BUILDKIT: &str = "this engine has the classic builder, and no BuildKit of its own: set DOCKER_BUILDKIT=0 for \
    `docker build`, or run BuildKit in a container with `docker buildx create --driver docker-container --use` and build \
    with `docker buildx build --load`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_and_no_repositories() {
        assert!(address("http://h/a.tar?x").is_ok() && address("https://h/Dockerfile").is_ok());
        for (remote, text) in [
            ("https://h/a.git#main", "clone it"),
            ("git@h:a/b", "clone it"),
            ("github.com/a/b", "clone it"),
            ("client-session", "DOCKER_BUILDKIT=0"),
        ] {
            let Err(refused) = address(remote) else { panic!("{remote}") };
            assert!(format!("{refused:?}").contains(text), "{remote}");
        }
    }

    #[test]
    fn credentials_come_by_registry() {
        let config =
            base64::engine::general_purpose::URL_SAFE.encode(r#"{"h:5000":{"username":"u","password":"p"}}"#);
        let headers = |value: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("x-registry-config"),
                value.parse().unwrap(),
            )])
        };
        assert_eq!(credentials(&headers(&config)).unwrap()["h:5000"].username, "u");
        assert!(credentials(&HeaderMap::new()).unwrap().is_empty());
        assert!(credentials(&headers("%%%")).is_err());
    }
}
