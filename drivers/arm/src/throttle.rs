//! Stays below the rate limits before anybody has to say 429. ARM counts reads, writes and deletes of a subscription in
//! token buckets whose sizes are published; resource providers count further policies and say in each answer what is
//! left of them. Both are learnt from the answers' headers and paced here, for all machines of one command together.
//!
//! A call takes its tokens when it is let in, and waits its turn over the clock that came in; nobody overtakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;
use wharf_driver::Clock;

use crate::errors::retry_after;

/// The buckets of one subscription.
#[derive(Debug)]
pub struct Throttle {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    /// Which providers' policies an operation was seen to count against, with their sizes and rates.
    policies: BTreeMap<String, Vec<(String, f64, f64)>>,
}

#[derive(Debug)]
struct Bucket {
    size: f64,
    /// Tokens a second.
    rate: f64,
    /// May be below nothing: that many are waited for.
    level: f64,
    at: Instant,
    in_flight: u32,
    closed_until: Option<Instant>,
}

/// One admitted call; its tokens are spent when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    throttle: &'a Throttle,
    operation: String,
    /// What it is about: some policies count every resource by itself.
    path: String,
    buckets: Vec<String>,
}

/// Published for ARM: bucket size, and tokens a second.
const READS: (&str, f64, f64) = ("reads", 250.0, 25.0);
const WRITES: (&str, f64, f64) = ("writes", 200.0, 10.0);
const DELETES: (&str, f64, f64) = ("deletes", 200.0, 10.0);
/// After a 429 that does not say how long.
const USUAL_CLOSURE: Duration = Duration::from_secs(5);

impl Throttle {
    /// Full buckets.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Waits until a call of `method` on `path`, which is of type `kind`, may go.
    pub(crate) async fn admit(&self, method: &Method, kind: &str, path: &str) -> Pass<'_> {
        let path = path.to_ascii_lowercase();
        let operation = operation(method, kind, &path);
        let (buckets, wait) = self.reserve(method, &operation, &path);
        let pass = Pass { throttle: self, operation, path, buckets };
        if !wait.is_zero() {
            tracing::debug!(operation = pass.operation, ?wait, "kept below the rate limit");
            self.clock.sleep(wait).await;
        }
        // Closed meanwhile by somebody else's 429.
        while let Some(wait) = self.closed(&pass.buckets) {
            self.clock.sleep(wait).await;
        }
        pass
    }

    /// How much is left, from 0 to 1, of what providers allow for reading `path`, which is of type `kind`.
    pub(crate) fn left(&self, kind: &str, path: &str) -> f64 {
        let (now, path) = (self.clock.now(), path.to_ascii_lowercase());
        let mut state = self.state();
        let policies = state.policies.get(&operation(&Method::GET, kind, &path)).cloned();
        let shares = policies.into_iter().flatten().filter_map(|(policy, _, _)| {
            let bucket = state.buckets.get_mut(&bucket_of(&policy, &path))?;
            bucket.refill(now);
            Some((bucket.level / bucket.size).max(0.0))
        });
        shares.fold(1.0, f64::min)
    }

    fn reserve(&self, method: &Method, operation: &str, path: &str) -> (Vec<String>, Duration) {
        let now = self.clock.now();
        let mut state = self.state();
        let (name, size, rate) = arm_bucket(method);
        state.buckets.entry(name.to_owned()).or_insert_with(|| Bucket::new(size, rate, now));
        let mut names = vec![name.to_owned(), operation.to_owned()];
        for (policy, size, rate) in state.policies.get(operation).cloned().into_iter().flatten() {
            let name = bucket_of(&policy, path);
            state.buckets.entry(name.clone()).or_insert_with(|| Bucket::new(size, rate, now));
            names.push(name);
        }
        let mut wait = Duration::ZERO;
        for name in &names {
            if let Some(bucket) = state.buckets.get_mut(name) {
                wait = wait.max(bucket.take(now));
            }
        }
        (names, wait)
    }

    fn closed(&self, buckets: &[String]) -> Option<Duration> {
        let (now, state) = (self.clock.now(), self.state());
        let closed = buckets.iter().filter_map(|name| state.buckets.get(name)?.closed_until).max()?;
        closed.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Learns from the answer.
    pub(crate) fn learn(&self, status: u16, headers: &HeaderMap) {
        let now = self.throttle.clock.now();
        let mut state = self.throttle.state();
        let arm = self.buckets.first().map_or("", String::as_str);
        let subscription = format!("x-ms-ratelimit-remaining-subscription-{arm}");
        let left = headers.get(&subscription).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if let (Some(left), Some(bucket)) = (left, state.buckets.get_mut(arm)) {
            bucket.seen(left, now);
        }
        let policies: Vec<(String, f64)> = headers
            .get_all("x-ms-ratelimit-remaining-resource")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|policy| {
                let (name, left) = policy.trim().split_once(';')?;
                Some((name.trim().to_owned(), left.trim().parse().ok()?))
            })
            .collect();
        let mut known = Vec::new();
        for (policy, left) in &policies {
            let Some((size, rate)) = published(policy).or_else(|| guessed(policy, *left)) else { continue };
            let fresh = || Bucket::new(size, rate, now);
            state.buckets.entry(bucket_of(policy, &self.path)).or_insert_with(fresh).seen(*left, now);
            known.push((policy.clone(), size, rate));
        }
        if !known.is_empty() {
            state.policies.entry(self.operation.clone()).or_insert(known);
        }
        if status == 429 {
            let until = now + retry_after(headers).unwrap_or(USUAL_CLOSURE);
            // A provider's own limit closes its operation alone.
            let name = if policies.is_empty() && left.is_none_or(|left: f64| left <= 0.0) {
                arm
            } else {
                &self.operation
            };
            let closed = state.buckets.entry(name.to_owned()).or_insert_with(|| Bucket::open(now));
            closed.closed_until = closed.closed_until.max(Some(until));
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.throttle.state();
        for name in &self.buckets {
            if let Some(bucket) = state.buckets.get_mut(name) {
                bucket.in_flight = bucket.in_flight.saturating_sub(1);
            }
        }
    }
}

impl Bucket {
    fn new(size: f64, rate: f64, now: Instant) -> Self {
        Self { size, rate, level: size, at: now, in_flight: 0, closed_until: None }
    }

    /// One without a limit, which can only be closed.
    fn open(now: Instant) -> Self {
        Self::new(f64::MAX, f64::MAX, now)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = passed.mul_add(self.rate, self.level).min(self.size);
        self.at = now;
    }

    /// Takes one token; how long to wait until it is there.
    fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.level -= 1.0;
        self.in_flight += 1;
        if self.level >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.level / self.rate) }
    }

    /// `left` tokens were left by the service's own count, which does not know of those still on their way to it.
    fn seen(&mut self, left: f64, now: Instant) {
        self.refill(now);
        self.size = self.size.max(left);
        // This call itself is counted already, by both.
        let coming = f64::from(self.in_flight.saturating_sub(1));
        self.level = self.level.min(left - coming);
    }
}

/// What providers count separately: reading one thing, listing all of its kind, and each thing that can be done to it.
fn operation(method: &Method, kind: &str, path: &str) -> String {
    if path.ends_with(&format!("/providers/{}", kind.to_ascii_lowercase())) {
        return format!("{method} list of {kind}");
    }
    match path.rsplit_once('/') {
        Some((_, verb)) if *method == Method::POST => format!("{method} {verb} of {kind}"),
        _ => format!("{method} {kind}"),
    }
}

fn arm_bucket(method: &Method) -> (&'static str, f64, f64) {
    match *method {
        Method::GET | Method::HEAD => READS,
        Method::DELETE => DELETES,
        _ => WRITES,
    }
}

/// Policies that count every resource by itself have a bucket for each.
fn bucket_of(policy: &str, path: &str) -> String {
    if policy.ends_with("Resource") { format!("{policy} {path}") } else { policy.to_owned() }
}

/// What is published for the compute provider: bucket size, and tokens a second.
fn published(policy: &str) -> Option<(f64, f64)> {
    let name = policy.strip_prefix("Microsoft.Compute/")?;
    let (size, a_minute) = match name {
        "PutVMSubscription" | "UpdateVMSubscription" | "DeleteVMSubscription" => (1500.0, 500.0),
        "PutVMResource" | "UpdateVMResource" | "DeleteVMResource" => (12.0, 4.0),
        "LowCostGetSubscription" => (24_000.0, 8000.0),
        "LowCostGetResource" => (36.0, 12.0),
        "HighCostGetSubscription" => (90.0, 30.0),
        "GetOperationSubscription" => (15_000.0, 5000.0),
        "GetOperationResource" => (45.0, 15.0),
        _ => return None,
    };
    Some((size, a_minute / 60.0))
}

/// What an older policy says of itself: as much as is left now, in the window that it is named after.
fn guessed(policy: &str, left: f64) -> Option<(f64, f64)> {
    let window = window(policy)?;
    Some((left + 1.0, (left + 1.0) / window.as_secs_f64()))
}

/// The window of a policy, which stands at the end of its name: `…3Min`, `…30Min`, `…1Hour`.
fn window(policy: &str) -> Option<Duration> {
    let (rest, unit) = [("Min", 60), ("Hour", 3600), ("Sec", 1)]
        .into_iter()
        .find_map(|(word, seconds)| Some((policy.strip_suffix(word)?, seconds)))?;
    let digits = rest.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    let count: u64 = digits.parse().ok()?;
    (count > 0).then(|| Duration::from_secs(count * unit))
}

#[cfg(test)]
mod tests {
    use wharf_driver::SystemClock;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    async fn took(throttle: &Throttle, calls: usize, method: &Method, kind: &str) -> Duration {
        let began = tokio::time::Instant::now();
        for _ in 0..calls {
            drop(throttle.admit(method, kind, "/x").await);
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_published_rate() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        assert_eq!(took(&throttle, 200, &Method::PUT, "x/y").await, Duration::ZERO);
        let rest = took(&throttle, 100, &Method::PUT, "x/y").await;
        assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&rest), "{rest:?}");
        assert_eq!(took(&throttle, 250, &Method::GET, "x/y").await, Duration::ZERO, "reads have their own");
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_used_up_counts_too() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let pass = throttle.admit(&Method::PUT, "x/y", "/x").await;
        pass.learn(200, &headers(&[("x-ms-ratelimit-remaining-subscription-writes", "5")]));
        drop(pass);
        assert_eq!(took(&throttle, 5, &Method::PUT, "x/y").await, Duration::ZERO);
        assert!(took(&throttle, 10, &Method::PUT, "x/y").await >= Duration::from_millis(900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_providers_policy_paces_its_operation_alone() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let (vm, limits) = (
            "Microsoft.Compute/virtualMachines",
            "Microsoft.Compute/PutVM3Min;2,Microsoft.Compute/PutVM30Min;90",
        );
        let pass = throttle.admit(&Method::PUT, vm, "/x").await;
        pass.learn(201, &headers(&[("x-ms-ratelimit-remaining-resource", limits)]));
        drop(pass);
        assert_eq!(took(&throttle, 2, &Method::PUT, vm).await, Duration::ZERO);
        let third = took(&throttle, 1, &Method::PUT, vm).await;
        assert!(third >= Duration::from_secs(55), "three in three minutes: {third:?}");
        assert_eq!(
            took(&throttle, 50, &Method::PUT, "Microsoft.Network/networkInterfaces").await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_closes_for_everybody_as_long_as_it_says() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let pass = throttle.admit(&Method::GET, "x/y", "/x").await;
        pass.learn(429, &headers(&[("retry-after", "30")]));
        drop(pass);
        let waited = took(&throttle, 1, &Method::GET, "x/z").await;
        assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&waited), "{waited:?}");
        assert_eq!(took(&throttle, 1, &Method::PUT, "x/z").await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_of_each_resource_paces_that_one_alone() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let left =
            "Microsoft.Compute/GetOperationResource;1,Microsoft.Compute/GetOperationSubscription;14000";
        let pass = throttle.admit(&Method::GET, "operations", "/one").await;
        pass.learn(200, &headers(&[("x-ms-ratelimit-remaining-resource", left)]));
        drop(pass);
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            drop(throttle.admit(&Method::GET, "operations", "/one").await);
        }
        assert!(began.elapsed() >= Duration::from_secs(7), "one in four seconds: {:?}", began.elapsed());
        let began = tokio::time::Instant::now();
        for _ in 0..45 {
            drop(throttle.admit(&Method::GET, "operations", "/two").await);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_count_apart_from_reads_of_one() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let (vm, list) =
            ("Microsoft.Compute/virtualMachines", "/s/g/providers/Microsoft.Compute/virtualMachines");
        let one = format!("{list}/web");
        let pass = throttle.admit(&Method::GET, vm, &one).await;
        pass.learn(
            200,
            &headers(&[(
                "x-ms-ratelimit-remaining-resource",
                "Microsoft.Compute/LowCostGetSubscription;20000",
            )]),
        );
        drop(pass);
        let pass = throttle.admit(&Method::GET, vm, list).await;
        pass.learn(
            200,
            &headers(&[("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/HighCostGetSubscription;1")]),
        );
        drop(pass);
        let left = [throttle.left(vm, &one), throttle.left(vm, list), throttle.left("x/y", "/x")];
        assert_eq!(left, [20_000.0 / 24_000.0, 1.0 / 90.0, 1.0]);
        let began = tokio::time::Instant::now();
        drop(throttle.admit(&Method::GET, vm, &one).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..3 {
            drop(throttle.admit(&Method::GET, vm, list).await);
        }
        assert!(began.elapsed() >= Duration::from_secs(4), "one in two seconds: {:?}", began.elapsed());
    }

    #[test]
    fn windows_stand_in_the_names() {
        assert_eq!(window("Microsoft.Compute/PutVM30Min"), Some(Duration::from_secs(1800)));
        assert_eq!(window("Microsoft.Compute/HighCostGet3Min"), Some(Duration::from_secs(180)));
        assert_eq!(window("Microsoft.Compute/Something"), None);
        assert_eq!(window("Microsoft.Compute/Min"), None);
    }
}
