//! A clock that runs faster than the computer's own, for worlds in which things take as long as in a real cloud: where
//! a minute takes a real second, a deadline of a minute is over after that second too. What a world computes, and a real
//! cloud would not have to, counts towards no deadline; pauses between two looks are no longer for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use wharf_driver::Clock;

/// What is waited for longer than this is a deadline, and not a pause.
const PAUSE: Duration = Duration::from_secs(60);

/// Time that passes so many times as fast.
#[derive(Debug)]
pub struct Fast {
    wall: SystemTime,
    passing: Passing,
}

/// What is left out, in real time.
type Computed = Arc<dyn Fn() -> Duration + Send + Sync>;

#[derive(Clone)]
struct Passing {
    began: Instant,
    times: f64,
    computed: Option<Computed>,
}

impl Fast {
    /// From now on, `times` as fast.
    #[must_use]
    pub fn new(times: f64) -> Self {
        Self { wall: SystemTime::now(), passing: Passing { began: Instant::now(), times, computed: None } }
    }

    /// Standing still, but for the wall's clock, while the world computes: `computed` tells for how long it has.
    #[must_use]
    pub fn without(mut self, computed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.passing.computed = Some(Arc::new(computed));
        self
    }
}

impl Passing {
    fn passed(&self) -> Duration {
        let computed = self.computed.as_ref().map_or(Duration::ZERO, |computed| computed());
        self.began.elapsed().saturating_sub(computed).mul_f64(self.times)
    }
}

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passing").field("times", &self.times).finish_non_exhaustive()
    }
}

impl Clock for Fast {
    fn wall(&self) -> SystemTime {
        self.wall + self.passing.began.elapsed().mul_f64(self.passing.times)
    }

    fn now(&self) -> Instant {
        self.passing.began + self.passing.passed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        let passing = self.passing.clone();
        let end = passing.passed().saturating_add(pause);
        // From now on, and not from when somebody looks.
        let mut sleep = Box::pin(tokio::time::sleep(pause.div_f64(passing.times)));
        Box::pin(async move {
            loop {
                sleep.as_mut().await;
                let left = end.saturating_sub(passing.passed());
                if left.is_zero() || pause <= PAUSE {
                    return;
                }
                sleep.set(tokio::time::sleep(left.div_f64(passing.times)));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_world_computes_counts_towards_deadlines_alone() {
        let computed = Arc::new(std::sync::Mutex::new(Duration::ZERO));
        let told = Arc::clone(&computed);
        let clock = Fast::new(1000.0).without(move || *told.lock().unwrap());
        let begun = (clock.now(), Instant::now());
        let (deadline, pause) = (clock.sleep(PAUSE * 2), clock.sleep(PAUSE));
        // A whole second of computing: a thousand, which do not pass.
        *computed.lock().unwrap() = Duration::from_secs(1);
        pause.await;
        let passed = clock.now() - begun.0;
        assert!(
            passed <= begun.1.elapsed().saturating_sub(Duration::from_secs(1)).mul_f64(1000.0),
            "{passed:?}"
        );
        deadline.await;
        assert!(begun.1.elapsed() >= Duration::from_millis(1120));
        assert!(clock.now() - begun.0 >= PAUSE * 2);
    }
}
