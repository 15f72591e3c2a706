//! A clock that runs faster than the computer's own, for worlds in which things take as long as in a real cloud: where
//! a minute takes a real second, a deadline of a minute is over after that second too.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use wharf_driver::Clock;

/// Time that passes so many times as fast.
#[derive(Debug)]
pub struct Fast {
    began: Instant,
    wall: SystemTime,
    times: f64,
}

impl Fast {
    /// From now on, `times` as fast.
    #[must_use]
    pub fn new(times: f64) -> Self {
        Self { began: Instant::now(), wall: SystemTime::now(), times }
    }

    fn passed(&self) -> Duration {
        self.began.elapsed().mul_f64(self.times)
    }
}

impl Clock for Fast {
    fn wall(&self) -> SystemTime {
        self.wall + self.passed()
    }

    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(pause.div_f64(self.times)))
    }
}
