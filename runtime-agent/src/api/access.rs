//! What a role may ask for: an allowlist of method and route. What is not on it is denied, new routes included.
//!
//! An admin may do everything. The other roles see what exists and change nothing; neither sees a container's
//! environment, logs or files.

use axum::extract::Request;
use axum::http::Method;

use crate::engine::error::{Error, Result};
use crate::tls::{Identity, Role};

/// Read by every role; none of them shows environment values or file contents.
const OPEN_TO_ALL: &[&str] =
    &["/_ping", "/version", "/info", "/containers/json", "/images/json", "/networks", "/volumes"];

/// Checks a request whose version prefix is off already.
pub(super) fn check(request: &Request) -> Result<()> {
    let identity = request.extensions().get::<Identity>();
    let Some(identity) = identity else { return Err(Error::forbidden("the client is not known")) };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match identity.role {
        Role::Admin => Ok(()),
        Role::Operator | Role::Reader if reads && OPEN_TO_ALL.contains(&request.uri().path()) => Ok(()),
        role => Err(Error::forbidden(format!(
            "{} may not {} {} with the role {}",
            identity.name,
            request.method(),
            request.uri().path(),
            role.as_str()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn allowed(role: Role, method: Method, path: &str) -> bool {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Identity { name: "ann".to_owned(), role });
        check(&request).is_ok()
    }

    #[test]
    fn only_an_admin_changes_anything() {
        assert!(allowed(Role::Admin, Method::POST, "/containers/create"));
        for role in [Role::Operator, Role::Reader] {
            assert!(allowed(role, Method::GET, "/containers/json?all=1"));
            assert!(!allowed(role, Method::POST, "/containers/json"));
            assert!(!allowed(role, Method::GET, "/containers/x/logs"));
            assert!(!allowed(role, Method::GET, "/a-route-of-tomorrow"));
        }
    }

    #[test]
    fn nobody_gets_nothing() {
        assert!(check(&Request::builder().uri("/_ping").body(Body::empty()).unwrap()).is_err());
    }
}
