//! Bad input and bad weather by the program itself: the code that scripts branch on, what is said, what to do now, and that
//! nothing is left behind. The clouds have no bodies here; what goes wrong does so before one would matter.

use std::process::Output;

use tokio::runtime::Runtime;
use wharf_sim::{Config, Effect, Fault, Flavour, Policy, Simulator};

use super::scene;
use crate::world::{World, ended, text};

/// A cloud in some weather, and the person's environment in it.
struct Town<'w> {
    world: &'w World,
    simulator: Simulator,
    runtime: Runtime,
    environment: Vec<(&'static str, String)>,
}

impl<'w> Town<'w> {
    fn new(world: &'w World, flavour: Flavour, change: impl FnOnce(&mut Config)) -> Self {
        let (simulator, runtime) = scene::start(flavour, &world.lab, change);
        let environment = scene::environment(&simulator);
        Self { world, simulator, runtime, environment }
    }

    fn public(world: &'w World) -> Self {
        Self::new(world, Flavour::Public, |_| {})
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
        self
    }

    fn fault(self, method: &str, path: &str, effect: Effect, times: Option<u32>) -> Self {
        let fault = Fault::new(method, path, effect);
        self.simulator.cloud().add_fault(times.map_or(fault.clone(), |times| fault.times(times)));
        self
    }

    fn wharf(&self, arguments: &[&str]) -> Output {
        let mut wharf = self.world.wharf(arguments);
        let set = self.environment.iter().filter(|(_, value)| !value.is_empty());
        wharf.envs(set.map(|(name, value)| (*name, value.as_str()))).output().unwrap()
    }

    fn create(&self, more: &[&str]) -> Output {
        self.wharf(&[&["create", "--driver", "azure", "--no-bootstrap", "web"], more].concat())
    }

    /// `create` ends with `code` and these words, and whatever it left is gone after `rm`.
    fn ends(self, code: i32, says: &str, hint: &str, more: &[&str]) {
        let output = self.create(more);
        let said = ended(&output, code, says, hint);
        self.ends_clean(&said);
    }

    fn ends_clean(mut self, said: &str) {
        // Whoever cannot sign in cannot remove; nothing was made then.
        self.simulator.cloud().clear_faults();
        if text(&self.wharf(&["ls", "-q"])).contains("web") {
            self.environment = scene::environment(&self.simulator);
            let removed = self.wharf(&["rm", "-y", "web"]);
            assert!(removed.status.success(), "{said}\nthen {}", text(&removed));
        }
        let left = self.simulator.cloud().holds();
        assert!(left.is_empty(), "{left:?} is left after {said}");
        assert_eq!(text(&self.wharf(&["ls", "-q"])).trim(), "", "{said}");
        self.runtime.shutdown_background();
    }
}

fn refusal(status: u16, code: &str, retry_after: Option<u64>) -> Effect {
    Effect::Refuse { status, code: code.into(), message: format!("it is {code}"), retry_after }
}

#[test]
fn who_does_not_get_in_reads_why() {
    let world = World::new();
    let town = || Town::public(&world);
    town().set("AZURE_SUBSCRIPTION_ID", "00000000-0000-4000-8000-000000000001").ends(
        7,
        "00000000-0000-4000-8000-000000000001",
        "subscription",
        &[],
    );
    Town::new(&world, Flavour::Public, |config| config.account.without_role = true)
        .set("AZURE_SUBSCRIPTION_ID", "")
        .set("AZURE_TENANT_ID", &Config::new(Flavour::Public, scene::clock()).account.tenant)
        .ends(7, "sees no subscription", "ask for a role", &[]);
    town().set("AZURE_TENANT_ID", wharf_sim::OTHER_TENANT).ends(7, "tenant", "tenant", &[]);
    let town = Town::public(&world);
    let expired = town.simulator.config().account.expired_secret.clone();
    town.set("AZURE_CLIENT_SECRET", &expired).ends(7, "expired", "secret", &[]);
    let town = Town::public(&world);
    let keyless = town.simulator.ca().display().to_string();
    town.set("AZURE_CLIENT_SECRET", "").set("AZURE_CLIENT_CERTIFICATE_PATH", &keyless).ends(
        7,
        "no private key",
        "into one file",
        &[],
    );
    Town::public(&world).set("AZURE_CA", "").ends(3, "certificate", "--azure-ca", &[]);
    Town::public(&world).set("AZURE_ENDPOINT", "https://127.0.0.1:9").ends(5, "cannot be reached", "", &[]);
    Town::public(&world).fault("GET", "metadata/endpoints", refusal(404, "NotFound", None), None).ends(
        3,
        "no Azure Resource Manager",
        "management.REGION.DOMAIN",
        &[],
    );
    Town::new(&world, Flavour::Public, |config| {
        config.registered.retain(|namespace| namespace != "Microsoft.Network");
        config.account.denied = vec!["Microsoft.Network/register/action".into()];
    })
    .ends(7, "Microsoft.Network", "az provider register", &[]);
}

#[test]
fn what_is_not_to_be_had_is_named_with_what_is() {
    let world = World::new();
    let town = || Town::public(&world);
    town().ends(3, "westeuropa", "westeurope", &["--azure-location", "westeuropa"]);
    town().ends(3, "Standard_B2x", "Standard_B2s", &["--azure-size", "Standard_B2x"]);
    town().ends(3, "Canonical:nothing:here:latest", "", &["--azure-image", "Canonical:nothing:here:latest"]);
    Town::new(&world, Flavour::Hub2020, |config| config.without_images = true).ends(
        3,
        "image",
        "operator",
        &[],
    );
    Town::new(&world, Flavour::Public, |config| config.quotas.cores = 1).ends(8, "quota", "", &[]);
    let town = Town::public(&world);
    town.simulator.cloud().add_policy(Policy {
        name: "no-public-addresses".into(),
        resource_type: "Microsoft.Network/publicIPAddresses".into(),
        unless_tag: None,
    });
    town.ends(3, "no-public-addresses", "policy", &[]);
    // A name that is taken is so by this store's own machine.
    let town = Town::public(&world);
    assert!(town.create(&[]).status.success());
    let again = town.create(&["--azure-size", "Standard_B2ms"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again));
    town.ends_clean("a second create");
    // Bought: its plan is said, and the terms' acceptance is the person's.
    let town = Town::public(&world);
    let bought = ["--azure-image", "kinvolk:flatcar-container-linux:stable:latest"];
    let output = town.create(&bought);
    assert!(output.status.success(), "{}", text(&output));
    town.ends_clean("a bought image");
    Town::public(&world)
        .fault("PUT", "virtualMachines", refusal(400, "MarketplacePurchaseEligibilityFailed", None), None)
        .ends(3, "MarketplacePurchaseEligibilityFailed", "az vm image terms accept", &bought);
}

#[test]
fn weather_is_outlasted_or_told() {
    let world = World::new();
    let town = || Town::public(&world);
    town()
        .fault("PUT", "networkInterfaces", refusal(429, "SubscriptionRequestsThrottled", Some(1)), Some(3))
        .fault("GET", "operations", refusal(503, "ServiceUnavailable", None), Some(4))
        .ends(0, "web", "", &[]);
    for cut in [Effect::CutAfter, Effect::CutBefore, Effect::CutLate { seconds: 10.0 }] {
        town().fault("PUT", "virtualMachines", cut, Some(1)).ends(0, "web", "", &[]);
    }
    let late = Effect::FailLater { code: "AllocationFailed".into(), message: "there is no room".into() };
    town().fault("PUT", "virtualMachines", late, None).ends(8, "there is no room", "", &[]);
    town().fault("PUT", "virtualMachines", Effect::NeverEnds, None).ends(
        1,
        "did not end before the deadline",
        "--timeout waits longer",
        &["--timeout", "5"],
    );
}
