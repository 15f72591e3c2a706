//! One subscription at one endpoint: requests with the right version, token, ids and pace.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use wharf_driver::{Clock, Error, Kind, Result, Session};

use crate::discovery::Cloud;
use crate::http::{Http, Raw, send};
use crate::keep::Keep;
use crate::poller::Poller;
use crate::providers::PROVIDERS;
use crate::sign_in::{SignIn, Token};
use crate::throttle::Throttle;
use crate::versions::{Advertised, Tested, Version, Versions, supported};
use crate::{Answer, Fault, Method, Trouble};

/// What to ask for.
#[derive(Clone)]
pub struct Call<'a> {
    /// What it is for, as the beginning of a sentence: `making the network interface web1-nic`.
    pub doing: &'a str,
    /// The HTTP method.
    pub method: Method,
    /// The type whose version counts: `Microsoft.Network/networkInterfaces`.
    pub kind: &'a str,
    /// The path, from `/subscriptions` on.
    pub path: &'a str,
    /// Beside the api-version.
    pub query: &'a [(&'a str, &'a str)],
    /// The body for a version: fields differ.
    pub body: Option<&'a (dyn Fn(&Version) -> Value + Send + Sync)>,
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null when there is none.
    pub body: Value,
}

/// A connection.
#[derive(Debug)]
pub struct Arm {
    http: Http,
    cloud: Cloud,
    subscription: String,
    sign_in: Arc<SignIn>,
    versions: Versions,
    throttle: Arc<Throttle>,
    pub(crate) poller: Arc<Poller>,
    session: Session,
    keep: Keep,
    /// Held by whoever registers a provider.
    pub(crate) registering: tokio::sync::Mutex<()>,
}

/// An answer that the connections of one command share.
type Answered<T> = tokio::sync::OnceCell<Arc<T>>;

/// What is advertised changes when a stamp is updated; a refusal corrects it sooner.
const KEPT: Duration = Duration::from_secs(86_400);
/// The version that every cloud and stamp has for this.
const SUBSCRIPTIONS: &str = "2016-06-01";
/// A page of a list never leads to more than this many.
const PAGES: usize = 1000;

impl<'a> Call<'a> {
    /// A request without a body.
    #[must_use]
    pub const fn new(method: Method, doing: &'a str, kind: &'a str, path: &'a str) -> Self {
        Self { doing, method, kind, path, query: &[], body: None }
    }

    /// A read.
    #[must_use]
    pub const fn get(doing: &'a str, kind: &'a str, path: &'a str) -> Self {
        Self::new(Method::GET, doing, kind, path)
    }

    /// With a body.
    #[must_use]
    pub fn with(self, body: &'a (dyn Fn(&Version) -> Value + Send + Sync)) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With these beside the api-version.
    #[must_use]
    pub fn asking(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }
}

impl Arm {
    /// Connects as `subscription`: signs in, and finds out which versions there are.
    ///
    /// # Errors
    /// When signing in fails, or the subscription cannot be read.
    pub async fn connect(
        http: Http,
        sign_in: Arc<SignIn>,
        cloud: Cloud,
        subscription: String,
        tested: Tested,
        cache: &Path,
        session: Session,
    ) -> Answer<Self> {
        let clock = Arc::clone(session.clock());
        let place = format!("{}/{subscription}", cloud.endpoint);
        let throttle = session.shared(&place, || Throttle::new(clock));
        let poller = session.shared(&place, Poller::default);
        let versions = Versions::new(tested, Advertised::default());
        let registering = tokio::sync::Mutex::default();
        let keep = Keep::new(cache, "versions", &format!("{} {subscription}", cloud.endpoint));
        let arm = Self {
            http,
            cloud,
            subscription,
            sign_in,
            versions,
            throttle,
            poller,
            session,
            keep,
            registering,
        };
        let now = arm.clock().wall();
        let advertised = match arm.keep.read(now, KEPT) {
            Some(kept) => kept,
            None => {
                let fresh = arm.ask_versions(tested).await?;
                arm.keep.write(now, &fresh);
                fresh
            }
        };
        Ok(Self { versions: Versions::new(tested, advertised), ..arm })
    }

    /// The endpoint.
    #[must_use]
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The subscription's id.
    #[must_use]
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// What the endpoint offers.
    #[must_use]
    pub fn advertised(&self) -> Advertised {
        self.versions.advertised()
    }

    /// The version that a request for `kind` would use now.
    ///
    /// # Errors
    /// Refused when the endpoint offers none that this release knows.
    pub fn version(&self, kind: &str) -> Result<&'static Version> {
        self.versions.choose(kind, &[])
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &**self.session.clock()
    }

    /// What is there; `None` when it is not.
    ///
    /// # Errors
    /// Everything but "not found".
    pub async fn find(&self, call: &Call<'_>) -> Answer<Option<Value>> {
        match self.ask(call).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(Trouble::Said(fault)) if fault.is_not_found() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// [`Arm::find`] for what does not change while a command runs, such as what a place offers: asked for once, however
    /// many of the command's machines want to know. What cannot be had is asked for again.
    ///
    /// # Errors
    /// As [`Arm::find`].
    pub async fn find_once(&self, call: &Call<'_>) -> Answer<Arc<Option<Value>>> {
        let answer = self.session.shared(&self.question(call), Answered::<Option<Value>>::default);
        let found = answer.get_or_try_init(|| async { self.find(call).await.map(Arc::new) }).await?;
        Ok(Arc::clone(found))
    }

    /// [`Arm::list`] in the manner of [`Arm::find_once`].
    ///
    /// # Errors
    /// As [`Arm::list`].
    pub async fn list_once(&self, call: &Call<'_>) -> Answer<Arc<Vec<Value>>> {
        let answer = self.session.shared(&self.question(call), Answered::<Vec<Value>>::default);
        let found = answer.get_or_try_init(|| async { self.list(call).await.map(Arc::new) }).await?;
        Ok(Arc::clone(found))
    }

    /// What tells one question of a command from another.
    fn question(&self, call: &Call<'_>) -> String {
        format!("{}{} {:?}", self.cloud.endpoint, call.path, call.query)
    }

    /// Every entry of a list, page after page.
    ///
    /// # Errors
    /// When any page cannot be had.
    pub async fn list(&self, call: &Call<'_>) -> Answer<Vec<Value>> {
        self.list_with_headers(call).await.map(|(found, _)| found)
    }

    /// [`Arm::list`], with the headers of its first page.
    ///
    /// # Errors
    /// As [`Arm::list`].
    pub async fn list_with_headers(&self, call: &Call<'_>) -> Answer<(Vec<Value>, HeaderMap)> {
        let mut reply = self.ask(call).await?;
        let headers = reply.headers.clone();
        let mut found = Vec::new();
        for _ in 0..PAGES {
            found.extend(reply.body["value"].as_array().into_iter().flatten().cloned());
            let next = reply.body["nextLink"].as_str().filter(|next| self.is_ours(next)).map(str::to_owned);
            let Some(next) = next else { break };
            reply = self.page(call, &next).await?;
        }
        Ok((found, headers))
    }

    /// A write, and what it begins, to its end or to `until`. Registers the provider first where that is missing.
    ///
    /// # Errors
    /// Also when the operation ends badly.
    pub async fn carry_out(&self, call: &Call<'_>, until: Instant) -> Answer<Reply> {
        self.register(call.kind, until).await?;
        let reply = match self.ask(call).await {
            Err(Trouble::Said(fault)) if fault.has("MissingSubscriptionRegistration") => {
                self.register_anyway(call.kind, until).await?;
                self.ask(call).await?
            }
            other => other?,
        };
        self.follow(call, reply, until).await
    }

    /// Waits until what `call` would make, and is there as `body` already, is done.
    ///
    /// # Errors
    /// When it ends badly, or not before `until`.
    pub async fn until_made(&self, call: &Call<'_>, body: Value, until: Instant) -> Answer<Reply> {
        self.follow(call, Reply { status: 200, headers: HeaderMap::new(), body }, until).await
    }

    /// One answer, in a version that the endpoint takes.
    ///
    /// # Errors
    /// What the service says, or why it says nothing.
    pub async fn ask(&self, call: &Call<'_>) -> Answer<Reply> {
        let mut refused = Vec::new();
        let mut again = false;
        loop {
            let version = self.versions.choose(call.kind, &refused)?;
            let trouble = match self.once(call, version).await {
                Err(trouble) => trouble,
                done => return done,
            };
            let Some(listed) = trouble.fault().and_then(supported) else { return Err(trouble) };
            tracing::debug!(kind = call.kind, version, "the version was refused");
            let supported = listed.iter().any(|one| one == version);
            self.versions.correct(call.kind, listed);
            if !supported {
                continue;
            }
            if again {
                // Still refused though supported: not everywhere yet, or it is not the version that is wrong.
                refused.push(version.to_owned());
                if self.versions.choose(call.kind, &refused).is_err() {
                    return Err(trouble);
                }
            } else {
                again = true;
            }
        }
    }

    /// How much is left, from 0 to 1, of what providers allow for `call`, a question.
    pub(crate) fn left(&self, call: &Call<'_>) -> f64 {
        self.throttle.left(call.kind, call.path)
    }

    /// One answer in exactly this version.
    pub(crate) async fn once(&self, call: &Call<'_>, version: &Version) -> Answer<Reply> {
        let mut url = self.url(call.path)?;
        url.query_pairs_mut().extend_pairs(call.query).append_pair("api-version", version);
        let body = call.body.map(|body| body(version));
        self.exchange(call.doing, &call.method, call.kind, url, body.as_ref()).await
    }

    /// The state of an operation, at an address that the service named itself.
    pub(crate) async fn poll(&self, call: &Call<'_>, url: &str) -> Answer<Reply> {
        // Limits of their own hold for them.
        let kind = format!("operations of {}", call.kind);
        self.exchange(call.doing, &Method::GET, &kind, named(call, url)?, None).await
    }

    /// The next page of a list, which counts as the first one did.
    async fn page(&self, call: &Call<'_>, url: &str) -> Answer<Reply> {
        self.exchange(call.doing, &Method::GET, call.kind, named(call, url)?, None).await
    }

    /// Whether `url` leads to this endpoint, where the token may go.
    pub(crate) fn is_ours(&self, url: &str) -> bool {
        let origin = |text: &str| text.parse::<reqwest::Url>().ok().map(|url| url.origin());
        origin(url).is_some_and(|there| Some(there) == origin(&self.cloud.endpoint))
    }

    pub(crate) fn set_state(&self, namespace: &str, state: &str) {
        self.versions.set_state(namespace, state);
        self.keep.write(self.clock().wall(), &self.advertised());
    }

    async fn exchange(
        &self,
        doing: &str,
        method: &Method,
        kind: &str,
        url: reqwest::Url,
        body: Option<&Value>,
    ) -> Answer<Reply> {
        let mut renewed = false;
        loop {
            let token = self.sign_in.token().await?;
            let pass = self.throttle.admit(method, kind, url.path()).await;
            let raw = self.send(doing, method, &url, body, &token).await?;
            pass.learn(raw.status, &raw.headers);
            drop(pass);
            if raw.is_success() {
                let body = raw.json();
                return Ok(Reply { status: raw.status, headers: raw.headers, body });
            }
            if raw.status == 401 && !renewed {
                // Revoked or renewed elsewhere: a fresh one is tried once.
                self.sign_in.forget(&token).await;
                renewed = true;
                continue;
            }
            return Err(Fault::of_answer(doing, raw.status, &raw.headers, &raw.body).into());
        }
    }

    async fn send(
        &self,
        doing: &str,
        method: &Method,
        url: &reqwest::Url,
        body: Option<&Value>,
        token: &Token,
    ) -> Result<Raw> {
        let id = request_id()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.secret.expose()))
            .map_err(|_| Error::new(Kind::Failed, "the token holds characters that no header can"))?;
        bearer.set_sensitive(true);
        let mut request = self.http.client.request(method.clone(), url.clone());
        request = request.header(AUTHORIZATION, bearer).header(ACCEPT, "application/json");
        request =
            request.header("x-ms-client-request-id", &id).header("x-ms-return-client-request-id", "true");
        request = match body {
            Some(body) => request.json(body),
            // Some gateways want a length with every POST.
            None if *method == Method::POST => request.header("content-length", "0"),
            None => request,
        };
        let began = self.clock().now();
        let done = send(doing, request).await;
        let took = self.clock().now().saturating_duration_since(began);
        let path = url.path();
        match &done {
            Ok(raw) => {
                tracing::debug!(%method, path, query = url.query(), status = raw.status, ?took, id, "asked");
            }
            Err(error) => tracing::debug!(%method, path, ?took, id, %error, "no answer"),
        }
        done.map_err(|error| error.fact("client request id", id))
    }

    fn url(&self, path: &str) -> Result<reqwest::Url> {
        let text = format!("{}{path}", self.cloud.endpoint);
        text.parse().map_err(|error| Error::new(Kind::Failed, format!("`{text}` is no address: {error}")))
    }

    async fn ask_versions(&self, tested: Tested) -> Answer<Advertised> {
        let path = format!("/subscriptions/{}/providers", self.subscription);
        let call = Call::get("asking which versions there are", "Microsoft.Resources/providers", &path);
        let mut reply = self.once(&call, PROVIDERS).await?;
        let mut advertised = Advertised::default();
        for _ in 0..PAGES {
            advertised.read(reply.body["value"].as_array().map_or(&[], Vec::as_slice), tested);
            let next = reply.body["nextLink"].as_str().filter(|next| self.is_ours(next)).map(str::to_owned);
            let Some(next) = next else { break };
            reply = self.page(&call, &next).await?;
        }
        Ok(advertised)
    }
}

/// Every subscription that an account sees.
///
/// # Errors
/// When signing in or the list fails.
pub async fn subscriptions(
    http: &Http,
    sign_in: &Arc<SignIn>,
    cloud: &Cloud,
    session: &Session,
) -> Answer<Vec<Value>> {
    let clock = Arc::clone(session.clock());
    let arm = Arm {
        http: http.clone(),
        cloud: cloud.clone(),
        subscription: String::new(),
        sign_in: Arc::clone(sign_in),
        versions: Versions::new(Tested(&[]), Advertised::default()),
        throttle: session.shared(&cloud.endpoint, || Throttle::new(clock)),
        poller: Arc::default(),
        session: session.clone(),
        keep: Keep::new(Path::new(""), "", ""),
        registering: tokio::sync::Mutex::default(),
    };
    let call = Call::get("listing the subscriptions", "Microsoft.Resources/subscriptions", "/subscriptions");
    let reply = arm.once(&call, SUBSCRIPTIONS).await?;
    Ok(reply.body["value"].as_array().cloned().unwrap_or_default())
}

/// An address that the service named.
fn named(call: &Call<'_>, url: &str) -> Result<reqwest::Url> {
    url.parse().map_err(|error| {
        let message = format!("{}: the service named `{url}`, which is no address: {error}", call.doing);
        Error::new(Kind::Failed, message)
    })
}

/// A random UUID, by which the service's operators find a request.
fn request_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Kind::Failed, format!("no randomness: {error}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
