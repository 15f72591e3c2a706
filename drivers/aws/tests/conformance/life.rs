//! A machine's life: what is written, that nothing is left, and what options make of it.

use wharf_core::{Kind, Power};
use wharf_testkit::Switch;
use wharf_testkit::suite::Bench;

use crate::world::Cloud;

const WRITES: &[&str] = &["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"];

#[tokio::test]
async fn a_first_machine_takes_three_writes_and_leaves_nothing() {
    let bench = Bench::new(Cloud::new());
    bench.ready("first").await;
    let calls = bench.world.simulator.calls();
    let reads = |call: &&String| !call.starts_with("Describe") && !call.starts_with("Get");
    let writes: Vec<&String> = calls.iter().filter(reads).collect();
    assert_eq!(writes, WRITES, "{calls:?}");
    bench.gone("first").await;
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_instance() {
    use wharf_ec2_sim::Effect::{CutAfter, CutThenDone};
    for effect in [CutAfter, CutThenDone] {
        let bench = Bench::new(Cloud::new());
        bench.world.simulator.add_fault("RunInstances", effect.clone(), 1);
        bench.ready(&format!("{effect:?}")).await;
        assert_eq!(bench.world.simulator.born(), 1, "{effect:?}");
        bench.gone(&format!("{effect:?}")).await;
    }
}

#[tokio::test]
async fn a_token_whose_instance_is_gone_and_forgotten_is_passed_over() {
    let bench = Bench::new(Cloud::new().with("aws-zone", &["a"]));
    let ends = wharf_ec2_sim::Effect::EndsEarly("Server.InternalError".into());
    bench.world.simulator.add_fault("RunInstances", ends, 1);
    let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
    assert!(error.message().contains("ended before it ran"), "{error:?}");
    bench.world.simulator.forget_ended().await;
    bench.ready("forgotten").await;
    let asked = bench.world.simulator.count("RunInstances");
    assert_eq!((asked, bench.world.simulator.born()), (3, 2), "the spent token, and one of its own");
    bench.gone("forgotten").await;
}

#[tokio::test]
async fn stop_and_start_follow_a_changed_address() {
    let bench = Bench::new(Cloud::new());
    let created = bench.create(&Switch::default()).await.unwrap().unwrap();
    let before = created.connection.engine_host.clone();
    bench.power(Power::Off, &Switch::default()).await.unwrap().unwrap();
    let after = bench.power(Power::On, &Switch::default()).await.unwrap().unwrap();
    assert_ne!(before, after.engine_host);
    assert!(after.engine_host.starts_with("203."), "{}", after.engine_host);
    bench.gone("moved").await;
}

#[tokio::test]
async fn an_address_of_its_own_stays() {
    let bench = Bench::new(Cloud::new().with("aws-elastic-address", &["true"]));
    let created = bench.create(&Switch::default()).await.unwrap().unwrap();
    let before = created.connection.engine_host.clone();
    bench.power(Power::Off, &Switch::default()).await.unwrap().unwrap();
    let after = bench.power(Power::On, &Switch::default()).await.unwrap().unwrap();
    assert_eq!(before, after.engine_host);
    bench.gone("stays").await;
}

#[tokio::test]
async fn a_private_machine_is_reached_by_its_private_address() {
    let jump = ["ada@bastion.example:2222"];
    let cloud = Cloud::new().with("aws-private-address-only", &["true"]).with("aws-ssh-jump", &jump);
    let bench = Bench::new(cloud);
    let created = bench.create(&Switch::default()).await.unwrap().unwrap();
    assert!(created.connection.engine_host.starts_with("172.31."), "{}", created.connection.engine_host);
    assert_eq!(created.connection.ssh.jumps[0].host, "bastion.example");
    bench.gone("private").await;
}

#[tokio::test]
async fn spare_capacity_is_taken_and_cannot_be_stopped() {
    let bench = Bench::new(Cloud::new().with("aws-spot", &["true"]));
    bench.ready("spot").await;
    let error = bench.power(Power::Off, &Switch::default()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error:?}");
    assert!(error.advice().unwrap_or_default().contains("wharf rm"), "{error:?}");
    bench.gone("spot").await;
}

#[tokio::test]
async fn a_full_zone_is_passed_over_and_a_named_one_is_not() {
    let bench = Bench::new(Cloud::changed(|config| config.full = vec!['a', 'b']));
    bench.ready("full").await;
    assert_eq!(bench.world.simulator.count("RunInstances"), 3, "two zones are full");
    assert_eq!(bench.world.simulator.born(), 1);
    bench.gone("full").await;

    let bench = Bench::new(Cloud::changed(|config| config.full = vec!['a']).with("aws-zone", &["a"]));
    let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Quota, "{error:?}");
    assert!(error.message().contains("us-east-1a"), "{error}");
    bench.gone("named").await;
}

#[tokio::test]
async fn this_client_alone_is_let_in() {
    let bench = Bench::new(Cloud::new().with("aws-allow-from", &["me"]));
    bench.ready("me").await;
    let calls = bench.world.simulator.calls();
    assert!(
        calls.iter().any(|call| call == "RevokeSecurityGroupIngress"),
        "the door was narrowed: {calls:?}"
    );
    bench.gone("me").await;
}

#[tokio::test]
async fn an_instance_for_a_time_ends_when_it_powers_itself_off() {
    for (expires, behaviour) in [(None, "stop"), (Some(std::time::Duration::from_secs(3600)), "terminate")] {
        let bench = Bench::new(Cloud::new());
        let request = wharf_core::CreateRequest { expires, ..bench.request() };
        let wharf = bench.process(&Switch::default(), |driver| driver);
        wharf.create(&request, &bench.call("create")).await.unwrap();
        let id = bench.world.owner(&[("Action", "DescribeInstances")], "instanceId");
        let attribute = ("Attribute", "instanceInitiatedShutdownBehavior");
        let asked = [("Action", "DescribeInstanceAttribute"), ("InstanceId", id.as_str()), attribute];
        assert_eq!(bench.world.owner(&asked, "value"), behaviour);
        bench.gone(behaviour).await;
    }
}
