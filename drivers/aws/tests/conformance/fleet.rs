//! Machines that share: what later ones write, what is asked for all of them at once, and the published limits.

use futures_util::future::join_all;
use wharf_core::{CreateRequest, RemoveOptions, Wharf};
use wharf_driver::State;
use wharf_testkit::suite::Bench;
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

fn process(bench: &Bench<Cloud>) -> Wharf {
    bench.process(&Switch::default(), |driver| driver)
}

async fn create(bench: &Bench<Cloud>, wharf: &Wharf, name: &str, bare: bool) {
    let request = CreateRequest { name: name.parse().unwrap(), bare, ..bench.request() };
    let created = wharf.create(&request, &bench.call("create")).await;
    created.unwrap_or_else(|error| panic!("{name}: {error:?}"));
}

async fn remove(bench: &Bench<Cloud>, wharf: &Wharf, name: &str) {
    let removed = wharf.remove(&name.parse().unwrap(), RemoveOptions::default(), &bench.call("rm")).await;
    removed.unwrap_or_else(|error| panic!("{name}: {error:?}"));
}

#[tokio::test]
async fn a_further_machine_takes_one_write_and_the_last_one_out_removes_the_group() {
    let bench = Bench::new(Cloud::new());
    create(&bench, &process(&bench), "web1", false).await;
    create(&bench, &process(&bench), "web2", false).await;
    for (call, times) in
        [("CreateSecurityGroup", 1), ("AuthorizeSecurityGroupIngress", 1), ("RunInstances", 2)]
    {
        assert_eq!(bench.world.simulator.count(call), times, "{call}");
    }
    remove(&bench, &process(&bench), "web1").await;
    assert_eq!(bench.world.remains().await.len(), 2, "the group and the other machine");
    remove(&bench, &process(&bench), "web2").await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn ls_is_one_list_for_all_machines() {
    let bench = Bench::new(Cloud::new());
    let wharf = process(&bench);
    let names: Vec<String> = (0..5).map(|number| format!("web{number}")).collect();
    join_all(names.iter().map(|name| create(&bench, &wharf, name, false))).await;
    let before = bench.world.simulator.calls().len();
    let parsed: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    let seen = process(&bench).observe(&parsed, false, &bench.call("ls")).await.unwrap();
    assert!(seen.iter().all(|one| one.state == Some(State::Running)), "{seen:?}");
    let calls = bench.world.simulator.calls().split_off(before);
    assert_eq!(calls, ["GetCallerIdentity", "DescribeInstances"]);
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn a_hundred_at_once_stay_below_every_limit() {
    let bench = Bench::new(Cloud::at(5.0, |config| config.throttled = true).within(30));
    let wharf = process(&bench);
    let names: Vec<String> = (0..100).map(|number| format!("web{number}")).collect();
    join_all(names.iter().map(|name| create(&bench, &wharf, name, true))).await;
    assert_eq!(bench.world.simulator.born(), 100);
    assert_eq!(bench.world.simulator.count("CreateSecurityGroup"), 1);
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    assert_eq!(bench.world.remains().await, [""; 0]);
    assert_eq!(bench.world.simulator.throttled(), [""; 0], "calls were too many");
}
