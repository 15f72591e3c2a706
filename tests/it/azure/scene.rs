//! A person's computer beside a simulated cloud whose machines are hosts of its lab.

use std::ffi::OsStr;
use std::process::Command;

use tokio::runtime::{Builder, Runtime};
use wharf_sim::{Clock, Config, Entry, Flavour, Simulator};
use wharf_tests::Lab;

use super::proxy::Proxy;
use crate::docker::{import_busybox, wait_until};
use crate::world::{World, expect_success};

/// What takes a cloud a minute takes this one a third of a second, beside what its hosts really take.
const SCALE: f64 = 0.005;
/// The whole command, in every cloud.
pub(super) const CREATE: [&str; 6] = ["create", "--driver", "azure", "--azure-open-port", "8080", "web1"];

pub(crate) struct Scene {
    // In this order they end: the cloud, what carries it, and the lab that its hosts stand in.
    pub(super) simulator: Simulator,
    runtime: Option<Runtime>,
    pub(crate) world: World,
    /// The cloud's own network, where it is not the world's.
    _apart: Option<Lab>,
    environment: Vec<(&'static str, String)>,
}

impl Scene {
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self::within(World::new(), flavour)
    }

    pub(super) fn with_bare_hosts(flavour: Flavour) -> Self {
        Self::within(World::with_bare_hosts(), flavour)
    }

    fn within(world: World, flavour: Flavour) -> Self {
        let (simulator, runtime) = with_hosts(flavour, &world, &world.lab);
        Self::of(world, simulator, runtime, None)
    }

    /// With machines on which the real cloud-init reads what they are born with.
    pub(super) fn with_cloud_init(flavour: Flavour) -> Self {
        let world = World::with_bare_hosts();
        let (simulator, runtime) =
            start(flavour, &world.lab, |config| config.bodies = world.lab.cloud_init_machines());
        Self::of(world, simulator, runtime, None)
    }

    /// With a cloud on another network, to which no way leads but this proxy.
    pub(super) fn behind_a_proxy(flavour: Flavour) -> (Self, Proxy) {
        let (world, apart) = (World::new(), Lab::new());
        let (simulator, runtime) = with_hosts(flavour, &world, &apart);
        let proxy = Proxy::start(&world.lab, runtime.handle(), simulator.address());
        (Self::of(world, simulator, runtime, Some(apart)), proxy)
    }

    fn of(world: World, simulator: Simulator, runtime: Runtime, apart: Option<Lab>) -> Self {
        let environment = environment(&simulator);
        Self { simulator, runtime: Some(runtime), world, _apart: apart, environment }
    }

    /// A token that a forge signed for a job which this cloud's account trusts.
    pub(crate) fn job_token(&self) -> String {
        let cloud = self.simulator.cloud();
        let subject = &self.simulator.config().account.federated_subject;
        // The cloud's days are minutes.
        cloud.ci_token(subject, "api://AzureADTokenExchange", std::time::Duration::from_secs(30 * 24 * 3600))
    }

    /// `wharf` in the environment of this cloud's user.
    pub(super) fn wharf(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut wharf = self.world.wharf(arguments);
        wharf.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        wharf
    }

    /// Another program in the same environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.world.command(program);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// From now on the user's environment has this, too.
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    pub(super) fn wharf_ok(&self, arguments: &[&str]) -> String {
        expect_success(&mut self.wharf(arguments))
    }

    /// A container on the machine, through the context that `create` made.
    pub(super) fn runs_containers(&self) {
        import_busybox(&self.world, "web1");
        self.runs_the_image();
    }

    /// The same, with the image that is there already.
    pub(super) fn runs_the_image(&self) {
        let said = self.world.docker_ok("web1", &["run", "--rm", "busybox", "echo", "in a cloud"]);
        assert_eq!(said, "in a cloud\n");
    }

    /// Nothing in the cloud, no host, nothing in the store, and no context.
    pub(crate) fn nothing_is_left(&self) {
        wait_until("the cloud holds nothing", || self.simulator.cloud().holds().is_empty());
        assert_eq!(self.wharf_ok(&["ls", "-q"]), "");
        assert!(!self.world.store.join("machines/web1").exists());
        self.world.no_machine_is_left();
    }

    /// Whoever signed in did so where this cloud's people do.
    pub(super) fn signed_in_at(&self, path: &str) {
        let calls = self.simulator.cloud().calls();
        let tokens: Vec<_> = calls.iter().filter(|call| call.of == "token").map(|call| &call.path).collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|token| token.ends_with(path)), "{tokens:?}");
    }

    /// No call asked for a version or said a field that this cloud does not have, or was refused at all.
    pub(super) fn nothing_was_refused(&self) {
        let calls = self.simulator.cloud().calls();
        assert!(calls.iter().any(|call| call.method == "PUT" && call.status < 300), "no call was counted");
        let refused: Vec<_> = calls.iter().filter(|call| !usual(call)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }
}

/// What is not there is asked for before it is made; whose the subscription is, by a call without a token.
fn usual(call: &Entry) -> bool {
    match call.status {
        200..=204 => true,
        401 => call.method == "GET",
        404 => call.code.as_deref().is_none_or(|code| code.ends_with("NotFound")),
        _ => call.path == "/metadata/endpoints",
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A cloud on the network `at`, whose machines stand in the world's lab.
fn with_hosts(flavour: Flavour, world: &World, at: &Lab) -> (Simulator, Runtime) {
    start(flavour, at, |config| config.bodies = world.lab.machines())
}

/// What a cloud's time is made of.
pub(super) fn clock() -> Clock {
    Clock::real(time::OffsetDateTime::now_utc(), SCALE)
}

/// A cloud on the network `at`, whose machines have no bodies unless `change` gives them some.
pub(crate) fn start(flavour: Flavour, at: &Lab, change: impl FnOnce(&mut Config)) -> (Simulator, Runtime) {
    let mut config = Config::new(flavour, clock());
    config.throttled = false;
    change(&mut config);
    at.enter(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        (simulator, runtime)
    })
}

/// What a person sets to use this cloud, and nothing else.
pub(crate) fn environment(simulator: &Simulator) -> Vec<(&'static str, String)> {
    let account = &simulator.config().account;
    vec![
        ("AZURE_ENDPOINT", simulator.endpoint().to_owned()),
        ("AZURE_CA", simulator.ca().display().to_string()),
        ("AZURE_SUBSCRIPTION_ID", account.subscription.clone()),
        ("AZURE_CLIENT_ID", account.client.clone()),
        ("AZURE_CLIENT_SECRET", account.secret.clone()),
    ]
}

#[test]
fn a_refused_version_or_field_is_unusual() {
    let call = |method: &str, status, code: Option<&str>| Entry {
        at: 0,
        method: method.to_owned(),
        path: "/subscriptions/s/resourcegroups/rg".to_owned(),
        version: None,
        of: "resourceGroups".to_owned(),
        status,
        code: code.map(str::to_owned),
        client_request_id: None,
        neighbour: false,
    };
    assert!(usual(&call("PUT", 201, None)) && usual(&call("GET", 404, Some("ResourceGroupNotFound"))));
    for code in ["NoRegisteredProviderFound", "InvalidApiVersionParameter", "InvalidRequestContent"] {
        assert!(!usual(&call("PUT", 400, Some(code))), "{code}");
    }
    assert!(!usual(&call("PUT", 401, None)) && !usual(&call("GET", 0, None)));
    assert!(!usual(&call("GET", 404, Some("InvalidResourceType"))));
}
