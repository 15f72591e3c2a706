//! Killing at a chosen point. Whoever passes that point never comes back, and the test drops the verb's future: to the
//! store, the driver and the hosts this is what `kill -9` is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wharf_core::bootstrap::{Bootstrap, Engine, Host, Outcome, Provision, Ran, Upgrade};
use wharf_core::journal::Entry;
use wharf_core::store::{Lease, Store, Subject, Wait};
use wharf_core::{Duplex, EngineFacts, PlannedStep};
use wharf_driver::{
    About, Account, Admission, AnyDriver, Context, Door, Found, Known, MachineName, MachineSpec, Observation,
    Plan, Power, Result, StoreId, Survey,
};

/// How long a cut call has run when its caller dies.
const CUT_AFTER: Duration = Duration::from_millis(1);

/// Counts the points that a verb passes, and kills at one of them.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    passed: Mutex<Vec<String>>,
    kill_at: Option<usize>,
    killed: CancellationToken,
}

impl Switch {
    /// Kills at the point of this index; never when `None`.
    #[must_use]
    pub fn at(kill_at: Option<usize>) -> Self {
        Self(Arc::new(Inner { kill_at, ..Inner::default() }))
    }

    /// Every point that was passed, in order.
    #[must_use]
    pub fn passed(&self) -> Vec<String> {
        self.0.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `verb` until it ends or is killed; `None` when it was killed.
    pub async fn run<T>(&self, verb: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.killed.cancelled() => None,
            done = verb => Some(done),
        }
    }

    /// Passes a point, or dies there.
    async fn pass(&self, point: &str) {
        if self.here(point) {
            self.die().await;
        }
    }

    /// Passes three points around `call`: before it, in the middle of it, and after its effect.
    async fn around<T>(&self, name: &str, call: impl Future<Output = T>) -> T {
        self.pass(&format!("before {name}")).await;
        if self.here(&format!("during {name}")) {
            drop(tokio::time::timeout(CUT_AFTER, call).await);
            self.die().await;
            unreachable!("the dead do not come back");
        }
        let done = call.await;
        self.pass(&format!("after {name}")).await;
        done
    }

    fn here(&self, point: &str) -> bool {
        let mut passed = self.0.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.push(point.to_owned());
        self.0.kill_at == Some(passed.len() - 1)
    }

    async fn die(&self) {
        self.0.killed.cancel();
        std::future::pending::<()>().await;
    }
}

/// A store whose writers may be killed.
#[derive(Debug)]
pub struct CrashStore {
    inner: Arc<dyn Store>,
    switch: Switch,
}

impl CrashStore {
    /// Writes to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, switch: Switch) -> Self {
        Self { inner, switch }
    }
}

type Stored<T> = wharf_core::Result<T>;

impl Store for CrashStore {
    fn id(&self) -> BoxFuture<'_, Stored<StoreId>> {
        self.inner.id()
    }

    fn machines(&self) -> BoxFuture<'_, Stored<Vec<MachineName>>> {
        self.inner.machines()
    }

    fn lock<'a>(&'a self, subject: &'a Subject, wait: &'a Wait<'a>) -> BoxFuture<'a, Stored<Lease>> {
        self.inner.lock(subject, wait)
    }

    fn journal<'a>(&'a self, name: &'a MachineName) -> BoxFuture<'a, Stored<Vec<Entry>>> {
        self.inner.journal(name)
    }

    fn append<'a>(&'a self, lease: &'a Lease, entry: &'a Entry) -> BoxFuture<'a, Stored<()>> {
        let name = format!("event {} {}", entry.number, entry.event.name());
        Box::pin(async move {
            self.switch.pass(&format!("before {name}")).await;
            let done = self.inner.append(lease, entry).await;
            self.switch.pass(&format!("after {name}")).await;
            done
        })
    }

    fn put<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Stored<()>> {
        Box::pin(async move {
            self.switch.pass(&format!("before file {file}")).await;
            self.inner.put(lease, file, bytes).await
        })
    }

    fn delete<'a>(&'a self, lease: &'a Lease, file: &'a str) -> BoxFuture<'a, Stored<()>> {
        Box::pin(async move {
            self.switch.pass(&format!("before deleting {file}")).await;
            self.inner.delete(lease, file).await
        })
    }

    fn get<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Stored<Option<Vec<u8>>>> {
        self.inner.get(subject, file)
    }

    fn put_own<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Stored<()>> {
        Box::pin(async move {
            self.switch.pass(&format!("before file {file}")).await;
            self.inner.put_own(lease, file, bytes).await
        })
    }

    fn own<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Stored<Option<Vec<u8>>>> {
        self.inner.own(subject, file)
    }

    fn path(&self, subject: &Subject) -> PathBuf {
        self.inner.path(subject)
    }

    fn holder<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Stored<Option<String>>> {
        self.inner.holder(subject)
    }

    fn unlock<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Stored<()>> {
        self.inner.unlock(subject)
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.inner.settled()
    }

    fn forget<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Stored<()>> {
        Box::pin(async move {
            self.switch.pass("before forgetting").await;
            self.inner.forget(lease).await
        })
    }
}

/// Hosts whose caller may be killed.
#[derive(Debug)]
pub struct CrashHosts {
    inner: Arc<dyn Bootstrap>,
    switch: Switch,
}

impl CrashHosts {
    /// Asks `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Bootstrap>, switch: Switch) -> Self {
        Self { inner, switch }
    }
}

impl Bootstrap for CrashHosts {
    fn check(&self) -> Stored<()> {
        self.inner.check()
    }

    fn plan<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Stored<Vec<PlannedStep>>> {
        self.inner.plan(wish)
    }

    fn provision<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Stored<Outcome>> {
        Box::pin(self.switch.around("provision", self.inner.provision(wish)))
    }

    fn certify<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Stored<u64>> {
        Box::pin(self.switch.around("certify", self.inner.certify(wish)))
    }

    fn revoke<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Stored<()>> {
        Box::pin(self.switch.around("revoke", self.inner.revoke(wish)))
    }

    fn upgrade<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Stored<Upgrade>> {
        Box::pin(self.switch.around("upgrade", self.inner.upgrade(wish)))
    }

    fn purge<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Stored<()>> {
        Box::pin(self.switch.around("purge", self.inner.purge(host)))
    }

    fn restart<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Stored<()>> {
        Box::pin(self.switch.around("restart", self.inner.restart(host)))
    }

    fn run<'a>(
        &'a self,
        host: &'a Host,
        command: Option<&'a str>,
        input: &'a [u8],
    ) -> BoxFuture<'a, Stored<Ran>> {
        self.inner.run(host, command, input)
    }

    fn tunnel<'a>(&'a self, host: &'a Host, port: u16) -> BoxFuture<'a, Stored<Box<dyn Duplex>>> {
        self.inner.tunnel(host, port)
    }

    fn ask<'a>(&'a self, engine: &'a Engine) -> BoxFuture<'a, Stored<EngineFacts>> {
        self.inner.ask(engine)
    }
}

/// A driver whose caller may be killed.
#[derive(Debug)]
pub struct CrashDriver {
    inner: Arc<dyn AnyDriver>,
    switch: Switch,
}

impl CrashDriver {
    /// Calls `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn AnyDriver>, switch: Switch) -> Self {
        Self { inner, switch }
    }
}

impl AnyDriver for CrashDriver {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn account(&self) -> Option<Account> {
        self.inner.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        self.inner.survey(cx)
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        self.inner.plan(spec, now, cx)
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        let name = format!("perform {}", short(action));
        Box::pin(async move { self.switch.around(&name, self.inner.perform(action, made, cx)).await })
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        self.inner.settle(action, cx)
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        self.inner.observe(machines, cx)
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        let name = format!("power {to:?}");
        Box::pin(async move { self.switch.around(&name, self.inner.power(made, to, cx)).await })
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        self.inner.admission(made, cx)
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        let name = format!("admit {door:?}");
        Box::pin(async move { self.switch.around(&name, self.inner.admit(made, door, cx)).await })
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        let name = format!("destroy {}", short(resource));
        Box::pin(async move { self.switch.around(&name, self.inner.destroy(resource, cx)).await })
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        self.inner.find_owned(cx)
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        self.inner.mark(resource, cx)
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        self.inner.console(made, cx)
    }
}

/// Enough of a value to know it by.
fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
