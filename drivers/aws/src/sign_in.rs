//! Signing calls of other services than EC2, with the keys that machines are made with.

use std::time::{Duration, SystemTime};

use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_ec2::config::Region;
use wharf_driver::{Result, Secret, Session};

use crate::client::{USUAL_REGION, Way, region_of_person};
use crate::{credential, errors};

/// Whoever the AWS CLI would sign in as.
#[derive(Debug)]
pub struct SignIn {
    provider: SharedCredentialsProvider,
    region: Option<String>,
    last: tokio::sync::Mutex<Option<Credentials>>,
}

/// What a call is signed with.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// Its secret.
    pub secret: Secret<String>,
    /// The token of a session, where these keys belong to one.
    pub token: Option<Secret<String>>,
}

impl SignIn {
    /// As the environment and the files of the AWS CLI say. Nobody is asked for keys yet.
    ///
    /// # Errors
    /// Not allowed when only one half of a key is set; refused when the authorities or the proxy are none.
    pub async fn of(session: &Session) -> Result<Self> {
        let region = region_of_person(session).await;
        let usual = region.clone().unwrap_or_else(|| USUAL_REGION.to_owned());
        let way = Way::of(session)?;
        let config = ProviderConfig::without_region()
            .with_region(Some(Region::new(usual.clone())))
            .with_http_client(way.client());
        let (provider, by) = credential::choose(session, &config, &usual).await?;
        tracing::debug!(by, who = ?credential::who(session), "signing in for a shared store");
        Ok(Self { provider, region, last: tokio::sync::Mutex::default() })
    }

    /// The region of the person or the profile, where one says so.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Keys that are good for some minutes more. Asked for anew when those from the last time are about to end.
    ///
    /// # Errors
    /// Not allowed when there are none.
    pub async fn keys(&self) -> Result<Keys> {
        let mut last = self.last.lock().await;
        if let Some(credentials) = last.as_ref().filter(|one| lasts(one)) {
            return Ok(Keys::of(credentials));
        }
        let found = self.provider.provide_credentials().await;
        let credentials = found.map_err(|error| errors::no_credentials(&error))?;
        Ok(Keys::of(last.insert(credentials)))
    }
}

impl Keys {
    fn of(credentials: &Credentials) -> Self {
        Self {
            id: credentials.access_key_id().to_owned(),
            secret: Secret::new(credentials.secret_access_key().to_owned()),
            token: credentials.session_token().map(|token| Secret::new(token.to_owned())),
        }
    }
}

fn lasts(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|end| SystemTime::now() + AHEAD < end)
}

/// A call that is signed now may be sent again for as long.
const AHEAD: Duration = Duration::from_secs(5 * 60);
