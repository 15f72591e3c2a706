//! Faults at chosen calls: an answer that never comes although the effect does is the one that matters.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf_driver::{
    About, Account, Admission, AnyDriver, Context, Door, Error, Found, Kind, Known, MachineSpec, Observation,
    Plan, Power, Result, Survey,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// At calls of this verb.
    pub verb: &'static str,
    /// At the call of this index, counted over all machines.
    pub call: usize,
    /// Before or after its effect.
    pub when: When,
    /// The error's kind.
    pub kind: Kind,
}

/// When a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing was done.
    Before,
    /// It was done, and nobody is told.
    After,
}

/// A driver whose calls go wrong as told.
#[derive(Debug)]
pub struct FaultLayer {
    inner: Arc<dyn AnyDriver>,
    script: Arc<Script>,
}

/// What goes wrong, and how often each verb was called; shared by all connections.
#[derive(Debug, Default)]
struct Script {
    faults: Vec<Fault>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
}

impl FaultLayer {
    /// What puts these faults around every driver that a factory connects.
    pub fn wrap(
        faults: Vec<Fault>,
    ) -> impl Fn(Arc<dyn AnyDriver>) -> Arc<dyn AnyDriver> + Send + Sync + 'static {
        let script = Arc::new(Script { faults, calls: Mutex::default() });
        move |inner| Arc::new(Self { inner, script: Arc::clone(&script) })
    }

    async fn pass<T>(&self, verb: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let index = {
            let mut calls = self.script.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let count = calls.entry(verb).or_default();
            *count += 1;
            *count - 1
        };
        let fault = self.script.faults.iter().find(|fault| fault.verb == verb && fault.call == index);
        let Some(Fault { when, kind, .. }) = fault else { return call.await };
        if *when == When::After {
            call.await?;
        }
        Err(Error::new(*kind, format!("told to fail at call {index} of `{verb}`")))
    }
}

impl AnyDriver for FaultLayer {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn account(&self) -> Option<Account> {
        self.inner.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        Box::pin(self.pass("survey", self.inner.survey(cx)))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        Box::pin(self.pass("plan", self.inner.plan(spec, now, cx)))
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(self.pass("perform", self.inner.perform(action, made, cx)))
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(self.pass("settle", self.inner.settle(action, cx)))
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        Box::pin(self.pass("observe", self.inner.observe(machines, cx)))
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pass("power", self.inner.power(made, to, cx)))
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        Box::pin(self.pass("admission", self.inner.admission(made, cx)))
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pass("admit", self.inner.admit(made, door, cx)))
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pass("destroy", self.inner.destroy(resource, cx)))
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        Box::pin(self.pass("find_owned", self.inner.find_owned(cx)))
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.pass("mark", self.inner.mark(resource, cx)))
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.pass("console", self.inner.console(made, cx)))
    }
}
