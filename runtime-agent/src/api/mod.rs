//! HTTP only: the routes of the Docker Engine API, one noun a file.
//!
//! Every request passes [`Api::answer`]: its version prefix is checked and taken off, the route found by the plain
//! path, and the headers that every client looks for are added. Nothing here knows what a container is.

mod absent;
mod access;
mod archive;
mod attach;
mod build;
mod commit;
mod containers;
pub(crate) mod error;
mod events;
mod exec;
pub(crate) mod hijack;
mod images;
mod networks;
mod parameters;
pub(crate) mod stream;
mod streams;
mod system;
mod usage;
pub(crate) mod version;
mod volumes;
mod websocket;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse, Response};
use tower::util::ServiceExt;

use crate::engine::Engine;
use crate::engine::error::Error;
use access::Admitted;
use version::ApiVersion;

/// The whole API over one engine. Cheap to clone: one a connection.
#[derive(Clone)]
pub(crate) struct Api {
    router: Router,
    engine: Arc<Engine>,
}

impl Api {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let routes = Router::new()
            .merge(absent::routes())
            .merge(archive::routes())
            .merge(attach::routes())
            .merge(build::routes())
            .merge(commit::routes())
            .merge(containers::routes())
            .merge(events::routes())
            .merge(exec::routes())
            .merge(images::routes())
            .merge(networks::routes())
            .merge(system::routes())
            .merge(usage::routes())
            .merge(volumes::routes());
        Self {
            router: routes
                .fallback(no_such_page)
                .method_not_allowed_fallback(no_such_page)
                .with_state(Arc::clone(&engine)),
            engine,
        }
    }

    /// Answers one request; every failure is an answer too.
    pub(crate) async fn answer(self, request: Request) -> Result<Response, Infallible> {
        let answer = self.routed(request).await;
        let mut response = answer.unwrap_or_else(|refusal| error::Refusal::from(refusal).into_response());
        let headers = response.headers_mut();
        headers.insert("Api-Version", HeaderValue::from_static(ApiVersion::NEWEST_TEXT));
        headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
        headers.insert("Ostype", HeaderValue::from_static("linux"));
        headers.insert(
            "Server",
            HeaderValue::from_static(concat!("wharfd/", env!("CARGO_PKG_VERSION"), " (linux)")),
        );
        Ok(response)
    }

    /// The answer to whoever has no right to be here any more.
    pub(crate) fn turn_away(why: &str) -> Response {
        let mut response = error::Refusal::from(Error::forbidden(why)).into_response();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    async fn routed(self, mut request: Request) -> crate::engine::error::Result<Response> {
        let version = version::take(&mut request)?;
        let Admitted { mut request, veiled } = access::admit(request, &self.engine).await?;
        request.extensions_mut().insert(version);
        let response = self.router.oneshot(request).await.unwrap_or_else(|never| match never {});
        if veiled { access::veil(response).await } else { Ok(response) }
    }
}

async fn no_such_page() -> error::Refusal {
    Error::not_found("page not found").into()
}
