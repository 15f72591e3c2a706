//! One simulated account: where it answers, and what a test may see and change.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract;
use axum::response::Response;
use http::{HeaderMap, Method, Uri};
use wharf_sim::body::{Bodies, NoBodies, Turns};

use crate::config::Config;
use crate::credential::{Call, Doubt, Signature};
use crate::deeds;
use crate::fault::{Effect, Fault, Faults};
use crate::identity;
use crate::moto::Moto;
use crate::proxy::{self, Params, Upstream};
use crate::state::State;
use crate::xml::Element;

/// One account.
#[derive(Debug)]
pub struct Simulator {
    inner: Arc<Inner>,
    address: SocketAddr,
    account: String,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) upstream: Upstream,
    pub(crate) faults: Faults,
    pub(crate) bodies: Arc<dyn Bodies>,
    pub(crate) turns: Turns,
    began: Instant,
    state: Mutex<State>,
    /// Instances are made one after the other: two calls under one token never make two.
    pub(crate) making: tokio::sync::Mutex<()>,
}

/// Accounts are numbered from here on, so that no two simulators share one.
static NEXT: AtomicU64 = AtomicU64::new(200_000_000_000);

impl Simulator {
    /// A new account that lives in `moto`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(moto: &Moto, config: Config) -> std::io::Result<Self> {
        Self::with_bodies(moto, config, Arc::new(NoBodies)).await
    }

    /// A new account that lives in `moto`, whose instances have `bodies`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn with_bodies(moto: &Moto, config: Config, bodies: Arc<dyn Bodies>) -> std::io::Result<Self> {
        let account = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let upstream = Upstream::new(moto.socket(), account.clone());
        // moto reads its catalogues when they are first asked for, which takes it seconds.
        for api in
            ["DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeVpcs", "DescribeImages"]
        {
            let only = ("InstanceType.1", "t3.small");
            let asked = [("Action", api), ("Version", "2016-11-15"), only];
            upstream.ask("ec2", &asked[..if api == "DescribeInstanceTypes" { 3 } else { 2 }]).await;
        }
        let inner = Arc::new(Inner {
            config,
            upstream,
            faults: Faults::default(),
            bodies,
            turns: Turns::default(),
            began: Instant::now(),
            state: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { inner, address, account, task })
    }

    /// Where every service answers.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account's number.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// For how long moto has computed what EC2 would have answered at once: in real time, however fast the account's is.
    /// The clock of whoever uses the account may stand still meanwhile.
    pub fn computed(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let upstream = self.inner.upstream.clone();
        move || upstream.computed()
    }

    /// How it was made.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// From now on this goes wrong.
    pub fn add_fault(&self, api: &str, effect: Effect, times: usize) {
        self.inner.faults.add(Fault { api: api.to_owned(), effect, times });
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.inner.faults.clear();
    }

    /// An hour passes for every instance that has ended: nothing shows it any more, and its token stays spent.
    pub async fn forget_ended(&self) {
        let now = self.inner.now();
        let mut ended = Vec::new();
        for (id, life) in &mut self.inner.state().instances {
            if life.state(now, &self.inner.config.durations).0 == "terminated" {
                life.since -= deeds::MEMORY;
                ended.push(id.clone());
            }
        }
        // moto does not know of what ended by itself, and would keep its interfaces.
        for id in ended {
            let asked =
                [("Action", "TerminateInstances"), ("Version", "2016-11-15"), ("InstanceId.1", id.as_str())];
            self.inner.upstream.ask("ec2", &asked).await;
        }
    }

    /// How often this action was asked for.
    #[must_use]
    pub fn count(&self, api: &str) -> usize {
        self.inner.state().calls.iter().filter(|call| *call == api).count()
    }

    /// Every action that was asked for, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.inner.state().calls.clone()
    }

    /// The actions of the calls that the rate limits refused, in order.
    #[must_use]
    pub fn throttled(&self) -> Vec<String> {
        self.inner.state().refused.clone()
    }

    /// Does something as the account's owner, who is bound by nothing, and returns the first `fact` of the answer.
    pub async fn owner_does(&self, params: &[(&str, &str)], fact: &str) -> String {
        let version = ("Version", "2016-11-15");
        let params: Vec<_> = params.iter().copied().chain([version]).collect();
        let answer = self.inner.upstream.ask("ec2", &params).await;
        let document = Element::parse(&answer.body).unwrap_or_default();
        let mut found = Vec::new();
        document.all(fact, &mut found);
        found.first().map(|element| element.text.clone()).unwrap_or_default()
    }

    /// How many instances were ever made.
    #[must_use]
    pub fn born(&self) -> usize {
        self.inner.state().instances.len()
    }

    /// Everything that is there and paid for, or is still to come.
    pub async fn holds(&self) -> Vec<String> {
        let mut held = Vec::new();
        let (groups, addresses) = (
            self.inner.list(&[("Action", "DescribeSecurityGroups")], "groupId").await,
            self.inner.list(&[("Action", "DescribeAddresses")], "allocationId").await,
        );
        held.extend(groups.into_iter().filter(|(_, name)| name != "default").map(|(id, _)| id));
        held.extend(addresses.into_iter().map(|(id, _)| id));
        let state = self.inner.state();
        let now = self.inner.now();
        let paid = |life: &crate::state::Life| {
            !matches!(life.state(now, &self.inner.config.durations).0, "shutting-down" | "terminated")
        };
        held.extend(state.instances.iter().filter(|(_, life)| paid(life)).map(|(id, _)| id.clone()));
        held.extend((0..state.late).map(|_| "a request that is still to be carried out".to_owned()));
        held
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's time, in seconds since it began.
    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * self.config.times
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.config.times)).await;
    }

    /// Ids in moto's answer, each with its group's name where it has one.
    async fn list(&self, params: &[(&str, &str)], id: &str) -> Vec<(String, String)> {
        let version = ("Version", "2016-11-15");
        let params: Vec<_> = params.iter().copied().chain([version]).collect();
        let answer = self.upstream.ask("ec2", &params).await;
        let document = Element::parse(&answer.body).unwrap_or_default();
        let mut items = Vec::new();
        document.all("item", &mut items);
        let of = |item: &&Element| Some((item.child(id)?.text.clone(), item.say("groupName").to_owned()));
        // Rules name groups, too; what has an owner is the thing itself.
        let whole = |item: &&&Element| id != "groupId" || item.child("ownerId").is_some();
        items.iter().filter(whole).filter_map(of).collect()
    }
}

async fn answer(
    extract::State(inner): extract::State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let params: Params = serde_urlencoded::from_str(&text).unwrap_or_default();
    if let Some(answer) = identity::route(&inner.config.role, &method, &uri, &headers, &params) {
        return answer;
    }
    let Some(signature) = Signature::of(&headers) else {
        return Doubt::Unsigned.refusal("ec2").into_response();
    };
    let service = signature.service;
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let api = params.get("Action").map_or(target, String::as_str).to_owned();
    let api = api.rsplit('.').next().unwrap_or_default().to_owned();
    inner.state().calls.push(api.clone());
    let call = Call { method: &method, uri: &uri, headers: &headers, body: &body };
    let standing = inner.state().standing;
    if let Err(doubt) = signature.check(call, &inner.config, standing) {
        return doubt.refusal(service).into_response();
    }
    if let Some(refusal) = deeds::admit(&inner, service, &api) {
        return refusal.into_response();
    }
    // Carried out whether or not anybody waits: a cloud finishes what it began.
    let fault = inner.faults.take(&api);
    if let Some(Effect::Refuse { status, code }) = &fault {
        return proxy::Answer::refusal_of(service, *status, code, "a fault of the test").into_response();
    }
    if let Some(Effect::KeyBecomes(standing)) = &fault {
        inner.state().standing = *standing;
    }
    let late = matches!(fault, Some(Effect::CutThenDone));
    if late {
        inner.state().late += 1;
    }
    let early = match &fault {
        Some(Effect::EndsEarly(reason)) => Some(reason.clone()),
        _ => None,
    };
    let doing = tokio::spawn({
        let (inner, service) = (Arc::clone(&inner), service.to_owned());
        async move {
            if late {
                inner.sleep(inner.config.durations.late).await;
            }
            let answer = deeds::carry_out(&inner, &service, &api, params, &headers, text, early).await;
            if late {
                inner.state().late -= 1;
            }
            answer
        }
    });
    if late {
        return proxy::cut();
    }
    match (doing.await, fault) {
        (_, Some(Effect::CutAfter)) => proxy::cut(),
        (Ok(answer), _) => answer.into_response(),
        (Err(error), _) => proxy::Answer::refusal(500, "InternalError", &error.to_string()).into_response(),
    }
}
