//! From a configuration to a connection that is proven to be of the right account. All machines of one command that
//! have the same account share it, with its token and its rate limits.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use wharf_arm::{
    Arm, Call, Cloud, Credential, Federation, Http, Identity, Proxies, SignIn, Trust, ask_tenant, discover,
};
use wharf_driver::{Context, Error, Kind, Result, Session};

use crate::config::{Config, Way};
use crate::kind::{SUBSCRIPTIONS, TESTED};

/// The application that `az` itself signs people in as, where no other one is named.
const USUAL_CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// A connection and what goes out without a token, such as the download of a console.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) arm: Arm,
    pub(crate) http: Http,
    /// The tenant that the subscription says it is of; stamps with AD FS have none.
    pub(crate) tenant: Option<String>,
}

type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// The connection for `config`, shared by whoever has the same account.
pub(crate) async fn connect(config: &Config, cx: &Context) -> Result<Arc<Connection>> {
    let account = format!(
        "azure {} {:?} {:?} {:?} {:?}",
        config.endpoint, config.tenant, config.subscription, config.authority, config.sign_in
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
    let session = &cx.session;
    let trust = Trust { authority: config.authority.clone(), proxies: Proxies::of(session) };
    let http = trust.client()?;
    let cloud = discover(&http, &config.endpoint, &cx.places.cache, &**session.clock()).await?;
    let tenant = tenant(config, &http, &cloud).await?;
    let credential = credential(config.sign_in, session)?;
    tracing::debug!(endpoint = cloud.endpoint, by = credential.describe(), "signing in");
    let sign_in = SignIn::new(http.clone(), cloud.clone(), tenant.clone(), credential, session.clone());
    let sign_in = Arc::new(sign_in);
    let subscription = match &config.subscription {
        Some(subscription) => subscription.clone(),
        None => only_subscription(&http, &sign_in, &cloud, cx).await?,
    };
    let connecting =
        Arm::connect(http.clone(), sign_in, cloud, subscription, TESTED, &cx.places.cache, session.clone());
    let arm = connecting.await?;
    let tenant = check(&arm, tenant.as_deref()).await?;
    Ok(Connection { arm, http, tenant })
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
    cx: &Context,
) -> Result<String> {
    let found = wharf_arm::subscriptions(http, sign_in, cloud, &cx.session).await?;
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

/// What the person signs in with: the way that was chosen, else the first one that the environment is complete for.
fn credential(way: Option<Way>, session: &Session) -> Result<Credential> {
    if let Some(way) = way {
        return by(way, session);
    }
    let has = |name: &str| session.var(name).is_some();
    let way = if has("AZURE_CLIENT_ID") && has("AZURE_CLIENT_SECRET") {
        Way::Secret
    } else if has("AZURE_CLIENT_ID") && has("AZURE_CLIENT_CERTIFICATE_PATH") {
        Way::Certificate
    } else if has("AZURE_CLIENT_ID")
        && (has("AZURE_FEDERATED_TOKEN_FILE") || has("ACTIONS_ID_TOKEN_REQUEST_URL"))
    {
        Way::Workload
    } else if has("IDENTITY_ENDPOINT") {
        Way::ManagedIdentity
    } else if az(session).is_some() || !session.has_person() {
        Way::Az
    } else {
        Way::Device
    };
    by(way, session)
}

fn by(way: Way, session: &Session) -> Result<Credential> {
    let need = |name: &'static str| {
        session.var(name).map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::NotAllowed, format!("{name} is not set, and signing in needs it"))
                .hint(format!("set {name}, or choose another way with --azure-auth"))
        })
    };
    let secret = |name: &'static str| need(name).map(wharf_driver::Secret::new);
    Ok(match way {
        Way::Secret => {
            Credential::Secret { client: need("AZURE_CLIENT_ID")?, secret: secret("AZURE_CLIENT_SECRET")? }
        }
        Way::Certificate => Credential::Certificate {
            client: need("AZURE_CLIENT_ID")?,
            file: need("AZURE_CLIENT_CERTIFICATE_PATH")?.into(),
        },
        Way::Workload => {
            let from = match session.var("AZURE_FEDERATED_TOKEN_FILE") {
                Some(file) => Federation::File(file.into()),
                None => Federation::Service {
                    url: need("ACTIONS_ID_TOKEN_REQUEST_URL")?,
                    bearer: secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
                },
            };
            Credential::Federated { client: need("AZURE_CLIENT_ID")?, from }
        }
        Way::ManagedIdentity => Credential::Managed {
            client: session.var("AZURE_CLIENT_ID").map(str::to_owned),
            service: match session.var("IDENTITY_ENDPOINT") {
                Some(url) => Some((url.to_owned(), secret("IDENTITY_HEADER")?)),
                None => None,
            },
        },
        Way::Az => Credential::AzureCli { program: az(session).unwrap_or_else(|| "az".into()) },
        Way::Device => {
            Credential::Device { client: session.var("AZURE_CLIENT_ID").unwrap_or(USUAL_CLIENT).to_owned() }
        }
    })
}

/// The Azure CLI on the person's PATH.
fn az(session: &Session) -> Option<PathBuf> {
    let folders = std::env::split_paths(session.var("PATH")?);
    folders.map(|folder| folder.join("az")).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn session(set: &[(&str, &str)]) -> Session {
        let set: BTreeMap<_, _> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Session::default().with_environment(set)
    }

    #[test]
    fn the_first_complete_way_is_taken() {
        let way = |set: &[(&str, &str)]| credential(None, &session(set)).unwrap().describe();
        let both =
            [("AZURE_CLIENT_ID", "a"), ("AZURE_CLIENT_SECRET", "s"), ("AZURE_CLIENT_CERTIFICATE_PATH", "c")];
        assert_eq!(way(&both), "the service principal's secret");
        assert_eq!(way(&[both[0], both[2]]), "the service principal's certificate");
        assert_eq!(way(&[both[0], ("AZURE_FEDERATED_TOKEN_FILE", "f")]), "the federated token");
        assert_eq!(
            way(&[("IDENTITY_ENDPOINT", "http://x"), ("IDENTITY_HEADER", "h")]),
            "the managed identity"
        );
        assert_eq!(way(&[]), "`az login`");
        let person = session(&[]).with_person(|_| {});
        assert_eq!(credential(None, &person).unwrap().describe(), "the device code");
    }

    #[test]
    fn a_chosen_way_names_what_it_misses() {
        let error = by(Way::Secret, &session(&[("AZURE_CLIENT_ID", "a")])).unwrap_err();
        assert_eq!(error.kind(), Kind::NotAllowed);
        assert!(error.to_string().starts_with("AZURE_CLIENT_SECRET is not set"));
    }
}
