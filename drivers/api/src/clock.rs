//! Time as a value: what the time is, and waiting. Only layers and the engine's polling wait; drivers never do.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

/// Where time comes from.
pub trait Clock: Debug + Send + Sync {
    /// The time of day, for records and certificates.
    fn wall(&self) -> SystemTime;

    /// Time that only goes forward, for deadlines.
    fn now(&self) -> Instant;

    /// Waits for `pause`.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;
}

/// The computer's own clock. It follows tokio's time, so a test may pause that and let it run ahead; the time of day
/// then runs ahead with it.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
    wall: SystemTime,
}

impl SystemClock {
    /// The clock, from now on.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// A clock whose time of day is `wall` now.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        Self { started: tokio::time::Instant::now(), wall }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        self.wall + self.started.elapsed()
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(pause))
    }
}
