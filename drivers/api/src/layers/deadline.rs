//! Ends a call at its deadline or when it is cancelled, whatever the driver does. A call that is cut off may still have
//! an effect; the journal's started action is what remembers that.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    About, Account, Admission, AnyDriver, Clock, Context, Door, Error, Found, Kind, Known, MachineSpec,
    Observation, Plan, Power, Result, Survey,
};

/// Bounds every attempt by the context's deadline and cancellation.
#[derive(Debug)]
pub struct Deadline {
    inner: Arc<dyn AnyDriver>,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// Bounds the calls of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn AnyDriver>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock }
    }

    async fn bound<T, F>(&self, verb: &'static str, cx: &Context, call: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        if cx.cancel.is_cancelled() {
            return Err(cancelled(verb));
        }
        let left = cx.deadline.saturating_duration_since(self.clock.now());
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(cancelled(verb)),
            done = call() => done,
            () = self.clock.sleep(left) => {
                Err(Error::new(Kind::TimedOut, format!("`{verb}` did not end before its deadline"))
                    .hint("what was begun goes on without us: look again in some minutes; --timeout waits longer"))
            }
        }
    }
}

fn cancelled(verb: &str) -> Error {
    Error::new(Kind::Cancelled, format!("interrupted during `{verb}`"))
}

impl AnyDriver for Deadline {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn account(&self) -> Option<Account> {
        self.inner.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        Box::pin(self.bound("survey", cx, move || self.inner.survey(cx)))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        Box::pin(self.bound("plan", cx, move || self.inner.plan(spec, now, cx)))
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(self.bound("perform", cx, move || self.inner.perform(action, made, cx)))
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(self.bound("settle", cx, move || self.inner.settle(action, cx)))
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        Box::pin(self.bound("observe", cx, move || self.inner.observe(machines, cx)))
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.bound("power", cx, move || self.inner.power(made, to, cx)))
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        Box::pin(self.bound("admission", cx, move || self.inner.admission(made, cx)))
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.bound("admit", cx, move || self.inner.admit(made, door, cx)))
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.bound("destroy", cx, move || self.inner.destroy(resource, cx)))
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        Box::pin(self.bound("find_owned", cx, move || self.inner.find_owned(cx)))
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.bound("mark", cx, move || self.inner.mark(resource, cx)))
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.bound("console", cx, move || self.inner.console(made, cx)))
    }
}
