//! The allowlist: every route that somebody but an admin may ask for, the least role for it, and what is looked at.

use axum::http::Method;

use crate::tls::Role;

/// One line of the allowlist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    method: &'static str,
    /// `{}` is one part of a path, `{*}` one or more: names of images hold slashes.
    path: &'static str,
    least: Role,
    pub(super) guard: Guard,
}

/// What a route's role alone does not settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Nothing,
    /// A reader sees the names of environment variables, and no values.
    Veiled,
    /// The body describes a container.
    Create,
    /// The path's container must not reach the host.
    Confined,
    /// That, and the body describes its limits.
    Update,
    /// That, and the body describes a further process.
    Exec,
    /// The path's exec is in a container that must not reach the host.
    ConfinedExec,
    /// The body describes a volume.
    Volume,
    /// The body describes a network.
    Network,
    /// The query says how to build.
    Build,
}

use Guard::{Build, Confined, ConfinedExec, Create, Exec, Network, Nothing, Update, Veiled, Volume};
use Role::{Operator, Reader};

const fn route(method: &'static str, path: &'static str, least: Role, guard: Guard) -> Route {
    Route { method, path, least, guard }
}

const ROUTES: &[Route] = &[
    route("GET", "/_ping", Reader, Nothing),
    route("GET", "/version", Reader, Nothing),
    route("GET", "/info", Reader, Nothing),
    route("GET", "/events", Reader, Nothing),
    route("GET", "/system/df", Reader, Nothing),
    route("GET", "/plugins", Reader, Nothing),
    route("GET", "/swarm", Reader, Nothing),
    route("GET", "/containers/json", Reader, Nothing),
    route("GET", "/containers/{}/json", Reader, Veiled),
    route("GET", "/containers/{}/top", Reader, Nothing),
    route("GET", "/containers/{}/stats", Reader, Nothing),
    route("GET", "/containers/{}/changes", Reader, Nothing),
    route("GET", "/exec/{}/json", Reader, Veiled),
    route("GET", "/images/json", Reader, Nothing),
    route("GET", "/images/search", Reader, Nothing),
    route("GET", "/images/{*}/json", Reader, Veiled),
    route("GET", "/images/{*}/history", Reader, Nothing),
    route("GET", "/networks", Reader, Nothing),
    route("GET", "/networks/{}", Reader, Nothing),
    route("GET", "/volumes", Reader, Nothing),
    route("GET", "/volumes/{}", Reader, Nothing),
    route("POST", "/containers/create", Operator, Create),
    route("POST", "/containers/prune", Operator, Nothing),
    route("POST", "/containers/{}/start", Operator, Nothing),
    route("POST", "/containers/{}/stop", Operator, Nothing),
    route("POST", "/containers/{}/restart", Operator, Nothing),
    route("POST", "/containers/{}/kill", Operator, Nothing),
    route("POST", "/containers/{}/pause", Operator, Nothing),
    route("POST", "/containers/{}/unpause", Operator, Nothing),
    route("POST", "/containers/{}/wait", Operator, Nothing),
    // Its name could pass to one that may be entered, between a look and a use.
    route("POST", "/containers/{}/rename", Operator, Confined),
    route("POST", "/containers/{}/resize", Operator, Nothing),
    route("POST", "/containers/{}/update", Operator, Update),
    // A link's name has two parts.
    route("DELETE", "/containers/{*}", Operator, Nothing),
    route("GET", "/containers/{}/logs", Operator, Nothing),
    route("POST", "/containers/{}/attach", Operator, Confined),
    route("GET", "/containers/{}/attach/ws", Operator, Confined),
    route("POST", "/containers/{}/exec", Operator, Exec),
    route("POST", "/exec/{}/start", Operator, ConfinedExec),
    route("POST", "/exec/{}/resize", Operator, ConfinedExec),
    route("GET", "/containers/{}/archive", Operator, Confined),
    route("PUT", "/containers/{}/archive", Operator, Confined),
    route("GET", "/containers/{}/export", Operator, Confined),
    route("POST", "/commit", Operator, Nothing),
    route("POST", "/images/create", Operator, Nothing),
    route("POST", "/images/load", Operator, Nothing),
    route("POST", "/images/prune", Operator, Nothing),
    route("POST", "/images/{*}/tag", Operator, Nothing),
    route("POST", "/images/{*}/push", Operator, Nothing),
    route("GET", "/images/get", Operator, Nothing),
    route("GET", "/images/{*}/get", Operator, Nothing),
    route("DELETE", "/images/{*}", Operator, Nothing),
    route("GET", "/distribution/{*}/json", Operator, Nothing),
    route("POST", "/auth", Operator, Nothing),
    route("POST", "/build", Operator, Build),
    route("POST", "/build/prune", Operator, Nothing),
    route("POST", "/build/cancel", Operator, Nothing),
    route("POST", "/networks/create", Operator, Network),
    route("POST", "/networks/prune", Operator, Nothing),
    route("POST", "/networks/{}/connect", Operator, Nothing),
    route("POST", "/networks/{}/disconnect", Operator, Nothing),
    route("DELETE", "/networks/{}", Operator, Nothing),
    route("POST", "/volumes/create", Operator, Volume),
    route("POST", "/volumes/prune", Operator, Nothing),
    route("DELETE", "/volumes/{}", Operator, Nothing),
];

/// The first line that fits, if the role is allowed it. Looking at the head of an answer is looking at it.
pub(super) fn allowed(role: Role, method: &Method, path: &str) -> Option<&'static Route> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let fits = |route: &&Route| route.method == method && fits(route.path, path);
    ROUTES.iter().find(fits).filter(|route| route.least == Reader || role != Reader)
}

/// The part of the path that names the thing: what `{}` or `{*}` stands for.
pub(super) fn name_in<'a>(route: &Route, path: &'a str) -> &'a str {
    let (before, after) = route.path.split_once('{').unwrap_or((route.path, ""));
    let after = after.split_once('}').map_or("", |(_, after)| after);
    path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or_default()
}

fn fits(pattern: &str, path: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == path };
    let (kind, after) = rest.split_once('}').unwrap_or((rest, ""));
    let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or_default();
    !name.is_empty() && (kind == "*" || !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_paths() {
        assert!(fits("/containers/{}/json", "/containers/a/json"));
        assert!(fits("/images/{*}/json", "/images/reg:5000/a/b/json"));
        for (pattern, path) in [
            ("/containers/{}/json", "/containers//json"),
            ("/containers/{}/json", "/containers/a/b/json"),
            ("/containers/{}/json", "/containers/json"),
            ("/containers/{}", "/containers/a/"),
            ("/images/{*}", "/images/"),
            ("/_ping", "/_ping/"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
        let route = allowed(Operator, &Method::POST, "/containers/a/exec").unwrap();
        assert_eq!(name_in(route, "/containers/a/exec"), "a");
    }
}
