//! A simulated cloud in which a minute takes less than a second, and what a machine in it is configured with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf_driver::{Clock, Configure as _, Factory, Settings};
use wharf_driver_azure::Azure;
use wharf_sim::{Flavour, Simulator};
use wharf_testkit::{Fast, World, bearable};

/// How many times as fast as a real cloud, where the computer keeps up with it.
const TIMES: f64 = 400.0;

pub(crate) struct Cloud {
    pub(crate) simulator: Simulator,
    clock: Arc<Fast>,
    settings: Settings,
    /// What the person's environment says beside or instead of the usual.
    own: Vec<(String, String)>,
    stride: usize,
    first: usize,
    minutes: u64,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cloud {
    /// A cloud of this flavour with nothing in it.
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self::changed(flavour, |_| {})
    }

    /// A cloud of this flavour that `change` makes special.
    pub(crate) fn changed(flavour: Flavour, change: impl FnOnce(&mut wharf_sim::Config)) -> Self {
        Self::at(flavour, bearable(TIMES), change)
    }

    /// A cloud whose limits are the published ones, and in which everything is `times` as fast: its work, its limits,
    /// and its client's clock.
    pub(crate) fn limited(flavour: Flavour, times: f64) -> Self {
        Self::at(flavour, times, |config| (config.throttled, config.limits_scale) = (true, true))
    }

    fn at(flavour: Flavour, times: f64, change: impl FnOnce(&mut wharf_sim::Config)) -> Self {
        let clock = wharf_sim::Clock::real(time::OffsetDateTime::now_utc(), 1.0 / times);
        let mut config = wharf_sim::Config::new(flavour, clock);
        config.throttled = false;
        change(&mut config);
        // Its own threads: it goes on when a test's runtime is busy, as a cloud does.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start = || runtime.block_on(Simulator::start(config)).unwrap();
        let simulator = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
        let mut settings = Settings::default();
        let mut set = |flag: &str, value: String| settings.set(flag, vec![value]);
        set("azure-endpoint", simulator.endpoint().to_owned());
        set("azure-ca", simulator.ca().display().to_string());
        set("azure-subscription-id", simulator.config().account.subscription.clone());
        Self {
            simulator,
            clock: Arc::new(Fast::new(times)),
            settings,
            own: Vec::new(),
            stride: 0,
            first: 0,
            minutes: 400,
            runtime: Some(runtime),
        }
    }

    /// With a setting of the person's.
    pub(crate) fn with(mut self, flag: &str, values: &[&str]) -> Self {
        self.settings.set(flag, values.iter().map(|&value| value.to_owned()).collect());
        self
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

    /// Beginning with this one.
    pub(crate) fn from(mut self, first: usize) -> Self {
        self.first = first;
        self
    }

    /// How often what was called, whose name begins like this.
    pub(crate) fn count(&self, prefix: &str) -> u64 {
        let counts = self.simulator.cloud().counts();
        counts.iter().filter(|(call, _)| call.starts_with(prefix)).map(|(_, count)| count).sum()
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
        Factory::of::<Azure>()
    }

    fn config(&self) -> Value {
        serde_json::to_value(Azure::configure(&self.settings).unwrap()).unwrap()
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { self.simulator.cloud().holds() })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let account = &self.simulator.config().account;
        [
            ("AZURE_CLIENT_ID", &account.client),
            ("AZURE_CLIENT_SECRET", &account.secret),
            ("AZURE_TENANT_ID", &account.tenant),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into_iter()
        .chain(self.own.iter().cloned())
        .collect()
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(60 * self.minutes)
    }

    fn stride(&self) -> usize {
        self.stride
    }

    fn first(&self) -> usize {
        self.first
    }
}

/// A file of a test's own folder.
pub(crate) fn put(path: &std::path::Path, text: impl AsRef<[u8]>) {
    use std::io::Write as _;
    std::fs::File::create(path).unwrap().write_all(text.as_ref()).unwrap();
}
