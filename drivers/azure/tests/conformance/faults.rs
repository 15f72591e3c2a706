//! Bad input and bad weather, each with its own message, hint and kind, and with nothing left behind.

use wharf_driver::{Error, Kind};
use wharf_sim::{Effect, Fault, Flavour};
use wharf_testkit::World as _;
use wharf_testkit::suite::{Bench, Desk};

use crate::world::Cloud;

/// What connecting or planning says.
async fn refused(cloud: Cloud) -> Error {
    let factory = cloud.factory();
    let (desk_of, config) = (Desk::new(Cloud::new(Flavour::Public)).await, cloud.config());
    let mut cx = desk_of.cx.clone();
    cx.session = wharf_driver::Session::new(cloud.clock()).with_environment(cloud.environment());
    cx.deadline = cloud.clock().now() + cloud.deadline();
    let driver = match factory.connect(config, &cx).await {
        Ok(driver) => driver,
        Err(error) => return error,
    };
    let error = driver.plan(&desk_of.spec, None, &cx).await.unwrap_err();
    assert_eq!(cloud.remains().await, [""; 0]);
    error
}

fn says(error: &Error, kind: Kind, message: &str, hint: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.advice().unwrap_or_default().contains(hint), "{:?}", error.advice());
}

fn public() -> Cloud {
    Cloud::new(Flavour::Public)
}

#[tokio::test]
async fn what_is_not_offered_is_refused_with_what_is() {
    let error = refused(public().with("azure-location", &["westeurop"])).await;
    says(&error, Kind::Refused, "there is no location `westeurop`", "westeurope");
    let error = refused(public().with("azure-size", &["Standard_B2zz"])).await;
    says(&error, Kind::Refused, "no size of Standard_B2zz", "Standard_B2s");
    let error = refused(public().with("azure-image", &["Nobody:none:x:latest"])).await;
    says(&error, Kind::Refused, "no image of Nobody:none:x:latest", "az vm image list");
    let bare = Cloud::changed(Flavour::Hub2020, |config| config.without_images = true);
    says(&refused(bare).await, Kind::Refused, "no image of", "operator");
    let zoned = Cloud::new(Flavour::Hub2020).with("azure-zone", &["1"]);
    says(&refused(zoned).await, Kind::Refused, "no availability zones", "--azure-zone");
    let quota = Cloud::changed(Flavour::Public, |config| config.quotas.cores = 1);
    says(&refused(quota).await, Kind::Quota, "no quota is left", "smaller size");
}

#[tokio::test]
async fn the_wrong_account_is_not_allowed() {
    let other = "00000000-0000-4000-8000-000000000001";
    let error = refused(public().with("azure-subscription-id", &[other])).await;
    assert_eq!(error.kind(), Kind::NotAllowed, "{error:?}");
    let error = refused(public().with("azure-tenant-id", &[wharf_sim::OTHER_TENANT])).await;
    assert_eq!(error.kind(), Kind::NotAllowed, "{error:?}");
}

#[tokio::test]
async fn without_its_authority_a_stamp_is_not_trusted() {
    let cloud = Cloud::new(Flavour::Hub2020).with("azure-ca", &[]);
    says(&refused(cloud).await, Kind::Refused, "is not trusted", "--azure-ca");
}

#[tokio::test]
async fn passing_faults_are_outlasted_and_leave_one_machine() {
    let bench = Bench::new(public());
    let cloud = bench.world.simulator.cloud();
    let busy = || Effect::Refuse {
        status: 503,
        code: "ServiceUnavailable".into(),
        message: "busy".into(),
        retry_after: None,
    };
    cloud.add_fault(Fault::new("PUT", "virtualMachines", Effect::CutAfter).times(1));
    cloud.add_fault(Fault::new("PUT", "networkInterfaces", Effect::CutBefore).times(1));
    cloud.add_fault(Fault::new("PUT", "virtualNetworks", busy()).times(1));
    cloud.add_fault(Fault::new("GET", "operations", busy()).times(3));
    bench.ready("faults").await;
    bench.gone("faults").await;
}

#[tokio::test]
async fn a_machine_that_fails_late_is_made_anew_and_leaves_nothing() {
    let bench = Bench::new(public());
    let failure = Effect::FailLater { code: "AllocationFailed".into(), message: "no room".into() };
    bench.world.simulator.cloud().add_fault(Fault::new("PUT", "virtualMachines", failure).times(1));
    let error = bench.create(&wharf_testkit::Switch::default()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), wharf_core::Kind::Quota, "{error:?}");
    assert!(error.message().contains("no room"), "{error}");
    bench.ready("again").await;
    bench.gone("after a late failure").await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_left_alone() {
    let desk = Desk::new(public()).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    let mut other = desk.cx.clone();
    other.owner.machine = wharf_driver::MachineId::from_bytes([9; 16]);
    let mut made = vec![desk.driver.perform(&plan.steps[0].action, &[], &other).await.unwrap()];
    made.push(desk.driver.perform(&plan.steps[3].action, &made, &other).await.unwrap());
    let error = desk.driver.perform(&plan.steps[3].action, &made, &desk.cx).await.unwrap_err();
    says(&error, Kind::NameTaken, "and it is not ours", "another name");
}
