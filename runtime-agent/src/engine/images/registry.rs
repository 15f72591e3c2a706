//! What is only asked of registries: whether a login is right, and what a name means there.

use super::Images;
use super::pull::{more_telling, pull_error};
use crate::engine::error::{Error, Kind, Result};
use crate::registry::manifest::{Parsed, Platform};
use crate::registry::{self, Credentials, Reference};
use crate::store::Digest;

/// What a reference names in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) platforms: Vec<Platform>,
}

impl Images {
    /// Asks the registry whether it knows the user. The answer stands for the password from now on, unless it is empty.
    pub(crate) async fn sign_in(&self, credentials: &Credentials) -> Result<String> {
        let mut last = None;
        for session in self.shared.registries.login_sessions(credentials)? {
            match session.ping().await {
                Ok(()) => return Ok(session.identity_token()),
                Err(error) => last = more_telling(last, error),
            }
        }
        Err(match last {
            Some(error @ registry::Error::Refused { .. }) if error.is_absence() => {
                Error::new(Kind::Unauthorized, error.to_string())
            }
            Some(error) => error.into(),
            None => Error::invalid("no registry to sign in to"),
        })
    }

    /// Looks a name up without pulling it.
    pub(crate) async fn describe(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Described> {
        let mut last = None;
        for session in self.shared.registries.sessions(&reference.repository, credentials)? {
            match describe_at(&session, reference).await {
                Ok(described) => return Ok(described),
                Err(error) => last = more_telling(last, error),
            }
        }
        Err(last.map_or_else(|| Error::invalid("no registry to ask"), |error| pull_error(error, reference)))
    }
}

async fn describe_at(session: &registry::Session, reference: &Reference) -> registry::Result<Described> {
    let fetched = session.manifest(&reference.wanted()).await?;
    let platforms = match Parsed::read(&fetched.media_type, &fetched.bytes)? {
        Parsed::Index(index) => {
            index.manifests.into_iter().filter_map(|descriptor| descriptor.platform).collect()
        }
        Parsed::Image(manifest) => {
            let config = session.configuration(&manifest.config).await?;
            serde_json::from_slice::<Platform>(&config).into_iter().collect()
        }
    };
    let size = fetched.bytes.len() as u64;
    Ok(Described { media_type: fetched.media_type, digest: fetched.digest, size, platforms })
}
