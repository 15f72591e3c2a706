//! Signing in: Entra, AD FS and the metadata service hand out tokens; Resource Manager looks at what it is shown.

mod adfs;
mod assertion;
mod entra;
mod metadata;
mod token;

pub use metadata::IDENTITY_HEADER;
pub(crate) use metadata::handle as metadata;
pub(crate) use token::{Principal, Signer, authenticate, ci_claims};

use crate::cloud::Cloud;
use crate::flavour::IdentitySystem;
use crate::http::{Answer, Call};

/// Another tenant, that exists and knows the application too: tokens of it are of no use to the subscription.
pub const OTHER_TENANT: &str = "9e0d1c2b-3a49-4586-9770-b1c2d3e4f506";

/// Answers what is for the identity system, and nothing else.
pub(crate) fn route(cloud: &Cloud, call: &Call) -> Option<Answer> {
    let arm = call.host.starts_with("management.");
    let lower: Vec<String> = call.segments.iter().map(|s| s.to_ascii_lowercase()).collect();
    let parts: Vec<&str> = lower.iter().map(String::as_str).collect();
    if arm || parts.first() == Some(&"subscriptions") || parts.first() == Some(&"metadata") {
        return None;
    }
    let answer = match cloud.config.identity {
        IdentitySystem::Adfs => adfs::route(cloud, call, &parts),
        IdentitySystem::Entra => entra::route(cloud, call, &parts),
    };
    // The login host serves nothing else.
    answer.or_else(|| (!call.host.starts_with("127.")).then(|| Answer::empty(404)))
}
