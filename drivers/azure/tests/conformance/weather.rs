//! Bad weather as the person who types `create` meets it: the kind that the exit code follows from, what is said, what
//! to do now, and that `rm` afterwards leaves nothing.

use wharf_core::{Error, Kind};
use wharf_sim::{Effect, Fault, Flavour, Policy};
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Switch, World as _};

use crate::world::{Cloud, put};

fn public() -> Cloud {
    Cloud::new(Flavour::Public)
}

fn refusal(status: u16, code: &str, retry_after: Option<u64>) -> Effect {
    Effect::Refuse { status, code: code.into(), message: format!("it is {code}"), retry_after }
}

/// What `create` says, after which nothing is left; `at_once` when it must have made nothing to begin with.
async fn refused(cloud: Cloud, at_once: bool) -> Error {
    let bench = Bench::new(cloud);
    let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
    if at_once {
        assert_eq!(bench.world.count("PUT "), 0, "{error}");
    }
    bench.world.simulator.cloud().clear_faults();
    if at_once {
        assert_eq!(bench.world.remains().await, [""; 0], "{error}");
    } else {
        bench.gone(error.message()).await;
    }
    error
}

fn says(error: &Error, kind: Kind, message: &str, hint: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.message().contains(message), "{error}");
    assert!(error.advice().unwrap_or_default().contains(hint), "{error}: {:?}", error.advice());
}

#[tokio::test]
async fn who_cannot_sign_in_is_told_why() {
    let other = "00000000-0000-4000-8000-000000000001";
    let error = refused(public().with("azure-subscription-id", &[other]), true).await;
    says(&error, Kind::NotAllowed, other, "subscription");

    let error = refused(public().with("azure-tenant-id", &[wharf_sim::OTHER_TENANT]), true).await;
    says(&error, Kind::NotAllowed, "", "tenant");

    let expired = public().simulator.config().account.expired_secret.clone();
    let error = refused(public().signed_in_by(&[("AZURE_CLIENT_SECRET", &expired)]), true).await;
    says(&error, Kind::NotAllowed, "expired", "secret");

    let folder = tempfile::tempdir().unwrap();
    let keyless = folder.path().join("certificate.pem");
    let pem = std::fs::read_to_string(public().simulator.ca()).unwrap();
    put(&keyless, pem);
    let keyless = keyless.display().to_string();
    let certificate = [("AZURE_CLIENT_SECRET", ""), ("AZURE_CLIENT_CERTIFICATE_PATH", keyless.as_str())];
    let error = refused(public().signed_in_by(&certificate), true).await;
    says(&error, Kind::NotAllowed, "no private key", "into one file");
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_told_apart_from_one_that_is_away() {
    let cloud = public();
    let nothing = refusal(404, "NotFound", None);
    cloud.simulator.cloud().add_fault(Fault::new("GET", "metadata/endpoints", nothing));
    let error = refused(cloud, true).await;
    says(&error, Kind::Refused, "no Azure Resource Manager", "management.REGION.DOMAIN");

    let error = refused(public().with("azure-endpoint", &["https://127.0.0.1:9"]), true).await;
    says(&error, Kind::Unreachable, "127.0.0.1 cannot be reached", "");
}

#[tokio::test]
async fn what_a_policy_forbids_is_named() {
    let cloud = public();
    cloud.simulator.cloud().add_policy(Policy {
        name: "no-public-addresses".into(),
        resource_type: "Microsoft.Network/publicIPAddresses".into(),
        unless_tag: None,
    });
    let error = refused(cloud, false).await;
    says(&error, Kind::Refused, "no-public-addresses", "policy");
}

#[tokio::test]
async fn who_may_not_register_a_provider_is_told_who_may() {
    let cloud = Cloud::changed(Flavour::Public, |config| {
        config.registered.retain(|namespace| namespace != "Microsoft.Network");
        config.account.denied = vec!["Microsoft.Network/register/action".into()];
    });
    let error = refused(cloud, false).await;
    says(&error, Kind::NotAllowed, "Microsoft.Network", "az provider register");
}

#[tokio::test]
async fn a_firewall_of_somebody_else_is_left_alone() {
    let desk = Desk::new(public()).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    let step = |kind: &str| plan.steps.iter().find(|step| step.action["what"].get(kind).is_some()).unwrap();
    let group = plan.steps.iter().find(|step| step.action["what"] == "group").unwrap();
    let mut other = desk.cx.clone();
    other.owner.store = wharf_driver::StoreId("fedcba9876543210".to_owned());
    let mut made = vec![desk.driver.perform(&group.action, &[], &desk.cx).await.unwrap()];
    made.push(desk.driver.perform(&step("firewall").action, &made, &other).await.unwrap());
    let error = desk.driver.perform(&step("firewall").action, &made, &desk.cx).await.unwrap_err();
    assert_eq!(error.kind(), wharf_driver::Kind::NameTaken, "{error:?}");
    assert!(error.to_string().contains("and it is not ours"), "{error}");
    assert!(error.advice().is_some());
    // Not removed either, under whatever journal.
    desk.driver.destroy(&made[1], &desk.cx).await.unwrap();
    let left = desk.world.remains().await;
    assert!(left.iter().any(|id| id.contains("networkSecurityGroups")), "{left:?}");
}

#[tokio::test]
async fn a_minute_of_429_and_a_503_in_the_middle_are_outlasted() {
    let bench = Bench::new(public());
    let cloud = bench.world.simulator.cloud();
    let throttled = refusal(429, "SubscriptionRequestsThrottled", Some(60));
    cloud.add_fault(Fault::new("PUT", "networkInterfaces", throttled).times(1));
    cloud.add_fault(Fault::new("GET", "operations", refusal(503, "ServiceUnavailable", None)).times(4));
    cloud.add_fault(Fault::new("PUT", "virtualMachines", Effect::CutAfter).times(1));
    bench.ready("a minute").await;
    bench.gone("a minute").await;
}

#[tokio::test]
async fn what_fails_late_says_what_the_cloud_says() {
    let cloud = public();
    let failure =
        Effect::FailLater { code: "OSProvisioningTimedOut".into(), message: "it did not boot".into() };
    cloud.simulator.cloud().add_fault(Fault::new("PUT", "virtualMachines", failure));
    let error = refused(cloud, false).await;
    says(&error, Kind::Failed, "it did not boot", "");

    let cloud = public();
    cloud.simulator.cloud().add_fault(Fault::new("PUT", "virtualMachines", Effect::Cancel));
    let error = refused(cloud, false).await;
    says(&error, Kind::Failed, "anceled", "");
}

#[tokio::test]
async fn an_operation_that_never_ends_ends_for_us() {
    let cloud = public().within(8);
    cloud.simulator.cloud().add_fault(Fault::new("PUT", "virtualMachines", Effect::NeverEnds).times(1));
    let error = refused(cloud, false).await;
    says(&error, Kind::Failed, "did not end before", "--timeout");
}
