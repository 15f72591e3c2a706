//! Which request is for what. The order of the checks is Resource Manager's own.

mod apply;
mod barren;
mod birth;
mod catalog;
mod deployment;
mod discovery;
mod group;
mod list;
mod machine;
mod page;
mod part;
mod preflight;
mod provider;
mod resource;
mod version;

use serde_json::json;

pub(crate) use version::Version;

use crate::cloud::{Bucket, Cloud, Effect};
use crate::error::ArmError;
use crate::http::{Answer, Call};
use crate::resource::Kind;
use crate::sign_in::Principal;

/// A call whose caller is known.
pub(crate) struct Request<'c> {
    pub(crate) cloud: &'c Cloud,
    pub(crate) call: &'c Call,
    pub(crate) who: Principal,
    /// What the weather does to it.
    pub(crate) effect: Option<&'c Effect>,
}

/// Answers an ARM request; the flag says that the version asked for was checked against a neighbour's description.
pub(crate) fn dispatch(cloud: &Cloud, call: &Call, effect: Option<&Effect>) -> (Answer, bool) {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    if matches!(segments[..], ["metadata", "endpoints"]) {
        return (discovery::endpoints(cloud, call), false);
    }
    let who = match crate::sign_in::authenticate(cloud, call) {
        Ok(who) => who,
        Err(error) => return (error.into(), false),
    };
    let neighbour = std::cell::Cell::new(false);
    let mut headers = Vec::new();
    let request = Request { cloud, call, who, effect };
    let answer = count(&request, &mut headers).and_then(|()| route(&request, &segments, &neighbour));
    let mut answer = answer.map_or_else(Answer::from, |answer| page::cut(cloud, call, answer));
    answer.headers.extend(headers);
    (answer, neighbour.get())
}

/// Counts a request against the buckets.
fn count(request: &Request<'_>, headers: &mut Vec<(String, String)>) -> Result<(), ArmError> {
    let cloud = request.cloud;
    if !cloud.config.throttled {
        return Ok(());
    }
    let now = cloud.clock().now();
    let now = if cloud.config.limits_scale { cloud.clock().real_time(now) } else { now };
    let mut state = cloud.state();
    headers.push(state.buckets.arm(&request.call.method, &request.who.object, now)?);
    if let Some((policy, resource)) = compute_policy(request.call) {
        headers.push(state.buckets.compute(policy, cloud.flavour().locations()[0].0, &resource, now)?);
    }
    Ok(())
}

/// What a request counts as for the compute provider, and for which resource.
fn compute_policy(call: &Call) -> Option<(Bucket, String)> {
    let lower: Vec<String> = call.segments.iter().map(|s| s.to_ascii_lowercase()).collect();
    let parts: Vec<&str> = lower.iter().map(String::as_str).collect();
    let resource = || lower.join("/");
    match (call.method.as_str(), &parts[..]) {
        ("GET", ["subscriptions", _, "providers", "microsoft.compute", "locations", _, "operations", _]) => {
            Some((Bucket::Operation, resource()))
        }
        ("GET", ["subscriptions", _, .., "providers", "microsoft.compute", "virtualmachines"]) => {
            Some((Bucket::HighCostGet, String::new()))
        }
        (
            method,
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "microsoft.compute",
                "virtualmachines",
                name,
                rest @ ..,
            ],
        ) => {
            let policy = match (method, rest) {
                ("PUT", []) => Bucket::Put,
                ("DELETE", []) | ("POST", ["deallocate"]) => Bucket::Delete,
                ("GET", _) | ("POST", ["retrievebootdiagnosticsdata"]) => Bucket::LowCostGet,
                _ => Bucket::Update,
            };
            Some((policy, format!("{}/{name}", lower[3])))
        }
        _ => None,
    }
}

fn route(
    request: &Request<'_>,
    segments: &[&str],
    neighbour: &std::cell::Cell<bool>,
) -> Result<Answer, ArmError> {
    let call = request.call;
    let lower: Vec<String> = segments.iter().map(|s| s.to_ascii_lowercase()).collect();
    let parts: Vec<&str> = lower.iter().map(String::as_str).collect();
    let version = |namespace: &str, kind: &str| {
        let version = version::choose(request.cloud, call, namespace, kind)?;
        neighbour.set(neighbour.get() || version.neighbour);
        Ok::<_, ArmError>(version)
    };
    let resources = |kind: &str| version("Microsoft.Resources", kind);
    match (call.method.as_str(), &parts[..]) {
        ("GET", ["subscriptions"]) => {
            resources("subscriptions").map(|v| discovery::subscriptions(request.cloud, &v))
        }
        ("GET", ["tenants"]) => resources("tenants").map(|_| discovery::tenants(request.cloud)),
        (_, ["subscriptions", id, ..]) => {
            discovery::check_subscription(request, id)?;
            in_subscription(request, segments, &parts[2..], &version)
        }
        _ => Err(not_found(call)),
    }
}

fn in_subscription(
    request: &Request<'_>,
    segments: &[&str],
    parts: &[&str],
    version: &Choose<'_>,
) -> Result<Answer, ArmError> {
    let (cloud, call) = (request.cloud, request.call);
    let own = |index: usize| segments.get(index + 2).copied().unwrap_or_default();
    let resources = |kind: &str| version("Microsoft.Resources", kind);
    let compute = |kind: &str| version("Microsoft.Compute", kind);
    match (call.method.as_str(), parts) {
        ("GET", []) => resources("subscriptions").map(|v| discovery::subscription(cloud, &v)),
        ("GET", ["locations"]) => resources("subscriptions/locations").map(|_| discovery::locations(cloud)),
        ("GET", ["operationresults", id]) => list::operation(request, id, true),
        ("GET", ["resources"]) => list::resources(request, &resources("resources")?, None),
        ("GET", ["resourcegroups"]) => group::list(request, &resources("resourceGroups")?),
        (_, ["resourcegroups", ..]) => in_group(request, segments, parts, version),
        ("GET", ["providers"]) => resources("providers").map(|version| provider::list(cloud, &version)),
        ("GET", ["providers", _]) => resources("providers").and_then(|_| provider::one(cloud, own(1))),
        ("POST", ["providers", _, "register"]) => {
            resources("providers").and_then(|_| provider::register(request, own(1)))
        }
        ("GET", ["providers", "microsoft.compute", "locations", _, "operations" | "diskoperations", id]) => {
            list::operation(request, id, call.parameter("monitor").is_some())
        }
        ("GET", ["providers", "microsoft.network", "locations", _, "operations", id]) => {
            list::operation(request, id, false)
        }
        ("GET", ["providers", "microsoft.network", "locations", _, "operationresults", id]) => {
            list::operation(request, id, true)
        }
        ("GET", ["providers", "microsoft.compute", "skus"]) => catalog::skus(request, &compute("skus")?),
        ("GET", ["providers", "microsoft.compute", "locations", location, rest @ ..]) => {
            let kind = format!("locations/{}", rest.first().copied().unwrap_or_default());
            catalog::route(request, &compute(&kind)?, location, rest)
        }
        ("GET", ["providers", "microsoft.network", "locations", location, "usages"]) => {
            version("Microsoft.Network", "locations/usages").map(|_| catalog::network_usages(cloud, location))
        }
        (_, ["providers", namespace, kind]) if let Some(kind) = barren::find(namespace, kind) => {
            version(kind.0, kind.1).and_then(|_| barren::route(request, kind, None, None))
        }
        ("GET", ["providers", _, _]) => {
            let kind = known(own(1), own(2))?;
            list::kind(request, &version(kind.namespace(), kind.name())?, kind, None)
        }
        _ => Err(not_found(call)),
    }
}

/// Chooses the version for a kind of a namespace.
type Choose<'c> = dyn Fn(&str, &str) -> Result<Version, ArmError> + 'c;

fn in_group(
    request: &Request<'_>,
    segments: &[&str],
    parts: &[&str],
    version: &Choose<'_>,
) -> Result<Answer, ArmError> {
    let call = request.call;
    let own = |index: usize| segments.get(index + 2).copied().unwrap_or_default();
    let resources = |kind: &str| version("Microsoft.Resources", kind);
    let compute = |kind: &str| version("Microsoft.Compute", kind);
    match (call.method.as_str(), parts.get(1..).unwrap_or_default()) {
        ("GET", [name, "resources"]) => list::resources(request, &resources("resources")?, Some(name)),
        (_, [_]) => group::one(request, &resources("resourceGroups")?, own(1)),
        // The provider may be left out, as in the first years.
        (
            _,
            [_, "providers", "microsoft.resources", "deployments", rest @ ..] | [_, "deployments", rest @ ..],
        ) => {
            let version = resources("deployments")?;
            let name = rest.first().map(|_| own(parts.len() - rest.len()));
            deployment::route(request, &version, own(1), name, rest.get(1..).unwrap_or_default())
        }
        (_, [_, "providers", namespace, kind, rest @ ..])
            if rest.len() <= 1
                && let Some(kind) = barren::find(namespace, kind) =>
        {
            let name = rest.first().map(|_| own(5));
            version(kind.0, kind.1).and_then(|_| barren::route(request, kind, Some(own(1)), name))
        }
        ("GET", [name, "providers", _, _]) => {
            let kind = known(own(3), own(4))?;
            list::kind(request, &version(kind.namespace(), kind.name())?, kind, Some(name))
        }
        (_, [_, "providers", _, _, _]) => {
            let kind = known(own(3), own(4))?;
            resource::one(request, &version(kind.namespace(), kind.name())?, kind, own(1), own(5))
        }
        (_, [_, "providers", "microsoft.compute", "virtualmachines", _, "extensions", rest @ ..])
            if rest.len() <= 1 =>
        {
            compute("virtualMachines")?;
            machine::extensions(request, own(1), own(5), rest.first().map(|_| own(7)))
        }
        (_, [_, "providers", "microsoft.compute", "virtualmachines", _, action]) => {
            machine::action(request, &compute("virtualMachines")?, own(1), own(5), action)
        }
        (_, [_, "providers", "microsoft.network", whole, _, list, rest @ ..]) if rest.len() <= 1 => {
            let part = part::Part::find(whole, list).ok_or_else(|| not_found(call))?;
            let version = version("Microsoft.Network", part.kind())?;
            part::route(request, &version, part, own(1), own(5), (!rest.is_empty()).then(|| own(7)))
        }
        _ => Err(not_found(call)),
    }
}

/// Carries a call out for somebody who is known, and whom nobody counts: a deployment.
pub(crate) fn carry_out(
    cloud: &Cloud,
    call: &Call,
    who: &Principal,
    effect: Option<&Effect>,
) -> Result<Answer, ArmError> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let request = Request { cloud, call, who: who.clone(), effect };
    route(&request, &segments, &std::cell::Cell::new(false))
}

fn known(namespace: &str, kind: &str) -> Result<Kind, ArmError> {
    Kind::find(namespace, kind).ok_or_else(|| {
        if crate::cloud::NAMESPACES.iter().any(|n| n.eq_ignore_ascii_case(namespace)) {
            let message =
                format!("The resource type '{kind}' could not be found in the namespace '{namespace}'.");
            ArmError::new(404, "InvalidResourceType", message)
        } else {
            ArmError::new(
                404,
                "InvalidResourceNamespace",
                format!("The resource namespace '{namespace}' is invalid."),
            )
        }
    })
}

fn not_found(call: &Call) -> ArmError {
    ArmError::new(
        404,
        "NotFound",
        format!(
            "No HTTP resource was found that matches the request URI '{}' and method '{}'.",
            call.path, call.method
        ),
    )
}

/// What a call is of, for the log: `Microsoft.Compute/virtualMachines`, `resourceGroups`, `operations`, `token`, …
pub(crate) fn subject(call: &Call) -> String {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let lower: Vec<String> = segments.iter().map(|s| s.to_ascii_lowercase()).collect();
    if lower.iter().any(|s| s == "oauth2") {
        return "token".to_owned();
    }
    if lower.iter().any(|s| s.starts_with("operation") || s == "diskoperations") {
        return "operations".to_owned();
    }
    match lower.iter().rposition(|s| s == "providers") {
        Some(at) if segments.len() > at + 2 => {
            let kind = Kind::find(segments[at + 1], segments[at + 2]).map(Kind::full);
            let kind = kind.unwrap_or_else(|| format!("{}/{}", segments[at + 1], segments[at + 2]));
            // A part, an action.
            segments.get(at + 4).map_or_else(|| kind.clone(), |more| format!("{kind}/{more}"))
        }
        Some(_) => "providers".to_owned(),
        None if lower.get(2).is_some_and(|s| s == "resourcegroups") => "resourceGroups".to_owned(),
        None => segments.get(2).or(segments.first()).map_or_else(String::new, |s| (*s).to_owned()),
    }
}

impl Request<'_> {
    /// Refuses what the caller may not do.
    pub(crate) fn allowed(&self, action: &str, scope: &str) -> Result<(), ArmError> {
        let denies = |pattern: &String| match pattern.strip_suffix('*') {
            Some(front) => action.to_ascii_lowercase().starts_with(&front.to_ascii_lowercase()),
            None => pattern.eq_ignore_ascii_case(action),
        };
        let account = &self.cloud.config.account;
        let granted = account.granted.as_ref();
        let granted = granted.is_none_or(|list| list.iter().any(|one| one.eq_ignore_ascii_case(action)));
        if granted && !account.denied.iter().any(denies) {
            return Ok(());
        }
        Err(ArmError::new(
            403,
            "AuthorizationFailed",
            format!(
                "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope \
                 '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
                self.who.client, self.who.object
            ),
        ))
    }

    /// Refuses tags that ARM refuses.
    pub(crate) fn check_tags(body: &serde_json::Value) -> Result<(), ArmError> {
        let Some(tags) = body["tags"].as_object() else { return Ok(()) };
        if tags.len() > 50 {
            let message = format!(
                "The tags provided have '{}' entries, which exceeds the maximum of '50'.",
                tags.len()
            );
            return Err(ArmError::bad("InvalidTags", message));
        }
        for (name, value) in tags {
            let text = value.as_str().unwrap_or_default();
            if name.is_empty() || name.len() > 512 || name.contains(['<', '>', '%', '&', '\\', '?', '/']) {
                let message = format!(
                    "The tag name '{name}' is invalid. Tag names cannot contain '<', '>', '%', '&', '\\', '?', '/' and can have at most '512' characters."
                );
                return Err(ArmError::bad("InvalidTagNameCharacters", message));
            }
            if text.len() > 256 {
                let message =
                    format!("The value of tag '{name}' exceeds the maximum length of '256' characters.");
                return Err(ArmError::bad("TagValueTooLong", message));
            }
        }
        Ok(())
    }
}

/// An empty answer's body for a HEAD.
pub(crate) fn existence(there: bool) -> Answer {
    Answer { status: if there { 204 } else { 404 }, body: (!there).then(|| json!({})), ..Answer::default() }
}
