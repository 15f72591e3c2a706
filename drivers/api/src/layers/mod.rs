//! Wrappers around a driver, so that a driver assumes one attempt: a deadline for every attempt, inside retries,
//! inside tracing.

mod deadline;
mod retry;
mod trace;

use std::sync::Arc;

pub use deadline::Deadline;
pub use retry::{Backoff, Retry};
pub use trace::Trace;

use crate::{AnyDriver, Clock};

/// Puts the standard layers around `driver`.
#[must_use]
pub fn standard(driver: Arc<dyn AnyDriver>, clock: &Arc<dyn Clock>) -> Arc<dyn AnyDriver> {
    let bounded = Arc::new(Deadline::new(driver, Arc::clone(clock)));
    let retried = Arc::new(Retry::new(bounded, Arc::clone(clock), Backoff::default()));
    Arc::new(Trace::new(retried, Arc::clone(clock)))
}
