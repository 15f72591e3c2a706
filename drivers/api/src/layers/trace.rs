//! Logs every call: the verb, how long it took and how it ended. Never its values.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    About, Account, Admission, AnyDriver, Clock, Context, Door, Found, Known, MachineSpec, Observation, Plan,
    Power, Result, Survey,
};

/// Logs what passes through.
#[derive(Debug)]
pub struct Trace {
    inner: Arc<dyn AnyDriver>,
    clock: Arc<dyn Clock>,
}

impl Trace {
    /// Logs the calls of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn AnyDriver>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock }
    }

    async fn log<T, F>(&self, verb: &'static str, cx: &Context, call: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let began = self.clock.now();
        let done = call().await;
        let took = self.clock.now().saturating_duration_since(began);
        let (driver, machine) = (self.inner.about().name, &cx.owner.name);
        match &done {
            Ok(_) => tracing::debug!(driver, %machine, verb, ?took, "done"),
            Err(error) => {
                tracing::debug!(driver, %machine, verb, ?took, kind = ?error.kind(), %error, "failed");
            }
        }
        done
    }
}

impl AnyDriver for Trace {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn account(&self) -> Option<Account> {
        self.inner.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        Box::pin(self.log("survey", cx, move || self.inner.survey(cx)))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        Box::pin(self.log("plan", cx, move || self.inner.plan(spec, now, cx)))
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(self.log("perform", cx, move || self.inner.perform(action, made, cx)))
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(self.log("settle", cx, move || self.inner.settle(action, cx)))
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        Box::pin(self.log("observe", cx, move || self.inner.observe(machines, cx)))
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.log("power", cx, move || self.inner.power(made, to, cx)))
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        Box::pin(self.log("admission", cx, move || self.inner.admission(made, cx)))
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.log("admit", cx, move || self.inner.admit(made, door, cx)))
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.log("destroy", cx, move || self.inner.destroy(resource, cx)))
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        Box::pin(self.log("find_owned", cx, move || self.inner.find_owned(cx)))
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.log("mark", cx, move || self.inner.mark(resource, cx)))
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.log("console", cx, move || self.inner.console(made, cx)))
    }
}
