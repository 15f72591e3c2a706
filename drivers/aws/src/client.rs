//! From a configuration to a connection that is proven to be of the right account. All machines of one command that
//! have the same account and region share it, with its rate limits.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{ConfigBag, Intercept, Region, RuntimeComponents, StalledStreamProtectionConfig};
use aws_sdk_ec2::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat as Format};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient};
use wharf_driver::{Clock, Context, Driver as _, Error, Kind, Profile, Result, Session, Settings};

use crate::Aws;
use crate::config::{Config, region_of};
use crate::credential;
use crate::errors::{self, Trouble};
use crate::observe::Looking;
use crate::offer::Offers;
use crate::throttle::Throttle;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) credentials: SharedCredentialsProvider,
    /// For services whose SDK is not worth its build.
    pub(crate) connector: Connector,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// `aws`, `aws-cn`, `aws-us-gov` and the like.
    pub(crate) partition: String,
    /// Twelve digits.
    pub(crate) account: String,
    /// Who the account knows this person as.
    pub(crate) who: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) looking: Looking,
    pub(crate) offers: Offers,
    dates: Dates,
    throttle: Throttle,
}

impl Connection {
    /// What time it was in the cloud when it answered last.
    pub(crate) fn today(&self) -> SystemTime {
        self.dates.last().unwrap_or_else(|| self.clock.wall())
    }

    /// Calls one action of EC2, when its turn has come.
    pub(crate) async fn call<T, E>(
        &self,
        api: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, Trouble>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.throttle.admit(api).await;
        let answer = errors::sort("ec2", api, call.await);
        let refused = matches!(&answer, Err(Trouble::Said(fault)) if fault.code == "RequestLimitExceeded");
        self.throttle.learn(api, refused);
        answer
    }
}

/// Remembers the date of the last answer.
#[derive(Debug, Clone, Default)]
struct Dates(Arc<Mutex<Option<SystemTime>>>);

impl Dates {
    fn last(&self) -> Option<SystemTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let said = context.response().headers().get("date");
        let date = said.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok());
        let date = date.and_then(|date| u64::try_from(date.secs()).ok());
        if let Some(date) = date {
            let date = UNIX_EPOCH + Duration::from_secs(date);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date);
        }
        Ok(())
    }
}

/// No single answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(15);
/// Where everybody goes who does not say where, as with docker-machine.
pub(crate) const USUAL_REGION: &str = "us-east-1";

type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// The connection for `config`, shared by whoever has the same account and region.
pub(crate) async fn connect(config: &Config, cx: &Context) -> Result<Arc<Connection>> {
    let key = format!("aws {:?} {:?}", config.endpoint, config.region);
    let slot = cx.session.shared::<Slot>(&key, Slot::default);
    let mut slot = slot.lock().await;
    if let Some(connection) = &*slot {
        return Ok(Arc::clone(connection));
    }
    let connection = Arc::new(open(config, cx).await?);
    Ok(Arc::clone(slot.insert(connection)))
}

async fn open(config: &Config, cx: &Context) -> Result<Connection> {
    let profile = cx.session.profile(Aws::ABOUT.name, |set| is_there(config, set));
    let session = &cx.session.at(profile).await?;
    let region = region(config, session, profile).await;
    let way = Way::of(session)?;
    let connector = way.connector(None);
    let https = way.client();
    let provider = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.clone())))
        .with_http_client(https.clone());
    let (credentials, by) = credential::choose(session, &provider, &region).await?;
    tracing::debug!(region, by, who = ?credential::who(session), "signing in");
    let mut shared = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(credentials.clone())
        .http_client(https)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        // Repeating is the business of the layer above, which knows the deadline and who waits.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).connect_timeout(CONNECT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &config.endpoint {
        shared = shared.endpoint_url(endpoint);
    }
    let shared = shared.build();
    let asking = aws_sdk_sts::Client::new(&shared).get_caller_identity().send().await;
    let identity = errors::sort("sts", "GetCallerIdentity", asking).map_err(Error::from)?;
    let who = identity.arn().unwrap_or_default().to_owned();
    let dates = Dates::default();
    let ec2 = aws_sdk_ec2::config::Builder::from(&shared).interceptor(dates.clone()).build();
    Ok(Connection {
        ec2: aws_sdk_ec2::Client::from_conf(ec2),
        dates,
        credentials,
        connector,
        endpoint: config.endpoint.clone(),
        partition: who.split(':').nth(1).unwrap_or("aws").to_owned(),
        account: identity.account().unwrap_or_default().to_owned(),
        who,
        region,
        clock: Arc::clone(session.clock()),
        looking: Looking::default(),
        offers: Offers::default(),
        throttle: Throttle::new(Arc::clone(session.clock())),
    })
}

/// Whether a profile is of the place that the machine is at: what it leaves open fits.
fn is_there(config: &Config, set: &Settings) -> bool {
    let same = |own: Option<&str>, profile: Option<&str>| match (own, profile) {
        (Some(own), Some(profile)) => own == profile,
        _ => true,
    };
    set.text("aws-endpoint-url") == config.endpoint.as_deref()
        && same(config.region.as_deref(), region_of(set).as_deref())
}

async fn region(config: &Config, session: &Session, profile: Option<&Profile>) -> String {
    let said = config.region.clone().or_else(|| profile.and_then(|profile| region_of(&profile.settings)));
    match said {
        Some(region) => region,
        None => region_of_person(session).await.unwrap_or_else(|| USUAL_REGION.to_owned()),
    }
}

/// What the environment or the AWS CLI's files say.
pub(crate) async fn region_of_person(session: &Session) -> Option<String> {
    if let Some(region) = session.var("AWS_REGION").or_else(|| session.var("AWS_DEFAULT_REGION")) {
        return Some(region.to_owned());
    }
    let mut chain = aws_config::profile::ProfileFileRegionProvider::builder();
    if let Some(name) = session.var(credential::PROFILE).or_else(|| session.var("AWS_PROFILE")) {
        chain = chain.profile_name(name);
    }
    let own = aws_config::meta::region::ProvideRegion::region(&chain.build()).await;
    own.map(|region| region.to_string())
}

/// How connections are made: with ring, by the system's authorities and those of `AWS_CA_BUNDLE`, and by the proxy that
/// every other program of this person takes.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    tls: TlsContext,
    proxy: ProxyConfig,
}

impl Way {
    pub(crate) fn of(session: &Session) -> Result<Self> {
        let mut roots = TrustStore::empty().with_native_roots(true);
        if let Some(file) = session.var("AWS_CA_BUNDLE") {
            let pem = std::fs::read(file).map_err(|error| {
                Error::new(Kind::Refused, format!("cannot read the authorities in {file}: {error}"))
                    .hint("AWS_CA_BUNDLE names a file with lines -----BEGIN CERTIFICATE-----")
                    .caused_by(error)
            })?;
            roots = roots.with_pem_certificate(pem);
        }
        let tls = TlsContext::builder().with_trust_store(roots).build();
        let tls = tls.map_err(|error| Error::new(Kind::Refused, format!("no HTTPS: {error}")))?;
        Ok(Self { tls, proxy: proxy(session)? })
    }

    /// For the SDK's own calls.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let way = self.clone();
        Builder::new().build_with_connector_fn(move |settings, _| way.connector(settings.cloned()))
    }

    fn connector(&self, settings: Option<HttpConnectorSettings>) -> Connector {
        let builder = Connector::builder().proxy_config(self.proxy.clone());
        let builder = match settings {
            Some(settings) => builder.connector_settings(settings),
            None => builder.connector_settings(
                HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(PATIENCE).build(),
            ),
        };
        let ring = tls::Provider::Rustls(CryptoMode::Ring);
        builder.tls_provider(ring).tls_context(self.tls.clone()).build()
    }
}

fn proxy(session: &Session) -> Result<ProxyConfig> {
    let first = |names: &[&str]| names.iter().find_map(|name| session.var(name)).map(str::to_owned);
    let Some(url) = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) else {
        return Ok(ProxyConfig::disabled());
    };
    let proxy = ProxyConfig::all(url.clone()).map_err(|error| {
        Error::new(Kind::Refused, format!("the proxy `{url}` is no address: {error}"))
            .hint("HTTPS_PROXY looks like http://proxy.example:3128")
    })?;
    Ok(match first(&["no_proxy", "NO_PROXY"]) {
        Some(without) => proxy.no_proxy(without),
        None => proxy,
    })
}
