//! Kinds that the real cloud has and this one can make none of: their lists are empty, as in an account that never used
//! them, and a write says that it isn't simulated instead of pretending.

use super::{Request, list};
use crate::error::{ArmError, resource_not_found};
use crate::http::Answer;

const KINDS: &[(&str, &str)] = &[
    ("Microsoft.Compute", "diskEncryptionSets"),
    ("Microsoft.Compute", "galleries"),
    ("Microsoft.Compute", "images"),
    ("Microsoft.Compute", "snapshots"),
    ("Microsoft.Compute", "sshPublicKeys"),
    ("Microsoft.Compute", "virtualMachineScaleSets"),
    ("Microsoft.Network", "applicationSecurityGroups"),
    ("Microsoft.Network", "loadBalancers"),
    ("Microsoft.Network", "natGateways"),
    ("Microsoft.Network", "routeTables"),
    ("Microsoft.Storage", "storageAccounts"),
];

/// The proper names of a kind that is barren, for any way of writing it.
pub(super) fn find(namespace: &str, kind: &str) -> Option<(&'static str, &'static str)> {
    let same = |(n, k): &&(&str, &str)| n.eq_ignore_ascii_case(namespace) && k.eq_ignore_ascii_case(kind);
    KINDS.iter().find(same).copied()
}

/// A list, or one of them.
pub(super) fn route(
    request: &Request<'_>,
    (namespace, kind): (&str, &str),
    group: Option<&str>,
    name: Option<&str>,
) -> Result<Answer, ArmError> {
    if let Some(group) = group {
        list::known_group(&request.cloud.state(), group)?;
    }
    match (request.call.method.as_str(), name) {
        ("GET", None) => Ok(Answer::list([])),
        ("GET" | "PATCH", Some(name)) => {
            Err(resource_not_found(&format!("{namespace}/{kind}"), name, group.unwrap_or_default()))
        }
        ("HEAD", Some(_)) => Ok(super::existence(false)),
        ("DELETE", Some(_)) => Ok(Answer::empty(204)),
        ("PUT", Some(_)) => Err(ArmError::new(
            501,
            "NotSimulated",
            format!("This simulator makes no resources of the type '{namespace}/{kind}'."),
        )),
        _ => Err(super::not_found(request.call)),
    }
}
