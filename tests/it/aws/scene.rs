//! A person's computer beside a simulated account, whose instances are hosts of its lab where that matters.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use wharf_ec2_sim::body::{Bodies, NoBodies, SshdBodies};
use wharf_ec2_sim::{Config, Moto, Simulator};
use wharf_tests::Lab;

use crate::docker::wait_until;
use crate::world::{World, expect_success, text};

/// The program with the driver; `None` where it was not built, which `test` says then.
pub(crate) fn program(test: &str) -> Option<OsString> {
    let program = std::env::var_os("WHARF_TEST_WHARF_AWS");
    if program.is_none() {
        wharf_tests::skip(test, "WHARF_TEST_WHARF_AWS names no program with the driver aws");
    }
    program
}

pub(super) struct Scene {
    program: OsString,
    pub(super) world: World,
}

/// One account, and what its user set.
pub(super) struct Account<'s> {
    scene: &'s Scene,
    pub(super) simulator: Simulator,
    runtime: Option<Runtime>,
    environment: Vec<(&'static str, String)>,
}

impl Scene {
    pub(super) fn new(program: OsString) -> Self {
        Self { program, world: World::new() }
    }

    /// An account whose instances are hosts, and in which a minute takes three seconds beside what these really take.
    pub(super) fn with_hosts(&self) -> Account<'_> {
        self.account(Config { times: 20.0, throttled: true, ..Config::default() }, self.world.lab.machines())
    }

    /// An account whose instances are SSH servers and nothing else.
    pub(super) fn with_sshds(&self) -> Account<'_> {
        let config = Config { times: 20.0, throttled: true, ..Config::default() };
        self.account(config, Arc::new(SshdBodies::new(self.world.lab.scratch().join("sshds"))))
    }

    /// An account whose instances are records.
    pub(super) fn hostless(&self, change: impl FnOnce(&mut Config)) -> Account<'_> {
        let mut config = Config { times: 200.0, ..Config::default() };
        change(&mut config);
        self.account(config, Arc::new(NoBodies))
    }

    fn account(&self, config: Config, bodies: Arc<dyn Bodies>) -> Account<'_> {
        let (simulator, runtime) = start(&self.world.lab, config, bodies);
        let mut environment = keys(&simulator);
        environment.push(("AWS_ENDPOINT_URL", simulator.endpoint()));
        environment.push(("AWS_REGION", "us-east-1".to_owned()));
        Account { scene: self, simulator, runtime: Some(runtime), environment }
    }
}

/// The moto of all tests.
pub(crate) fn moto() -> &'static Moto {
    let python = PathBuf::from(std::env::var_os("WHARF_TEST_MOTO").expect("tests/run.sh sets it"));
    Moto::shared(&python).unwrap()
}

/// An account on the lab's network.
pub(crate) fn start(lab: &Lab, config: Config, bodies: Arc<dyn Bodies>) -> (Simulator, Runtime) {
    let moto = moto();
    lab.enter(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let simulator = runtime.block_on(Simulator::with_bodies(moto, config, bodies)).unwrap();
        (simulator, runtime)
    })
}

/// What signs in to it.
pub(crate) fn keys(simulator: &Simulator) -> Vec<(&'static str, String)> {
    let Config { key, secret, .. } = simulator.config();
    vec![("AWS_ACCESS_KEY_ID", key.clone()), ("AWS_SECRET_ACCESS_KEY", secret.clone())]
}

impl Account<'_> {
    pub(super) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
        self
    }

    /// `wharf` in the environment of this account's user.
    pub(super) fn wharf(&self, arguments: &[&str]) -> Command {
        let mut wharf = self.scene.world.wharf_by(&self.scene.program, arguments);
        let set = self.environment.iter().filter(|(_, value)| !value.is_empty());
        wharf.envs(set.map(|(name, value)| (*name, value.as_str())));
        wharf
    }

    pub(super) fn wharf_ok(&self, arguments: &[&str]) -> String {
        expect_success(&mut self.wharf(arguments))
    }

    /// Where the machine is reached.
    pub(super) fn address(&self, name: &str) -> String {
        self.wharf_ok(&["ip", name]).trim().to_owned()
    }

    /// Nothing is in the account, and nothing in the store, after what was `said`.
    pub(super) fn is_empty(&self, said: &str) {
        let runtime = self.runtime.as_ref().unwrap();
        wait_until(&format!("the account is empty after {said}"), || {
            runtime.block_on(self.simulator.holds()).is_empty()
        });
        assert_eq!(text(&self.wharf(&["ls", "-q"]).output().unwrap()).trim(), "", "{said}");
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
