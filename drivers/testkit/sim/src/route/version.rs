//! The api-version that a request asks for, and whether this cloud has it.

use crate::cloud::Cloud;
use crate::description::Description;
use crate::error::ArmError;
use crate::http::Call;

/// A version that this cloud has.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) version: String,
    /// No description is of exactly this version: its neighbour's is used.
    pub(crate) neighbour: bool,
}

/// The version that `call` asks for, if `namespace`/`kind` has it here.
pub(super) fn choose(cloud: &Cloud, call: &Call, namespace: &str, kind: &str) -> Result<Version, ArmError> {
    let Some(asked) = call.parameter("api-version").filter(|v| !v.is_empty()) else {
        return Err(ArmError::bad(
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    };
    let types = cloud.advertised.get(namespace);
    let versions = types.and_then(|types| types.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)));
    let Some((name, versions)) = versions else {
        let message = format!(
            "The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{asked}'."
        );
        return Err(ArmError::bad("InvalidResourceType", message));
    };
    if !versions.iter().any(|version| version == asked) {
        return Err(refuse(cloud, namespace, name, asked, versions));
    }
    let provider = namespace.trim_start_matches("Microsoft.").to_ascii_lowercase();
    let described = Description::find(&provider, name, asked).is_none_or(|found| found.version == asked);
    Ok(Version { version: asked.to_owned(), neighbour: !described })
}

fn refuse(cloud: &Cloud, namespace: &str, kind: &str, asked: &str, versions: &[String]) -> ArmError {
    let supported = versions.join(", ");
    if !is_date(asked) {
        return ArmError::bad(
            "InvalidApiVersionParameter",
            format!(
                "The api-version '{asked}' is invalid. The supported versions are '{}'.",
                versions.join(",")
            ),
        );
    }
    if namespace == "Microsoft.Resources" {
        return ArmError::bad(
            "InvalidApiVersionParameter",
            format!(
                "The api-version '{asked}' is invalid. The supported versions are '{}'.",
                versions.join(",")
            ),
        );
    }
    let locations: Vec<_> = cloud.flavour().locations().iter().map(|(name, _)| *name).collect();
    ArmError::bad(
        "NoRegisteredProviderFound",
        format!(
            "No registered resource provider found for location '{}' and API version '{asked}' for type '{kind}'. The \
             supported api-versions are '{supported}'. The supported locations are '{}'.",
            locations[0],
            locations.join(", ")
        ),
    )
}

fn is_date(version: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let mut parts = version.splitn(4, '-');
    let (year, month, day) =
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    year.len() == 4 && month.len() == 2 && day.len() == 2 && digits(year) && digits(month) && digits(day)
}
