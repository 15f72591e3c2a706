//! What an endpoint is: `GET /metadata/endpoints`, asked without signing in, in every version and shape that clouds and
//! stamps answer with.
//!
//! Read leniently, since one published answer spells a key `portal Endpoint`: names of keys are compared without case
//! and spaces, unknown ones are passed over, and a list is searched for the entry whose resource manager this is. What
//! the audience is stays byte for byte as the endpoint says it: on a stamp it is a name of its own, not an address.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_driver::{Clock, Error, Kind, Result};

use crate::Http;
use crate::http::{safe_url, send};
use crate::keep::Keep;

/// What an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloud {
    /// Where Azure Resource Manager answers, without a slash at the end.
    pub endpoint: String,
    /// What the cloud calls itself, where it does.
    pub name: Option<String>,
    /// Where people sign in, without a slash at the end.
    pub login: String,
    /// Who is asked there.
    pub identity: Identity,
    /// Whom a token must be for.
    pub audience: String,
    /// The tenant that the endpoint names, when it is a certain one.
    pub tenant: Option<String>,
    /// The location of a stamp, which has just one: the first label of its name.
    pub location: Option<String>,
    /// What every name of this cloud ends with.
    pub suffix: String,
}

/// Who signs people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Microsoft Entra, formerly Azure AD.
    Entra,
    /// Active Directory Federation Services of a disconnected stamp. There are no tenants.
    AdFs,
}

/// In this order: the fullest answer first, then what stamps know.
const VERSIONS: [&str; 3] = ["2022-09-01", "2015-01-01", "1.0"];
/// An endpoint hardly ever changes what it is; a command a day asks.
const KEPT: Duration = Duration::from_secs(86_400);
/// Hosts of clouds with many locations.
const MANY_LOCATIONS: [&str; 3] =
    ["management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"];

/// Asks `endpoint` what it is, or takes what it said within the last day.
///
/// # Errors
/// Refused when it is no Azure Resource Manager; unreachable when nobody answers.
pub async fn discover(http: &Http, endpoint: &str, cache: &Path, clock: &dyn Clock) -> Result<Cloud> {
    let endpoint = safe_url(endpoint)?.as_str().trim_end_matches('/').to_owned();
    let keep = Keep::new(cache, "cloud", &endpoint);
    if let Some(cloud) = keep.read(clock.wall(), KEPT) {
        return Ok(cloud);
    }
    let cloud = ask(http, &endpoint).await?;
    keep.write(clock.wall(), &cloud);
    Ok(cloud)
}

async fn ask(http: &Http, endpoint: &str) -> Result<Cloud> {
    let mut answers = Vec::new();
    for version in VERSIONS {
        let url = format!("{endpoint}/metadata/endpoints?api-version={version}");
        let raw = send("asking the endpoint what it is", http.client.get(url)).await?;
        if raw.status >= 500 || raw.status == 429 {
            let message = format!("the endpoint {endpoint} answers with status {} only", raw.status);
            return Err(Error::new(Kind::Transient, message));
        }
        match raw.is_success().then(|| parse(endpoint, &raw.json())).flatten() {
            Some(cloud) => return Ok(cloud),
            None => answers.push(format!("{version}: status {}", raw.status)),
        }
    }
    let message = format!("{endpoint} is no Azure Resource Manager: it does not say where people sign in");
    Err(Error::new(Kind::Refused, message)
        .fact("answers", answers.join(", "))
        .hint("the endpoint is https://management.azure.com, or https://management.REGION.DOMAIN of a stamp"))
}

/// The cloud in an answer, whatever its shape.
fn parse(endpoint: &str, answer: &Value) -> Option<Cloud> {
    let host = host(endpoint);
    let entries: Vec<Keys> = match answer {
        Value::Array(entries) => entries.iter().map(keys).collect(),
        one => vec![keys(one)],
    };
    let own = entries.iter().position(|keys| {
        text(keys, "resourcemanager").is_some_and(|manager| self::host(&manager).eq_ignore_ascii_case(&host))
    });
    let found = own.or_else(|| (entries.len() == 1).then_some(0))?;
    let found = &entries[found];
    let authentication = keys(found.get("authentication")?);
    let said = text(&authentication, "loginendpoint")?;
    let login = safe_url(said.trim()).ok()?.as_str().trim_end_matches('/').to_owned();
    let audience = match authentication.get("audiences")? {
        Value::Array(audiences) => audiences.iter().find_map(Value::as_str)?.to_owned(),
        Value::String(audience) => audience.clone(),
        _ => return None,
    };
    let adfs = login.to_ascii_lowercase().ends_with("/adfs")
        || text(&authentication, "identityprovider").is_some_and(|name| name.eq_ignore_ascii_case("adfs"));
    let many = MANY_LOCATIONS.contains(&host.as_str());
    let suffix = host.strip_prefix("management.").unwrap_or(&host).to_owned();
    let tenant = text(&authentication, "tenant")
        .filter(|tenant| !matches!(tenant.as_str(), "common" | "adfs" | "organizations"));
    Some(Cloud {
        endpoint: endpoint.to_owned(),
        name: text(found, "name"),
        login,
        identity: if adfs { Identity::AdFs } else { Identity::Entra },
        audience,
        tenant,
        location: (!many && host.starts_with("management."))
            .then(|| suffix.split('.').next().unwrap_or_default().to_owned()),
        suffix,
    })
}

type Keys = BTreeMap<String, Value>;

/// The object's keys without case and spaces.
fn keys(value: &Value) -> Keys {
    let object = value.as_object().into_iter().flatten();
    object
        .map(|(key, value)| {
            let key = key.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
            (key, value.clone())
        })
        .collect()
}

fn text(keys: &Keys, key: &str) -> Option<String> {
    keys.get(key)?.as_str().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn host(endpoint: &str) -> String {
    endpoint.parse::<reqwest::Url>().ok().and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_public_cloud_says_everything() {
        let answer = json!([
            {"name": "AzureChinaCloud", "resourceManager": "https://management.chinacloudapi.cn/",
             "authentication": {"loginEndpoint": "https://login.chinacloudapi.cn", "audiences": ["c"]}},
            {"name": "AzureCloud", "portal": "https://portal.azure.com",
             "resourceManager": "https://management.azure.com/",
             "authentication": {"loginEndpoint": "https://login.microsoftonline.com/",
                "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
                "tenant": "common", "identityProvider": "AAD"},
             "suffixes": {"storage": "core.windows.net"}},
        ]);
        let cloud = parse("https://management.azure.com", &answer).unwrap();
        assert_eq!(cloud.login, "https://login.microsoftonline.com");
        assert_eq!(cloud.audience, "https://management.core.windows.net/");
        assert_eq!((cloud.identity, cloud.tenant, cloud.location), (Identity::Entra, None, None));
        assert_eq!(parse("https://management.usgovcloudapi.net", &answer), None, "its entry is missing");
    }

    #[test]
    fn a_stamp_says_little_and_spells_it_oddly() {
        let answer = json!({
            "galleryEndpoint": "https://providers.redmond.fourthcoffee.example:30016/",
            "graphEndpoint": "https://graph.redmond.fourthcoffee.example/",
            "portal Endpoint": "https://portal.redmond.fourthcoffee.example/",
            "Authentication": {"LoginEndpoint": "https://adfs.redmond.fourthcoffee.example/adfs/",
                "audiences": ["https://management.adfs.azurestack.local/8d7a2e59-0000"]},
        });
        let cloud = parse("https://management.redmond.fourthcoffee.example", &answer).unwrap();
        assert_eq!(cloud.identity, Identity::AdFs);
        assert_eq!(cloud.login, "https://adfs.redmond.fourthcoffee.example/adfs");
        assert_eq!(cloud.audience, "https://management.adfs.azurestack.local/8d7a2e59-0000");
        assert_eq!(cloud.location.as_deref(), Some("redmond"));
        assert_eq!(cloud.suffix, "redmond.fourthcoffee.example");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for answer in [
            json!(null),
            json!([]),
            json!({"authentication": {}}),
            json!("<html>"),
            json!({"authentication": {"loginEndpoint": "http://login.example", "audiences": ["a"]}}),
        ] {
            assert_eq!(parse("https://management.x.example", &answer), None, "{answer}");
        }
    }
}
