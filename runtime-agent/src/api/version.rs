//! The version that a client speaks: `/v1.44/…`, or the newest when the path names none.
//!
//! Shapes follow the *requested* version; a handler that must know takes `Extension<ApiVersion>`. docker-compose of
//! Python, which many have still, asks for the newest that an engine offers, whatever that means by then, and reads it as
//! what it knew: it is answered in the last version that still has all of that.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::header::USER_AGENT;

use crate::engine::error::{Error, Result};

/// A version of the Engine API. The first part is always 1, but is compared all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(pub(crate) u16, pub(crate) u16);

impl ApiVersion {
    pub(crate) const NEWEST: Self = Self(1, 54);
    pub(crate) const NEWEST_TEXT: &str = "1.54";
    pub(crate) const OLDEST: Self = Self(1, 24);
    pub(crate) const OLDEST_TEXT: &str = "1.24";

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// Takes the version off the front of the path.
pub(crate) fn take(request: &mut Request) -> Result<ApiVersion> {
    let Some((version, rest)) = split(request.uri()) else { return Ok(ApiVersion::NEWEST) };
    if version > ApiVersion::NEWEST {
        return Err(Error::invalid(format!(
            "client version {}.{} is too new. Maximum supported API version is {}",
            version.0,
            version.1,
            ApiVersion::NEWEST_TEXT
        )));
    }
    if version < ApiVersion::OLDEST {
        return Err(Error::invalid(format!(
            "client version {}.{} is too old. Minimum supported API version is {}, please upgrade your client to a \
             newer version",
            version.0,
            version.1,
            ApiVersion::OLDEST_TEXT
        )));
    }
    *request.uri_mut() = rest;
    Ok(if is_old_compose(request) { version.min(WITH_CONTAINER_CONFIG) } else { version })
}

/// Images have a `ContainerConfig` up to here.
const WITH_CONTAINER_CONFIG: ApiVersion = ApiVersion(1, 44);

fn is_old_compose(request: &Request) -> bool {
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("docker-compose/1."))
}

/// `None` when the path does not begin with a version; such a path is a route of its own.
fn split(uri: &Uri) -> Option<(ApiVersion, Uri)> {
    let whole = uri.path_and_query()?.as_str();
    let (version, path) = whole.strip_prefix("/v")?.split_once('/')?;
    let version = ApiVersion::parse(version)?;
    Some((version, format!("/{path}").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn taken(path: &str) -> (Result<ApiVersion>, String) {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let version = take(&mut request);
        (version, request.uri().to_string())
    }

    #[test]
    fn takes_the_version_off_and_keeps_the_query() {
        let (version, path) = taken("/v1.41/containers/json?all=1");
        assert_eq!((version.unwrap(), path.as_str()), (ApiVersion(1, 41), "/containers/json?all=1"));
        let (version, path) = taken("/volumes/v1.41/x");
        assert_eq!((version.unwrap(), path.as_str()), (ApiVersion::NEWEST, "/volumes/v1.41/x"));
    }

    #[test]
    fn old_compose_is_answered_as_it_reads() {
        let asked = |path: &str, agent: &str| {
            let request = Request::builder().uri(path).header(USER_AGENT, agent);
            take(&mut request.body(Body::empty()).unwrap()).unwrap()
        };
        let old = "docker-compose/1.29.2 Linux/6.1.0-44-amd64";
        assert_eq!(asked("/v1.54/images/x/json", old), ApiVersion(1, 44));
        assert_eq!(asked("/v1.38/images/x/json", old), ApiVersion(1, 38));
        assert_eq!(asked("/v1.54/images/x/json", "compose/v2.40.0"), ApiVersion(1, 54));
    }

    #[test]
    fn fuzz_any_path_is_taken_or_refused() {
        bolero::check!().for_each(|path: &[u8]| {
            let Ok(path) = std::str::from_utf8(path) else { return };
            let Ok(mut request) = Request::builder().uri(format!("/{path}")).body(Body::empty()) else {
                return;
            };
            let before = request.uri().clone();
            if take(&mut request).is_ok_and(|version| version == ApiVersion::NEWEST) {
                assert!(before.path().ends_with(request.uri().path()));
            }
        });
    }

    #[test]
    fn says_what_it_supports() {
        let (too_new, _) = taken("/v9.99/_ping");
        assert_eq!(
            too_new.unwrap_err().to_string(),
            "client version 9.99 is too new. Maximum supported API version is 1.54"
        );
        let (too_old, _) = taken("/v1.12/_ping");
        assert!(too_old.unwrap_err().to_string().starts_with(
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client"
        ));
    }
}
