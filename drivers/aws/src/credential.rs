//! Who signs in, as the AWS CLI finds it: a profile that was named, else keys that were set, else everything that the
//! SDK's own chain knows (web identity, profiles, SSO, a credential process, the roles of containers and instances).

use std::collections::BTreeMap;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::Region;
use wharf_driver::{Error, Kind, Result, Session};

use crate::errors::SIGN_IN;

/// The variable under which a profile named by flag or by a place of ours arrives.
pub(crate) const PROFILE: &str = "WHARF_AWS_PROFILE";
const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";

/// The provider, and how it is called in the log.
pub(crate) async fn choose(
    session: &Session,
    config: &ProviderConfig,
    region: &str,
) -> Result<(SharedCredentialsProvider, &'static str)> {
    let region = Region::new(region.to_owned());
    if let Some(profile) = session.var(PROFILE) {
        let named = ProfileFileCredentialsProvider::builder().configure(config).profile_name(profile);
        return Ok((SharedCredentialsProvider::new(named.build()), "a profile that was named"));
    }
    match (session.var(KEY), session.secret(SECRET)) {
        (Some(key), Some(secret)) => {
            let token = session.var(TOKEN).map(str::to_owned);
            let keys = Credentials::new(key, secret.expose().clone(), token, None, "wharf");
            Ok((SharedCredentialsProvider::new(keys), "keys that were set"))
        }
        (Some(_), None) => Err(half(KEY, SECRET)),
        (None, Some(_)) => Err(half(SECRET, KEY)),
        (None, None) => {
            let mut chain = DefaultCredentialsChain::builder().configure(config.clone()).region(region);
            if let Some(profile) = session.var("AWS_PROFILE") {
                chain = chain.profile_name(profile);
            }
            Ok((SharedCredentialsProvider::new(chain.build().await), "the usual chain"))
        }
    }
}

fn half(there: &str, missing: &str) -> Error {
    Error::new(Kind::NotAllowed, format!("{there} is set, and {missing} is not")).hint(SIGN_IN)
}

/// What a session says of where it signs in, for the key of what connections share.
pub(crate) fn who(session: &Session) -> BTreeMap<&'static str, String> {
    [PROFILE, "AWS_PROFILE", KEY]
        .into_iter()
        .filter_map(|name| Some((name, session.var(name)?.to_owned())))
        .collect()
}
