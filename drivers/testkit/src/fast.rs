//! A clock that runs faster than the computer's own, for worlds in which things take as long as in a real cloud: where
//! a minute takes a real second, a deadline of a minute is over after that second too. What a world computes, and a real
//! cloud would not have to, counts towards no deadline and no pause.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use wharf_driver::Clock;

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
        Box::pin(async move {
            loop {
                let left = end.saturating_sub(passing.passed());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.div_f64(passing.times)).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_world_computes_is_neither_waited_nor_counted() {
        let computed = Arc::new(std::sync::Mutex::new(Duration::ZERO));
        let told = Arc::clone(&computed);
        let clock = Fast::new(100.0).without(move || *told.lock().unwrap());
        let begun = (clock.now(), Instant::now());
        // A tenth of a second of computing is ten seconds that do not pass.
        let pause = clock.sleep(Duration::from_secs(1));
        *computed.lock().unwrap() = Duration::from_millis(100);
        pause.await;
        assert!(begun.1.elapsed() >= Duration::from_millis(110));
        let passed = clock.now() - begun.0;
        assert!(passed >= Duration::from_secs(1) && passed <= begun.1.elapsed().mul_f64(100.0), "{passed:?}");
    }
}
