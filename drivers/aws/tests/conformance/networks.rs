//! Networks that are the account's own: what a person names is used and stays as it is.

use wharf_core::{Kind, Look};
use wharf_driver::State;
use wharf_testkit::suite::Bench;
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

/// A VPC with one subnet in the first zone, and its group; `ipv6` when the subnet has such a network, too.
struct Own {
    vpc: String,
    subnet: String,
    group: String,
}

fn own(cloud: &Cloud, ipv6: bool) -> Own {
    let yes = if ipv6 { "true" } else { "false" };
    let vpc = cloud.owner(
        &[("Action", "CreateVpc"), ("CidrBlock", "10.7.0.0/16"), ("AmazonProvidedIpv6CidrBlock", yes)],
        "vpcId",
    );
    let mut subnet = vec![
        ("Action", "CreateSubnet".to_owned()),
        ("VpcId", vpc.clone()),
        ("CidrBlock", "10.7.1.0/24".to_owned()),
        ("AvailabilityZone", "us-east-1a".to_owned()),
    ];
    if ipv6 {
        let block = cloud.owner(&[("Action", "DescribeVpcs"), ("VpcId.1", &vpc)], "ipv6CidrBlock");
        subnet.push(("Ipv6CidrBlock", block.replace("/56", "/64")));
    }
    let subnet: Vec<_> = subnet.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let subnet = cloud.owner(&subnet, "subnetId");
    let group = cloud.owner(
        &[
            ("Action", "CreateSecurityGroup"),
            ("GroupName", "theirs"),
            ("GroupDescription", "x"),
            ("VpcId", &vpc),
        ],
        "groupId",
    );
    Own { vpc, subnet, group }
}

/// A machine is made in `cloud`, and afterwards everything is there that was there before, and nothing else.
async fn lives(cloud: Cloud, what: &str) -> wharf_core::Connection {
    let before = cloud.remains().await;
    let bench = Bench::new(cloud);
    let created = bench.create(&Switch::default()).await.unwrap().unwrap();
    let name = ["trial".parse().unwrap()];
    let call = bench.call("ls");
    let seen =
        bench.process(&Switch::default(), |driver| driver).observe(&name, Look::States, &call).await.unwrap();
    assert_eq!(seen[0].state, Some(State::Running), "{what}");
    bench.remove(&Switch::default()).await.unwrap().unwrap();
    assert_eq!(bench.world.remains().await, before, "{what}");
    created.connection
}

#[tokio::test]
async fn a_vpc_a_subnet_and_a_group_that_are_there_are_used_and_stay() {
    let cloud = Cloud::changed(|config| config.default_vpc = false);
    let own = own(&cloud, false);
    let by_vpc = lives(cloud.with("aws-vpc-id", &[&own.vpc]), "by its VPC").await;
    assert!(by_vpc.engine_host.starts_with("203."), "{}", by_vpc.engine_host);

    let cloud = Cloud::changed(|config| config.default_vpc = false);
    let own = self::own(&cloud, false);
    let cloud = cloud.with("aws-subnet-id", &[&own.subnet]).with("aws-use-private-address", &["true"]);
    let cloud = cloud.with("aws-security-group", &["theirs"]);
    let asked = lives(cloud, "by its subnet").await;
    assert!(asked.engine_host.starts_with("10.7.1."), "{}", asked.engine_host);
}

#[tokio::test]
async fn a_group_by_its_id_is_neither_made_nor_changed() {
    let cloud = Cloud::new();
    let own = own(&cloud, false);
    let cloud = cloud.with("aws-subnet-id", &[&own.subnet]).with("aws-security-group", &[&own.group]);
    let bench = Bench::new(cloud);
    bench.create(&Switch::default()).await.unwrap().unwrap();
    for api in ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"] {
        assert_eq!(bench.world.simulator.count(api), 0, "{api}");
    }
    bench.remove(&Switch::default()).await.unwrap().unwrap();
    assert_eq!(bench.world.simulator.count("DeleteSecurityGroup"), 0);
    assert_eq!(bench.world.remains().await, [own.group]);
}

#[tokio::test]
async fn a_machine_has_ipv6_beside_ipv4_or_alone() {
    let cloud = Cloud::new();
    let own = own(&cloud, true);
    let cloud = cloud.with("aws-subnet-id", &[&own.subnet]).with("aws-ipv6-address-count", &["2"]);
    let beside = lives(cloud, "both").await;
    assert!(beside.engine_host.starts_with("203."), "{}", beside.engine_host);

    let cloud = Cloud::new();
    let own = self::own(&cloud, true);
    let cloud = cloud.with("aws-subnet-id", &[&own.subnet]).with("aws-ipv6-address-only", &["true"]);
    let alone = lives(cloud, "alone").await;
    let address: std::net::Ipv6Addr = alone.engine_host.parse().unwrap();
    assert_eq!(alone.url, format!("tcp://[{address}]:2376"), "{alone:?}");
}

#[tokio::test]
async fn a_subnet_of_another_vpc_is_refused() {
    let cloud = Cloud::new();
    let (one, other) = (own(&cloud, false), own(&cloud, false));
    let bench = Bench::new(cloud.with("aws-vpc-id", &[&one.vpc]).with("aws-subnet-id", &[&other.subnet]));
    let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error:?}");
    assert!(error.message().contains(&other.vpc) && error.message().contains(&one.vpc), "{error}");
}
