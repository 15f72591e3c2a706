//! Bad weather as the person who types `create` meets it: the kind that the exit code follows from, what is said, what
//! to do now, and that `rm` afterwards leaves nothing.

use wharf_core::{Error, Kind};
use wharf_ec2_sim::{Effect, Standing};
use wharf_testkit::suite::Bench;
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

/// What `create` says, after which nothing is left; `at_once` when it must have made nothing to begin with.
async fn refused(cloud: Cloud, at_once: bool) -> Error {
    let bench = Bench::new(cloud);
    let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
    bench.world.simulator.clear_faults();
    if at_once {
        let writes = ["CreateSecurityGroup", "RunInstances", "AllocateAddress"];
        assert!(writes.iter().all(|call| bench.world.simulator.count(call) == 0), "{error}");
        assert_eq!(bench.world.remains().await, [""; 0], "{error}");
    } else {
        bench.gone(error.message()).await;
    }
    error
}

fn says(error: &Error, kind: Kind, message: &str, hint: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    let said = format!("{error} {:?}", std::error::Error::source(error).map(ToString::to_string));
    assert!(said.contains(message), "{said}");
    assert!(!hint.is_empty() && error.advice().unwrap_or_default().contains(hint), "{error}: {error:?}");
}

fn refusing(api: &str, status: u16, code: &str) -> Cloud {
    let cloud = Cloud::new();
    cloud.simulator.add_fault(api, Effect::Refuse { status, code: code.into() }, 1);
    cloud
}

#[tokio::test]
async fn who_cannot_sign_in_is_told_why() {
    let wrong = Cloud::new().signed_in_by(&[("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0001")]);
    says(&refused(wrong, true).await, Kind::NotAllowed, "security token", "access key");
    let secret = Cloud::new().signed_in_by(&[("AWS_SECRET_ACCESS_KEY", "of another key")]);
    says(&refused(secret, true).await, Kind::NotAllowed, "SignatureDoesNotMatch", "secret key");
    let clock = Cloud::changed(|config| config.ahead = std::time::Duration::from_secs(3600));
    says(&refused(clock, true).await, Kind::NotAllowed, "Signature expired", "clock");
    let strange = Cloud::new().signed_in_by(&[("AWS_SESSION_TOKEN", "of another key")]);
    says(&refused(strange, true).await, Kind::NotAllowed, "InvalidClientTokenId", "access key");
    let expired = Cloud::new().signed_in_by(&[("AWS_SESSION_TOKEN", "expired")]);
    says(&refused(expired, true).await, Kind::NotAllowed, "expired", "aws sso login");
    let half = Cloud::new().signed_in_by(&[("AWS_SECRET_ACCESS_KEY", "")]);
    says(&refused(half, true).await, Kind::NotAllowed, "AWS_SECRET_ACCESS_KEY is not", "AWS_PROFILE");
    let denied = Cloud::changed(|config| config.denied = vec!["RunInstances".to_owned()]);
    says(&refused(denied, false).await, Kind::NotAllowed, "ec2:RunInstances", "policy");
}

/// An account whose key becomes this right after `api` was answered.
fn once(api: &str, standing: Standing) -> Cloud {
    let cloud = Cloud::new();
    cloud.simulator.add_fault(api, Effect::KeyBecomes(standing), 1);
    cloud
}

#[tokio::test]
async fn a_key_that_ends_on_the_way_is_said_by_whoever_is_asked_next() {
    // EC2 alone is asked after who it is has been told; it does not tell a wrong secret from an unknown key.
    let known = |standing| once("GetCallerIdentity", standing);
    for standing in [Standing::Deleted, Standing::SecretChanged] {
        let error = refused(known(standing), true).await;
        says(&error, Kind::NotAllowed, "not able to validate the provided access credentials", "its secret");
    }
    let error = refused(known(Standing::Expired), true).await;
    says(&error, Kind::NotAllowed, "Request has expired", "aws sso login");
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_said() {
    let away = Cloud::new().with("aws-endpoint-url", &["http://127.0.0.1:9"]);
    says(&refused(away, true).await, Kind::Unreachable, "cannot be reached", "--aws-endpoint-url");
}

#[tokio::test]
async fn what_is_not_offered_is_refused_with_what_is() {
    let image = Cloud::new().with("aws-ami", &["ami-0ffffffffffffffff"]);
    says(&refused(image, true).await, Kind::Refused, "no image", "--aws-ami ubuntu");
    let size = Cloud::new().with("aws-instance-type", &["t3.smol"]);
    says(&refused(size, true).await, Kind::Refused, "t3.smol", "t3.small");
    let zone = Cloud::new().with("aws-zone", &["z"]);
    says(&refused(zone, true).await, Kind::Refused, "us-east-1z", "us-east-1a");
    let subnet = Cloud::new().with("aws-subnet-id", &["subnet-00000000000000000"]);
    says(&refused(subnet, true).await, Kind::Refused, "no subnet", "check both");
    let group = Cloud::new().with("aws-security-group", &["theirs"]);
    says(&refused(group, true).await, Kind::Refused, "no security group", "--aws-security-group");
    let network = Cloud::changed(|config| config.default_vpc = false);
    says(&refused(network, true).await, Kind::Refused, "no default VPC", "--aws-vpc-id");
    let ipv6 = Cloud::new().with("aws-ipv6-address-only", &["true"]);
    says(&refused(ipv6, true).await, Kind::Refused, "IPv6", "--aws-subnet-id");
}

#[tokio::test]
async fn too_much_user_data_is_refused_with_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.sh");
    std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), "x".repeat(16_000).as_bytes())
        .unwrap();
    let cloud = Cloud::new().with("aws-user-data", &[file.to_str().unwrap()]);
    says(&refused(cloud, true).await, Kind::Refused, "mine.sh", "--aws-user-data");
}

#[tokio::test]
async fn quota_and_capacity_are_told_apart_from_failures() {
    for (code, hint) in [
        ("VcpuLimitExceeded", "Service Quotas"),
        ("InstanceLimitExceeded", "Service Quotas"),
        ("InsufficientFreeAddressesInSubnet", "--aws-subnet-id"),
    ] {
        says(&refused(refusing("RunInstances", 400, code), false).await, Kind::Quota, code, hint);
    }
    let early = Cloud::new().with("aws-zone", &["a"]);
    let effect = Effect::EndsEarly("Server.InsufficientInstanceCapacity".into());
    early.simulator.add_fault("RunInstances", effect, 1);
    says(&refused(early, false).await, Kind::Quota, "no room", "--aws-instance-type");
}

#[tokio::test]
async fn a_group_whose_rules_are_refused_is_not_forgotten() {
    let error = refused(refusing("AuthorizeSecurityGroupIngress", 400, "InvalidParameterValue"), false).await;
    assert_eq!(error.kind(), Kind::Refused, "{error:?}");
    assert!(error.message().contains("AuthorizeSecurityGroupIngress"), "{error}");
}

#[tokio::test]
async fn storms_are_outlasted() {
    let bench = Bench::new(Cloud::new());
    for api in ["DescribeInstances", "RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress"] {
        let storm = Effect::Refuse { status: 503, code: "Unavailable".into() };
        bench.world.simulator.add_fault(api, storm, 2);
    }
    let busy = Effect::Refuse { status: 503, code: "RequestLimitExceeded".into() };
    bench.world.simulator.add_fault("RunInstances", busy, 2);
    bench.ready("storm").await;
    assert_eq!(bench.world.simulator.born(), 1);
    bench.gone("storm").await;
}

#[tokio::test]
async fn an_instance_that_never_runs_ends_for_us() {
    let day = std::time::Duration::from_secs(86_400);
    let cloud = Cloud::changed(|config| config.durations.boot = day).within(5);
    says(&refused(cloud, false).await, Kind::Failed, "did not end before", "--timeout");
}

#[tokio::test]
async fn what_is_too_new_to_be_seen_is_removed_all_the_same() {
    let cloud =
        Cloud::changed(|config| config.durations.lag = std::time::Duration::from_secs(3600)).within(5);
    let full = Effect::Refuse { status: 400, code: "VcpuLimitExceeded".into() };
    cloud.simulator.add_fault("RunInstances", full, 1);
    says(&refused(cloud, false).await, Kind::Quota, "VcpuLimitExceeded", "Service Quotas");
}
