//! Stays below EC2's rate limits before anybody has to say `RequestLimitExceeded`, for all machines of one command
//! together. EC2 counts every action of an account and region in a token bucket of its own, whose sizes are published;
//! an account may have others, and other programs use the same ones, so a refusal slows the action down, and success
//! lets it grow fast again.
//!
//! A call takes its token when it goes, and not before: those that waited while the computer had no time for them would
//! all go at once otherwise. Nobody overtakes. Waiting is over the clock that came in.

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
    level: f64,
    at: Instant,
    closed_until: Option<Instant>,
    /// Held by the one who is next.
    next: Arc<tokio::sync::Mutex<()>>,
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
        let next = Arc::clone(&self.bucket(&mut self.buckets(), api).next);
        let _turn = next.lock().await;
        while let Some(wait) = self.take(api) {
            tracing::debug!(api, ?wait, "kept below the rate limit");
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

    /// Takes a token, or says for how long there is none.
    fn take(&self, api: &'static str) -> Option<Duration> {
        let now = self.clock.now();
        let mut buckets = self.buckets();
        let bucket = self.bucket(&mut buckets, api);
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.level = passed.mul_add(bucket.rate, bucket.level).min(bucket.size);
        bucket.at = now;
        let closed = bucket.closed_until.and_then(|until| until.checked_duration_since(now));
        if let Some(wait) = closed.filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        if bucket.level >= 1.0 {
            bucket.level -= 1.0;
            return None;
        }
        // No shorter than what a clock tells apart.
        Some(Duration::from_secs_f64((1.0 - bucket.level) / bucket.rate).max(Duration::from_micros(100)))
    }

    fn bucket<'b>(
        &self,
        buckets: &'b mut BTreeMap<&'static str, Bucket>,
        api: &'static str,
    ) -> &'b mut Bucket {
        buckets.entry(api).or_insert_with(|| {
            let (size, rate) = published(api);
            let (at, next) = (self.clock.now(), Arc::default());
            Bucket { size, usual: rate, rate, level: size, at, closed_until: None, next }
        })
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

    /// When each of `count` calls that come at once goes.
    async fn times(throttle: &Throttle, api: &'static str, count: usize) -> Vec<Duration> {
        let began = tokio::time::Instant::now();
        let calls = (0..count).map(|_| async {
            throttle.admit(api).await;
            began.elapsed()
        });
        futures_util::future::join_all(calls).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let went = times(&throttle, "RunInstances", 8).await;
        assert!(went[..2].iter().all(Duration::is_zero), "{went:?}");
        assert!(went[3] > Duration::from_millis(700) && went[7] > Duration::from_millis(2800), "{went:?}");
        assert!(went.is_sorted() && went[7] < Duration::from_secs(4), "{went:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_while_the_computer_stood_still_does_not_go_with_the_others() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        let (went, ()) = tokio::join!(times(&throttle, "RunInstances", 12), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tokio::time::advance(Duration::from_secs(60)).await;
        });
        // What a full bucket holds goes at once; the others wait from then on.
        let late: Vec<_> = went.iter().filter(|at| **at > Duration::from_millis(60_200)).collect();
        assert!(late.len() >= 7, "{went:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_the_action_down_and_no_other() {
        let throttle = Throttle::new(Arc::new(SystemClock::new()));
        times(&throttle, "RunInstances", 1).await;
        times(&throttle, "DescribeInstances", 1).await;
        throttle.learn("RunInstances", true);
        assert!(times(&throttle, "DescribeInstances", 1).await[0].is_zero());
        assert!(times(&throttle, "RunInstances", 1).await[0] > Duration::from_millis(900));
    }
}
