//! Stays below EC2's rate limits before anybody has to say `RequestLimitExceeded`, for all machines of one command
//! together. EC2 counts every action of an account and region in a token bucket of its own, whose sizes are published;
//! an account may have others, and other programs use the same ones, so a refusal slows the action down, and success
//! lets it grow fast again.
//!
//! A call takes its token when it is let in and waits its turn over the clock that came in; nobody overtakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wharf_driver::Clock;

/// The buckets of one account and region.
#[derive(Debug)]
pub(crate) struct Throttle {
    clock: Arc<dyn Clock>,
    buckets: Mutex<BTreeMap<&'static str, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    size: f64,
    /// Tokens a second, as published.
    usual: f64,
    /// Tokens a second, as learnt.
    rate: f64,
    /// May be below nothing: that many are waited for.
    level: f64,
    at: Instant,
    closed_until: Option<Instant>,
}

/// After a refusal the action is left alone for so long.
const CLOSURE: Duration = Duration::from_secs(2);
/// What is left of the rate after a refusal, and the least that ever is, as a part of the published one.
const BACK_OFF: f64 = 0.5;
const LEAST: f64 = 0.05;
/// What a success adds, as a part of the published rate.
const RECOVER: f64 = 0.02;

impl Throttle {
    /// Full buckets.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    /// Waits until a call of `api` may go.
    pub(crate) async fn admit(&self, api: &'static str) {
        let wait = self.take(api);
        if !wait.is_zero() {
            tracing::debug!(api, ?wait, "kept below the rate limit");
            self.clock.sleep(wait).await;
        }
        // Closed meanwhile by somebody else's refusal.
        while let Some(wait) = self.closed(api) {
            self.clock.sleep(wait).await;
        }
    }

    /// Learns from the answer.
    pub(crate) fn learn(&self, api: &'static str, refused: bool) {
        let now = self.clock.now();
        let mut buckets = self.buckets();
        let Some(bucket) = buckets.get_mut(api) else { return };
        if refused {
            bucket.rate = (bucket.rate * BACK_OFF).max(bucket.usual * LEAST);
            bucket.level = bucket.level.min(0.0);
            bucket.closed_until = Some(now + CLOSURE);
        } else {
            bucket.rate = (bucket.rate + bucket.usual * RECOVER).min(bucket.usual);
        }
    }

    fn take(&self, api: &'static str) -> Duration {
        let now = self.clock.now();
        let mut buckets = self.buckets();
        let bucket = buckets.entry(api).or_insert_with(|| {
            let (size, rate) = published(api);
            Bucket { size, usual: rate, rate, level: size, at: now, closed_until: None }
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.level = passed.mul_add(bucket.rate, bucket.level).min(bucket.size) - 1.0;
        bucket.at = now;
        if bucket.level >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-bucket.level / bucket.rate)
        }
    }

    fn closed(&self, api: &'static str) -> Option<Duration> {
        let now = self.clock.now();
        let until = self.buckets().get(api)?.closed_until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<&'static str, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half of what is published for an action may go at once, the rest at a little below its rate: bucket size, and tokens a
/// second. Calls bunch up on the way, two clocks are never the same, and other programs call, too.
fn published(api: &str) -> (f64, f64) {
    let (size, rate) = match api {
        "RunInstances" | "StartInstances" => (5.0, 2.0),
        "TerminateInstances" => (100.0, 5.0),
        _ if api.starts_with("Describe") || api.starts_with("Get") => (100.0, 20.0),
        _ => (50.0, 5.0),
    };
    (size / 2.0, rate * 0.95)
}

#[cfg(test)]
mod tests {
    use wharf_driver::SystemClock;

    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let waits: Vec<Duration> = (0..8).map(|_| throttle.take("RunInstances")).collect();
        assert!(waits[..2].iter().all(Duration::is_zero), "{waits:?}");
        assert!(waits[3] > Duration::from_millis(700) && waits[7] > Duration::from_millis(2800), "{waits:?}");
    }

    #[test]
    fn a_refusal_slows_the_action_down_and_no_other() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        throttle.take("RunInstances");
        throttle.take("DescribeInstances");
        throttle.learn("RunInstances", true);
        assert!(throttle.closed("RunInstances").is_some() && throttle.closed("DescribeInstances").is_none());
        assert!(throttle.take("RunInstances") > Duration::from_millis(900));
    }
}
