//! An account in which a minute takes less than a second, and what a machine in it is configured with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf_driver::{Clock, Configure as _, Factory, Settings};
use wharf_driver_aws::Aws;
use wharf_ec2_sim::body::{Bodies, NoBodies};
use wharf_ec2_sim::{Config, Moto, Simulator};
use wharf_testkit::{Fast, World, bearable};

/// How many times as fast as a real cloud, where the computer keeps up with it.
const TIMES: f64 = 200.0;

fn python() -> PathBuf {
    let python = std::env::var_os("WHARF_TEST_MOTO").map(PathBuf::from);
    python.unwrap_or_else(|| {
        panic!("WHARF_TEST_MOTO names the Python that moto is installed for; tests/run.sh sets it")
    })
}

pub(crate) struct Cloud {
    pub(crate) simulator: Simulator,
    clock: Arc<Fast>,
    settings: Settings,
    own: Vec<(String, String)>,
    stride: usize,
    minutes: u64,
    runtime: Option<tokio::runtime::Runtime>,
    /// Its own, where it has one.
    busy_moto: Option<(Moto, tempfile::TempDir)>,
}

impl Cloud {
    /// An account with nothing in it.
    pub(crate) fn new() -> Self {
        Self::changed(|_| {})
    }

    /// An account that `change` makes special.
    pub(crate) fn changed(change: impl FnOnce(&mut Config)) -> Self {
        Self::within_moto(Moto::shared(&python()).unwrap(), bearable(TIMES), change, Arc::new(NoBodies))
    }

    /// One that keeps moto so busy that no other account should have to wait for it.
    pub(crate) fn apart(times: f64, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = Moto::start(&python(), folder.path()).unwrap();
        let mut cloud = Self::within_moto(&own, times, change, Arc::new(NoBodies));
        cloud.busy_moto = Some((own, folder));
        // It would hardly ever go.
        cloud.clock = Arc::new(Fast::new(times));
        cloud
    }

    /// An account whose instances have these bodies.
    pub(crate) fn with_bodies(bodies: Arc<dyn Bodies>) -> Self {
        Self::within_moto(Moto::shared(&python()).unwrap(), bearable(TIMES), |_| {}, bodies)
    }

    fn within_moto(
        moto: &Moto,
        times: f64,
        change: impl FnOnce(&mut Config),
        bodies: Arc<dyn Bodies>,
    ) -> Self {
        let mut config = Config { times, ..Config::default() };
        change(&mut config);
        // Its own threads: it goes on when a test's runtime is busy, as a cloud does.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start = || runtime.block_on(Simulator::with_bodies(moto, config, bodies)).unwrap();
        let simulator = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
        let mut settings = Settings::default();
        settings.set("aws-endpoint-url", vec![simulator.endpoint()]);
        settings.set("aws-region", vec!["us-east-1".to_owned()]);
        let clock = Fast::new(times).without(simulator.computed());
        Self {
            simulator,
            clock: Arc::new(clock),
            settings,
            own: Vec::new(),
            stride: 0,
            minutes: 200,
            runtime: Some(runtime),
            busy_moto: None,
        }
    }

    /// With a setting of the person's.
    pub(crate) fn with(mut self, flag: &str, values: &[&str]) -> Self {
        self.settings.set(flag, values.iter().map(|&value| value.to_owned()).collect());
        self
    }

    /// What the account's owner did before: an action, and the first `fact` of its answer.
    pub(crate) fn owner(&self, params: &[(&str, &str)], fact: &str) -> String {
        let runtime = self.runtime.as_ref().unwrap();
        let doing = || runtime.block_on(self.simulator.owner_does(params, fact));
        let said = std::thread::scope(|scope| scope.spawn(doing).join().unwrap());
        assert!(!said.is_empty(), "{params:?} told no {fact}");
        said
    }

    /// With this in the person's environment; an empty value is as good as none.
    pub(crate) fn signed_in_by(mut self, environment: &[(&str, &str)]) -> Self {
        self.own = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self
    }

    /// With so many minutes for each verb, for trials that wait until they are over.
    pub(crate) fn within(mut self, minutes: u64) -> Self {
        self.minutes = minutes;
        self
    }

    /// Tries only some of the suite's points.
    pub(crate) fn every(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl World for Cloud {
    fn factory(&self) -> Factory {
        Factory::of::<Aws>()
    }

    fn config(&self) -> Value {
        serde_json::to_value(Aws::configure(&self.settings).unwrap()).unwrap()
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(self.simulator.holds())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let config = self.simulator.config();
        [("AWS_ACCESS_KEY_ID", &config.key), ("AWS_SECRET_ACCESS_KEY", &config.secret)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .chain(self.own.iter().cloned())
            .collect()
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(60 * self.minutes)
    }

    fn stride(&self) -> usize {
        self.stride
    }
}
