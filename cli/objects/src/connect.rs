//! From an address and the person's environment to the objects: who signs in, by which way, and whom to believe.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use rustls::{ClientConfig, RootCertStore};
use wharf_core::{Error, Kind, Result};

use crate::address::{Address, Service};

/// How the objects at an address are reached, by what the environment says.
pub type Connect =
    for<'a> fn(&'a Address, &'a BTreeMap<String, String>) -> BoxFuture<'a, Result<Arc<dyn ObjectStore>>>;

/// Who signs calls to S3, beside the keys that an environment may hold.
pub trait SignIn: fmt::Debug + Send + Sync {
    /// What the next call is signed with. Asked before every call: whoever takes long remembers.
    fn keys(&self) -> BoxFuture<'_, Result<AwsCredential>>;

    /// The region, where the address and the environment say none.
    fn region(&self) -> Option<&str>;
}

/// Whether the objects are S3's and `environment` holds no whole key for them.
#[must_use]
pub fn needs_sign_in(address: &Address, environment: &BTreeMap<String, String>) -> bool {
    let says = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let has_key = says("AWS_ACCESS_KEY_ID") && says("AWS_SECRET_ACCESS_KEY");
    address.service == Service::S3 && !has_key && !says("AWS_SKIP_SIGNATURE")
}

/// The objects at `address`. Nothing is asked yet.
///
/// Credentials are read from `environment` by the names that everybody uses: `AWS_ACCESS_KEY_ID` and its like;
/// `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_CLIENT_ID` and its like, or `AZURE_USE_AZURE_CLI=true`. Where S3's are not there,
/// `sign_in` has them; without it, a role of the machine or the job.
///
/// # Errors
/// When the environment does not say enough, or says what is none.
pub fn connect(
    address: &Address,
    environment: &BTreeMap<String, String>,
    sign_in: Option<Arc<dyn SignIn>>,
) -> Result<Arc<dyn ObjectStore>> {
    let connector = Connector { client: client(environment)? };
    let built = match address.service {
        Service::S3 => s3(address, environment, sign_in, connector),
        Service::Azure => azure(address, environment, connector),
    };
    built.map_err(|error| {
        Error::new(Kind::Usage, format!("cannot use `{address}`: {error}"))
            .hint("set the variables that the service's own programs read, such as AWS_REGION or AZURE_STORAGE_ACCOUNT_NAME")
    })
}

fn s3(
    address: &Address,
    environment: &BTreeMap<String, String>,
    sign_in: Option<Arc<dyn SignIn>>,
    connector: Connector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new();
    if let Some(sign_in) = sign_in {
        if let Some(region) = sign_in.region() {
            builder = builder.with_region(region);
        }
        builder = builder.with_credentials(Arc::new(SignedIn(sign_in)));
    }
    for (key, value) in named::<AmazonS3ConfigKey>(environment, "AWS_") {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = address.endpoint.as_ref().or(environment.get("AWS_ENDPOINT_URL_S3")) {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &address.region {
        builder = builder.with_region(region);
    }
    let builder = builder.with_bucket_name(&address.bucket).with_allow_http(true).with_retry(once());
    let builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
    Ok(Arc::new(builder.with_http_connector(connector).build()?))
}

fn azure(
    address: &Address,
    environment: &BTreeMap<String, String>,
    connector: Connector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::new();
    for (key, value) in named::<AzureConfigKey>(environment, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    if let Some(account) = &address.account {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let builder = builder.with_container_name(&address.bucket).with_allow_http(true).with_retry(once());
    Ok(Arc::new(builder.with_http_connector(connector).build()?))
}

/// What of the environment is meant for the service.
fn named<'a, K: std::str::FromStr>(
    environment: &'a BTreeMap<String, String>,
    family: &'a str,
) -> impl Iterator<Item = (K, &'a String)> {
    let meant = environment.iter().filter(move |(name, value)| name.starts_with(family) && !value.is_empty());
    meant.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

/// Trying again is done where it is known what was to be written.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Asks whoever signs in.
#[derive(Debug)]
struct SignedIn(Arc<dyn SignIn>);

#[async_trait]
impl CredentialProvider for SignedIn {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self.0.keys().await {
            Ok(keys) => Ok(Arc::new(keys)),
            Err(error) => Err(object_store::Error::Unauthenticated {
                path: "the shared store".to_owned(),
                source: Box::new(error),
            }),
        }
    }
}

/// Hands out the one client.
#[derive(Debug)]
struct Connector {
    client: reqwest::Client,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.client.clone()))
    }
}

fn client(environment: &BTreeMap<String, String>) -> Result<reqwest::Client> {
    let failed = |error: &dyn fmt::Display| Error::new(Kind::Failed, format!("no HTTP client: {error}"));
    let mut roots = RootCertStore::empty();
    // What of the system's store cannot be read is passed over, as every program does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        // Names of private networks the system often knows alone.
        .no_hickory_dns()
        .user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT);
    let first =
        |names: &[&str]| names.iter().find_map(|name| environment.get(*name)).filter(|v| !v.is_empty());
    if let Some(proxy) = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
        let without = first(&["no_proxy", "NO_PROXY"]).and_then(|list| reqwest::NoProxy::from_string(list));
        let proxy = reqwest::Proxy::all(proxy).map_err(|error| {
            Error::new(Kind::Usage, format!("the proxy `{proxy}` is no address: {error}"))
                .hint("HTTPS_PROXY looks like http://proxy.example:3128")
        })?;
        builder = builder.proxy(proxy.no_proxy(without));
    }
    builder.build().map_err(|e| failed(&e))
}

const CONNECT: Duration = Duration::from_secs(5);
