//! What a client learns before it knows anything: endpoints, tenants, the subscription and its locations.

use serde_json::{Value, json};

use super::{Request, Version};
use crate::cloud::Cloud;
use crate::error::ArmError;
use crate::flavour::IdentitySystem;
use crate::http::{Answer, Call};
use crate::resource::view;

/// `GET /metadata/endpoints`, in the shape of the version asked for.
pub(super) fn endpoints(cloud: &Cloud, call: &Call) -> Answer {
    if call.method != "GET" {
        return ArmError::new(405, "MethodNotAllowed", "The method is not allowed.").into();
    }
    match call.parameter("api-version") {
        Some("2015-01-01" | "1.0") => Answer::json(200, old(cloud)),
        Some("2019-05-01" | "2019-10-01" | "2020-06-01") if !cloud.flavour().is_hub() => {
            Answer::json(200, json!([new(cloud)]))
        }
        Some("2022-09-01" | "2023-11-01") if !cloud.flavour().is_hub() => Answer::json(200, new(cloud)),
        Some(other) => {
            let versions =
                if cloud.flavour().is_hub() { "2015-01-01" } else { "2015-01-01,2019-05-01,2022-09-01" };
            let message =
                format!("The api-version '{other}' is invalid. The supported versions are '{versions}'.");
            ArmError::bad("InvalidApiVersionParameter", message).into()
        }
        None => ArmError::bad(
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
        .into(),
    }
}

fn login(cloud: &Cloud) -> String {
    // The real ones end in a slash, AD FS's does not.
    let login = &cloud.names.login;
    if cloud.config.identity == IdentitySystem::Adfs { login.clone() } else { format!("{login}/") }
}

fn old(cloud: &Cloud) -> Value {
    let suffix = &cloud.names.suffix;
    json!({
        "galleryEndpoint": format!("https://gallery.{suffix}/"),
        "graphEndpoint": format!("https://graph.{suffix}/"),
        "portalEndpoint": format!("https://portal.{suffix}/"),
        "authentication": {"loginEndpoint": login(cloud), "audiences": [cloud.names.audiences[0]]},
    })
}

fn new(cloud: &Cloud) -> Value {
    let suffix = &cloud.names.suffix;
    let identity = if cloud.config.identity == IdentitySystem::Adfs { "ADFS" } else { "AAD" };
    json!({
        "portal": format!("https://portal.{suffix}"),
        "authentication": {
            "loginEndpoint": login(cloud),
            "audiences": cloud.names.audiences.iter().take(2).collect::<Vec<_>>(),
            "tenant": "common",
            "identityProvider": identity,
        },
        "media": format!("https://rest.media.{suffix}"),
        "graphAudience": format!("https://graph.{suffix}/"),
        "graph": format!("https://graph.{suffix}/"),
        "name": cloud.flavour().cloud_name(),
        "suffixes": {
            "storage": format!("core.{suffix}"),
            "keyVaultDns": format!("vault.{suffix}"),
            "acrLoginServer": "azurecr.io",
            "sqlServerHostname": format!("database.{suffix}"),
        },
        "batch": format!("https://batch.core.{suffix}/"),
        "resourceManager": format!("{}/", cloud.names.arm),
        "vmImageAliasDoc": format!("https://raw.{suffix}/aliases.json"),
        "activeDirectoryDataLake": format!("https://datalake.{suffix}/"),
        "sqlManagement": format!("https://sql.{suffix}:8443/"),
        "gallery": format!("https://gallery.{suffix}/"),
    })
}

/// The one subscription there is.
pub(super) fn subscription(cloud: &Cloud, version: &Version) -> Answer {
    let list = subscriptions(cloud, version).body.unwrap_or_default();
    Answer::json(200, list["value"][0].clone())
}

fn subscription_body(cloud: &Cloud) -> Value {
    let account = &cloud.config.account;
    json!({
        "id": format!("/subscriptions/{}", account.subscription),
        "subscriptionId": account.subscription,
        "displayName": "Simulated",
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off",
        },
        "authorizationSource": "RoleBased",
        "tenantId": account.tenant,
    })
}

/// Every subscription that the caller sees.
pub(super) fn subscriptions(cloud: &Cloud, version: &Version) -> Answer {
    let seen = (!cloud.config.account.without_role).then(|| subscription_body(cloud));
    let list = json!({"value": seen.into_iter().collect::<Vec<_>>()});
    Answer::json(200, view::show_route("resources", &version.version, "/subscriptions", &list))
}

/// Every tenant that the caller sees.
pub(super) fn tenants(cloud: &Cloud) -> Answer {
    let tenant = &cloud.config.account.tenant;
    Answer::list(vec![json!({"id": format!("/tenants/{tenant}"), "tenantId": tenant})])
}

/// Where the subscription may make things.
pub(super) fn locations(cloud: &Cloud) -> Answer {
    let subscription = &cloud.config.account.subscription;
    let one = |(name, shown): &(&str, &str)| {
        json!({
            "id": format!("/subscriptions/{subscription}/locations/{name}"),
            "name": name, "displayName": shown, "latitude": "0", "longitude": "0",
        })
    };
    Answer::list(cloud.flavour().locations().iter().map(one))
}

/// Refuses another subscription than the one there is, and a token of another tenant.
pub(super) fn check_subscription(request: &Request<'_>, id: &str) -> Result<(), ArmError> {
    let account = &request.cloud.config.account;
    let form = id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if !form {
        let message = format!("The provided subscription identifier '{id}' is malformed or invalid.");
        return Err(ArmError::bad("InvalidSubscriptionId", message));
    }
    if account.without_role || !id.eq_ignore_ascii_case(&account.subscription) {
        let message = format!("The subscription '{id}' could not be found.");
        return Err(ArmError::new(404, "SubscriptionNotFound", message));
    }
    if request.who.tenant == account.tenant {
        return Ok(());
    }
    let (theirs, ours) = (&request.who.tenant, &account.tenant);
    let root = request.cloud.names.login_root();
    Err(ArmError::new(
        401,
        "InvalidAuthenticationTokenTenant",
        format!(
            "The access token is from the wrong issuer 'https://sts.windows.net/{theirs}/'. It must match the tenant \
             'https://sts.windows.net/{ours}/' associated with this subscription. Please use the authority (URL) \
             '{root}/{ours}' to get the token. Note, if the subscription is transferred to another tenant there is no \
             impact to the services, but information about new tenant could take time to propagate (up to an hour). If \
             you just transferred your subscription and see this error message, please try back later."
        ),
    )
    .header(
        "www-authenticate",
        format!(
            "Bearer authorization_uri=\"{root}/{ours}\", error=\"invalid_token\", error_description=\"The access token \
             is from the wrong issuer. It must match the tenant associated with this subscription.\""
        ),
    ))
}
