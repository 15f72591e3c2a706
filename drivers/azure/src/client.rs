//! From a configuration to a connection that is proven to be of the right account. All machines of one command that
//! have the same account share it, with its token and its rate limits.

use std::sync::Arc;

use serde_json::Value;
use wharf_arm::{Arm, Call, Cloud, Http, Identity, Proxies, SignIn, Trust, ask_tenant, discover};
use wharf_driver::{Context, Driver as _, Error, Kind, Profile, Result, Session, Settings};

use crate::Azure;
use crate::config::{Config, endpoint};
use crate::credential::{self, Way};
use crate::kind::{SUBSCRIPTIONS, TESTED};

/// A connection and what goes out without a token, such as the download of a console.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) arm: Arm,
    pub(crate) http: Http,
    /// The tenant that the subscription says it is of; stamps with AD FS have none.
    pub(crate) tenant: Option<String>,
    /// How the person signed in, and to which tenant, where there are tenants.
    pub(crate) way: Way,
    pub(crate) signed_in_to: Option<String>,
}

type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// The connection for `config`, shared by whoever has the same account.
pub(crate) async fn connect(config: &Config, cx: &Context) -> Result<Arc<Connection>> {
    let account = format!(
        "azure {} {:?} {:?} {:?}",
        config.endpoint, config.tenant, config.subscription, config.authority
    );
    let slot = cx.session.shared::<Slot>(&account, Slot::default);
    let mut slot = slot.lock().await;
    if let Some(connection) = &*slot {
        return Ok(Arc::clone(connection));
    }
    let connection = Arc::new(open(config, cx).await?);
    Ok(Arc::clone(slot.insert(connection)))
}

async fn open(config: &Config, cx: &Context) -> Result<Connection> {
    let profile = cx.session.profile(Azure::ABOUT.name, |set| is_there(config, set));
    let session = &cx.session.at(profile).await?;
    let trust = trust(config, profile, session);
    let http = trust.client()?;
    let cloud = discover(&http, &config.endpoint, &cx.places.cache, &**session.clock()).await?;
    let tenant = tenant(config, &http, &cloud).await?;
    let (way, credential) = credential::choose(session)?;
    tracing::debug!(endpoint = cloud.endpoint, by = credential.describe(), "signing in");
    let sign_in = SignIn::new(http.clone(), cloud.clone(), tenant.clone(), credential, session.clone());
    let sign_in = Arc::new(sign_in);
    let subscription = match &config.subscription {
        Some(subscription) => subscription.clone(),
        None => only_subscription(&http, &sign_in, &cloud, session).await?,
    };
    let connecting =
        Arm::connect(http.clone(), sign_in, cloud, subscription, TESTED, &cx.places.cache, session.clone());
    let arm = connecting.await?;
    let signed_in_to = tenant;
    let tenant = check(&arm, signed_in_to.as_deref()).await?;
    Ok(Connection { arm, http, tenant, way, signed_in_to })
}

/// Whether a profile is of the place that the machine is at: what it leaves open fits.
fn is_there(config: &Config, set: &Settings) -> bool {
    let same = |flag: &str, own: Option<&str>| match (set.text(flag), own) {
        (Some(profile), Some(own)) => profile.eq_ignore_ascii_case(own),
        _ => true,
    };
    endpoint(set).is_ok_and(|endpoint| endpoint.eq_ignore_ascii_case(&config.endpoint))
        && same("azure-subscription-id", config.subscription.as_deref())
        && same("azure-tenant-id", config.tenant.as_deref())
}

/// What this computer needs to get there: what the person says, else what the machine was made with.
fn trust(config: &Config, profile: Option<&Profile>, session: &Session) -> Trust {
    let own = profile.and_then(|profile| profile.settings.path("azure-ca"));
    let authority = own.or_else(|| config.authority.clone());
    let mut proxies = Proxies::of(session);
    if let Some(own) = session.var("AZURE_PROXY") {
        proxies.proxy = Some(own.to_owned());
    }
    Trust { authority, proxies }
}

async fn tenant(config: &Config, http: &Http, cloud: &Cloud) -> Result<Option<String>> {
    if cloud.identity == Identity::AdFs {
        return Ok(None);
    }
    if let Some(tenant) = config.tenant.as_ref().or(cloud.tenant.as_ref()) {
        return Ok(Some(tenant.clone()));
    }
    match &config.subscription {
        Some(subscription) => ask_tenant(http, cloud, subscription).await.map(Some),
        None => Ok(None),
    }
}

/// The subscription is there, enabled, and of the tenant that was named; its tenant.
async fn check(arm: &Arm, tenant: Option<&str>) -> Result<Option<String>> {
    let path = format!("/subscriptions/{}", arm.subscription());
    let found = arm.find(&Call::get("reading the subscription", SUBSCRIPTIONS, &path)).await?;
    let hint = "check --azure-subscription-id, and that the account has a role there; `az account list` shows what it sees";
    let Some(found) = found else {
        let message = format!("there is no subscription `{}` that this account sees", arm.subscription());
        return Err(Error::new(Kind::NotAllowed, message)
            .fact("endpoint", arm.cloud().endpoint.clone())
            .hint(hint));
    };
    if let Some(state) =
        found["state"].as_str().filter(|state| !["Enabled", "Warned", "PastDue"].contains(state))
    {
        let message = format!("the subscription `{}` is `{state}`", arm.subscription());
        return Err(Error::new(Kind::NotAllowed, message).hint("enable it, or use another one"));
    }
    match (found["tenantId"].as_str(), tenant) {
        // A tenant may be named by its domain as well.
        (Some(real), Some(named))
            if named.contains('-') && !named.contains('.') && !real.eq_ignore_ascii_case(named) =>
        {
            let message =
                format!("the subscription `{}` is of tenant {real}, and not of {named}", arm.subscription());
            Err(Error::new(Kind::NotAllowed, message).hint("name the right one with --azure-tenant-id"))
        }
        (real, _) => Ok(real.filter(|_| tenant.is_some()).map(str::to_owned)),
    }
}

/// The one subscription that the account sees.
async fn only_subscription(
    http: &Http,
    sign_in: &Arc<SignIn>,
    cloud: &Cloud,
    session: &Session,
) -> Result<String> {
    let found = wharf_arm::subscriptions(http, sign_in, cloud, session).await?;
    let id = |one: &Value| one["subscriptionId"].as_str().map(str::to_owned);
    let name = |one: &Value| {
        format!(
            "{} ({})",
            one["subscriptionId"].as_str().unwrap_or("?"),
            one["displayName"].as_str().unwrap_or("?")
        )
    };
    let hint = "name one with --azure-subscription-id or AZURE_SUBSCRIPTION_ID";
    match found.as_slice() {
        [only] => id(only)
            .ok_or_else(|| Error::new(Kind::Failed, "the list of subscriptions holds one without an id")),
        [] => Err(Error::new(Kind::NotAllowed, "the account sees no subscription")
            .hint("ask for a role on one, and name it with --azure-subscription-id")),
        several => {
            let names: Vec<_> = several.iter().map(name).collect();
            Err(Error::new(
                Kind::Refused,
                format!("which subscription? The account sees {}", names.join(", ")),
            )
            .hint(hint))
        }
    }
}
