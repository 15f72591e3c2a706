//! Time as a value: what "now" is, and how much faster than the real cloud this one runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// The simulator's clock. Moments are durations since it was made.
#[derive(Debug, Clone)]
pub struct Clock {
    began: OffsetDateTime,
    source: Source,
    scale: f64,
}

#[derive(Debug, Clone)]
enum Source {
    Real(Instant, Arc<Mutex<Duration>>),
    Manual(Arc<Mutex<Duration>>),
}

impl Clock {
    /// A clock that runs by itself, and may be moved on beside that; what takes the real cloud a second takes this one `scale` seconds.
    pub fn real(began: OffsetDateTime, scale: f64) -> Self {
        Self { began, source: Source::Real(Instant::now(), Arc::default()), scale }
    }

    /// A clock that moves only when `advance` says so.
    pub fn manual(began: OffsetDateTime, scale: f64) -> Self {
        Self { began, source: Source::Manual(Arc::default()), scale }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let (Source::Manual(at) | Source::Real(_, at)) = &self.source;
        *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Since the clock was made.
    pub fn now(&self) -> Duration {
        match &self.source {
            Source::Real(since, ahead) => {
                since.elapsed() + *ahead.lock().unwrap_or_else(PoisonError::into_inner)
            }
            Source::Manual(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// How long `real` of the real cloud takes here.
    pub fn scaled(&self, real: Duration) -> Duration {
        real.mul_f64(self.scale)
    }

    /// How long what took `here` takes the real cloud.
    pub fn real_time(&self, here: Duration) -> Duration {
        if self.scale > 0.0 { here.div_f64(self.scale) } else { here }
    }

    /// What a `Retry-After` of `seconds` says here: never nothing, or a client would spin.
    pub fn retry_after(&self, seconds: u64) -> u64 {
        let scaled = self.scaled(Duration::from_secs(seconds)).as_secs_f64().ceil();
        (scaled as u64).max(1)
    }

    /// The date at `moment`.
    pub fn date(&self, moment: Duration) -> OffsetDateTime {
        self.began + moment
    }

    /// The date now.
    pub fn today(&self) -> OffsetDateTime {
        self.date(self.now())
    }

    /// The date at `moment` as ARM writes it.
    pub fn stamp(&self, moment: Duration) -> String {
        let format = time::macros::format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]+00:00"
        );
        self.date(moment).format(&format).unwrap_or_default()
    }
}
