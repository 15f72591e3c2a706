//! Makes a call again when the other side had a passing fault, until the deadline: at growing pauses, or after as long
//! as the other side asked for. Safe because every verb may be repeated under the same key.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    About, Account, Admission, AnyDriver, Clock, Context, Door, Error, Found, Kind, Known, MachineSpec,
    Observation, Plan, Power, Result, Survey,
};

/// The pauses between attempts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause; each one after it is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The most attempts at one call.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(10), attempts: 8 }
    }
}

impl Backoff {
    fn pause(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.longest)
    }
}

/// Repeats what may be repeated.
#[derive(Debug)]
pub struct Retry {
    inner: Arc<dyn AnyDriver>,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
}

impl Retry {
    /// Repeats the calls of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn AnyDriver>, clock: Arc<dyn Clock>, backoff: Backoff) -> Self {
        Self { inner, clock, backoff }
    }

    async fn again<T, F>(&self, verb: &'static str, cx: &Context, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempt = 0;
        // What an attempt before may have made, no later refusal undoes.
        let mut unsure = false;
        let over = |error: Error, unsure| if unsure { error.leaving_something() } else { error };
        loop {
            let error = match call().await {
                Err(error) if error.kind().retryable() && attempt + 1 < self.backoff.attempts => error,
                done => return done.map_err(|error| over(error, unsure)),
            };
            unsure |= !error.leaves_nothing();
            let pause = error.retry_after().unwrap_or_else(|| self.backoff.pause(attempt));
            if self.clock.now() + pause >= cx.deadline {
                return Err(over(error, unsure));
            }
            attempt += 1;
            tracing::debug!(verb, attempt, ?pause, %error, "again after a passing fault");
            tokio::select! {
                biased;
                () = cx.cancel.cancelled() => {
                    return Err(Error::new(Kind::Cancelled, format!("interrupted during `{verb}`")).caused_by(error));
                }
                () = self.clock.sleep(pause) => {}
            }
        }
    }
}

impl AnyDriver for Retry {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn account(&self) -> Option<Account> {
        self.inner.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        Box::pin(self.again("survey", cx, move || self.inner.survey(cx)))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        Box::pin(self.again("plan", cx, move || self.inner.plan(spec, now, cx)))
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(self.again("perform", cx, move || self.inner.perform(action, made, cx)))
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(self.again("settle", cx, move || self.inner.settle(action, cx)))
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        Box::pin(self.again("observe", cx, move || self.inner.observe(machines, cx)))
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.again("power", cx, move || self.inner.power(made, to, cx)))
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        Box::pin(self.again("admission", cx, move || self.inner.admission(made, cx)))
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.again("admit", cx, move || self.inner.admit(made, door, cx)))
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.again("destroy", cx, move || self.inner.destroy(resource, cx)))
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        Box::pin(self.again("find_owned", cx, move || self.inner.find_owned(cx)))
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.again("mark", cx, move || self.inner.mark(resource, cx)))
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.again("console", cx, move || self.inner.console(made, cx)))
    }
}
