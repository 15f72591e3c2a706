//! What a role may ask for: an allowlist of method, route and body. What is not on it is denied, new routes included.
//!
//! An *admin* may do everything. An *operator* runs containers and keeps images, networks and volumes, but makes,
//! changes, enters and copies from nothing that reaches the host (privileged containers, the host's namespaces, binds,
//! devices, added rights). A *reader* sees what exists, without environment values, logs and files.
//!
//! Whatever is decided by a body is decided by the very bytes that are then handed on.

mod host;
mod routes;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde_json::Value;

use crate::engine::Engine;
use crate::engine::error::{Error, Result};
use crate::tls::{Identity, Role};
use host::Others;
use routes::{Guard, Route};

/// The longest body that is looked at; as long as handlers take.
const LARGEST_BODY: usize = 2 << 20;
/// The longest answer that is veiled: an inspect has kilobytes.
const LARGEST_ANSWER: usize = 16 << 20;

/// A request that may go on.
pub(super) struct Admitted {
    pub(super) request: Request,
    /// Its answer must not show values of environment variables.
    pub(super) veiled: bool,
}

/// Checks a request whose version prefix is off already.
pub(super) async fn admit(request: Request, engine: &Engine) -> Result<Admitted> {
    let Some(identity) = request.extensions().get::<Identity>() else {
        return Err(Error::forbidden("the client is not known"));
    };
    let role = identity.role;
    if role == Role::Admin {
        return Ok(Admitted { request, veiled: false });
    }
    let path = request.uri().path();
    let Some(route) = routes::allowed(role, request.method(), path) else {
        return Err(Error::forbidden(format!(
            "{} may not {} {path} with the role {}",
            identity.name,
            request.method(),
            role.as_str()
        )));
    };
    let veiled = role == Role::Reader && route.guard == Guard::Veiled;
    Ok(Admitted { request: guarded(route, request, engine).await?, veiled })
}

/// Takes the values of environment variables out of an answer. What cannot be read is not shown.
pub(super) async fn veil(response: Response) -> Result<Response> {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_ANSWER).await;
    let bytes = bytes.map_err(|e| Error::internal("reading an answer", e))?;
    if bytes.is_empty() {
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    let mut answer: Value =
        serde_json::from_slice(&bytes).map_err(|e| Error::internal("reading an answer", e))?;
    hide_values(&mut answer);
    let bytes = serde_json::to_vec(&answer).map_err(|e| Error::internal("writing an answer", e))?;
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

async fn guarded(route: &Route, request: Request, engine: &Engine) -> Result<Request> {
    let others = Engines(engine);
    let name = decoded(routes::name_in(route, request.uri().path()));
    match route.guard {
        Guard::Nothing | Guard::Veiled => Ok(request),
        Guard::Build => host::build(request.uri().query().unwrap_or_default()).map(|()| request),
        Guard::Create => with_body(request, |body| host::create(body, &others)).await,
        Guard::Volume => with_body(request, host::volume).await,
        Guard::Network => with_body(request, host::network).await,
        Guard::Confined => others.demand_confined(&name).map(|()| request),
        Guard::ConfinedExec => {
            // One that nobody knows is for the handler to refuse.
            let container = engine.containers.exec(&name).ok().map(|exec| exec.container.id.clone());
            container.map_or(Ok(()), |container| others.demand_confined(&container)).map(|()| request)
        }
        Guard::Update => {
            others.demand_confined(&name)?;
            with_body(request, |body| host::host(body, &others)).await
        }
        Guard::Exec => {
            others.demand_confined(&name)?;
            with_body(request, host::exec).await
        }
    }
}

/// Looks at the body, and puts the same bytes back.
async fn with_body(request: Request, check: impl FnOnce(&Value) -> Result<()>) -> Result<Request> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|e| Error::invalid(e.to_string()))?;
    let value = serde_json::from_slice(&bytes).map_err(|e| Error::invalid(format!("invalid body: {e}")))?;
    check(&value)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn hide_values(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("Env", Value::Array(variables)) => variables.iter_mut().for_each(hide_value),
                    (_, value) => hide_values(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_values),
        _ => {}
    }
}

fn hide_value(variable: &mut Value) {
    let name = variable.as_str().and_then(|text| text.split('=').next()).unwrap_or_default();
    *variable = format!("{name}=").into();
}

/// As the router reads a part of a path.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// What this engine knows of other containers and volumes.
struct Engines<'a>(&'a Engine);

impl Engines<'_> {
    fn demand_confined(&self, container: &str) -> Result<()> {
        // One that nobody knows is for the handler to refuse.
        match self.0.containers.find(container) {
            Ok(_) if !self.is_confined(container) => Err(Error::forbidden(format!(
                "the role operator may not enter {container}: it reaches the host"
            ))),
            _ => Ok(()),
        }
    }
}

impl Others for Engines<'_> {
    fn is_confined(&self, container: &str) -> bool {
        let Ok(container) = self.0.containers.find(container) else { return false };
        let record = &container.snapshot().record;
        let Ok(mut host) = serde_json::to_value(&record.host) else { return false };
        // The engine's own choice where the host has cgroup v1; it shows nothing that `/proc` does not.
        if let Some(host) = host.as_object_mut() {
            host.remove("CgroupnsMode");
        }
        host::host(&host, self).is_ok()
    }

    fn is_plain_volume(&self, volume: &str) -> bool {
        self.0.volumes.find(volume).map_or(true, |volume| volume.options().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Method;

    #[test]
    fn readers_change_nothing_and_see_no_logs_and_no_files() {
        let allowed = |role, method: &Method, path: &str| routes::allowed(role, method, path).is_some();
        assert!(allowed(Role::Reader, &Method::GET, "/containers/json"));
        assert!(allowed(Role::Reader, &Method::HEAD, "/_ping"));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for path in ["/containers/json", "/containers/a", "/containers/create", "/images/a", "/_ping"] {
                assert!(!allowed(Role::Reader, &method, path), "{method} {path}");
            }
        }
        for path in [
            "/containers/a/logs",
            "/containers/a/archive",
            "/containers/a/export",
            "/containers/a/attach/ws",
            "/images/a/get",
            "/images/get",
            "/distribution/a/json",
        ] {
            assert!(!allowed(Role::Reader, &Method::GET, path), "{path}");
            assert!(allowed(Role::Operator, &Method::GET, path), "{path}");
        }
        for role in [Role::Operator, Role::Reader] {
            assert!(!allowed(role, &Method::GET, "/a-route-of-tomorrow"));
            assert!(!allowed(role, &Method::POST, "/session"));
        }
    }

    #[test]
    fn a_veil_leaves_names_only() {
        let mut answer = serde_json::json!({"Config": {"Env": ["A=secret", "B"], "Cmd": ["x=y"]},
                                            "ContainerConfig": {"Env": null}});
        hide_values(&mut answer);
        let expected = serde_json::json!({"Config": {"Env": ["A=", "B="], "Cmd": ["x=y"]},
                                          "ContainerConfig": {"Env": null}});
        assert_eq!(answer, expected);
    }
}
