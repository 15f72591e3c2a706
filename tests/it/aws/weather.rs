//! Bad input and bad weather by the program itself: the code that scripts branch on, what is said, what to do now, and
//! that nothing is left behind. Instances are records here; what goes wrong does so before a host would matter.

use wharf_ec2_sim::{Config, Effect};

use super::scene::{Account, Scene, program};
use crate::world::{ended, text};

impl Account<'_> {
    fn fault(self, api: &str, effect: Effect, times: usize) -> Self {
        self.simulator.add_fault(api, effect, times);
        self
    }

    /// `create` ends with `code` and these words, and whatever it left is gone after `rm`.
    fn ends(mut self, code: i32, says: &str, hint: &str, more: &[&str]) {
        let create = ["create", "--driver", "aws", "--no-bootstrap", "web"];
        let output = self.wharf(&[&create[..], more].concat()).output().unwrap();
        let said = ended(&output, code, says, hint);
        self.simulator.clear_faults();
        if text(&self.wharf(&["ls", "-q"]).output().unwrap()).contains("web") {
            // Whoever cannot sign in cannot remove.
            let (key, secret) = (self.simulator.config().key.clone(), self.simulator.config().secret.clone());
            self = self.set("AWS_ACCESS_KEY_ID", &key).set("AWS_SECRET_ACCESS_KEY", &secret);
            self = self.set("AWS_SESSION_TOKEN", "");
            let removed = self.wharf(&["rm", "-y", "web"]).output().unwrap();
            assert!(removed.status.success(), "{said}\nthen {}", text(&removed));
        }
        self.is_empty(&said);
    }
}

fn refusal(status: u16, code: &str) -> Effect {
    Effect::Refuse { status, code: code.into() }
}

#[test]
fn who_does_not_get_into_an_account_reads_why() {
    let Some(program) = program("who_does_not_get_into_an_account_reads_why") else { return };
    let scene = Scene::new(program);
    let account = || scene.hostless(|_| {});
    account().set("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0001").ends(7, "security token", "access key", &[]);
    account().set("AWS_SECRET_ACCESS_KEY", "another").ends(7, "SignatureDoesNotMatch", "secret key", &[]);
    account().set("AWS_SECRET_ACCESS_KEY", "").ends(7, "AWS_SECRET_ACCESS_KEY is not", "AWS_PROFILE", &[]);
    account().set("AWS_SESSION_TOKEN", "expired").ends(7, "expired", "aws sso login", &[]);
    let denying = |api: &str| {
        let denied = vec![api.to_owned()];
        scene.hostless(move |config: &mut Config| config.denied = denied)
    };
    denying("RunInstances").ends(7, "ec2:RunInstances", "policy", &[]);
    denying("GetParameter").ends(7, "ssm:GetParameter", "policy", &[]);
    let nowhere = account().set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    nowhere.ends(5, "cannot be reached", "--aws-endpoint-url", &[]);
}

#[test]
fn what_an_account_does_not_offer_is_named_with_what_it_does() {
    let Some(program) = program("what_an_account_does_not_offer_is_named_with_what_it_does") else { return };
    let scene = Scene::new(program);
    let account = || scene.hostless(|_| {});
    account().ends(3, "no image", "--aws-ami ubuntu", &["--aws-ami", "ami-0ffffffffffffffff"]);
    account().ends(3, "t3.smol", "t3.small", &["--aws-instance-type", "t3.smol"]);
    account().ends(3, "us-east-1z", "us-east-1a", &["--aws-zone", "z"]);
    let absent = ["--aws-ami", "resolve:ssm:/nobody/keeps/this"];
    account().ends(3, "/nobody/keeps/this", "--aws-ami ami-ID", &absent);
    let bare = scene.hostless(|config| config.default_vpc = false);
    bare.ends(3, "no default VPC", "--aws-vpc-id", &[]);
    account().ends(2, "none of gp3", "wharf create --help", &["--aws-volume-type", "gp9"]);
}

#[test]
fn an_accounts_weather_is_outlasted_or_told() {
    let Some(program) = program("an_accounts_weather_is_outlasted_or_told") else { return };
    let scene = Scene::new(program);
    let account = || scene.hostless(|_| {});
    account()
        .fault("DescribeInstances", refusal(503, "Unavailable"), 3)
        .fault("RunInstances", refusal(503, "RequestLimitExceeded"), 2)
        .ends(0, "web", "", &[]);
    for cut in [Effect::CutAfter, Effect::CutThenDone] {
        account().fault("RunInstances", cut, 1).ends(0, "web", "", &[]);
    }
    for (code, hint) in [
        ("VcpuLimitExceeded", "Service Quotas"),
        ("InstanceLimitExceeded", "Service Quotas"),
        ("MaxSpotInstanceCountExceeded", "Service Quotas"),
        ("InsufficientFreeAddressesInSubnet", "--aws-subnet-id"),
        ("SpotMaxPriceTooLow", "--aws-spot-price"),
    ] {
        account().fault("RunInstances", refusal(400, code), 1).ends(8, code, hint, &[]);
    }
    account().fault("CreateSecurityGroup", refusal(400, "SecurityGroupLimitExceeded"), 1).ends(
        8,
        "SecurityGroupLimitExceeded",
        "Service Quotas",
        &[],
    );
    account().fault("GetParameter", refusal(400, "ThrottlingException"), 2).ends(0, "web", "", &[]);
    let full = |zones: &str| {
        let zones = zones.chars().collect();
        scene.hostless(move |config: &mut Config| config.full = zones)
    };
    full("ab").ends(0, "web", "", &[]);
    full("a").ends(8, "no room", "--aws-instance-type", &["--aws-zone", "a"]);
    let slow = scene.hostless(|config| config.durations.boot = std::time::Duration::from_secs(86_400));
    slow.ends(1, "did not end before", "--timeout", &["--timeout", "3"]);
}
