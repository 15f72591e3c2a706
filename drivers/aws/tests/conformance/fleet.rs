//! Machines that share: what later ones write, what is asked for all of them at once, and the published limits.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use wharf_core::{CreateRequest, Fate, Look, Place, RemoveOptions, StoreId, Wharf};
use wharf_driver::State;
use wharf_ec2_sim::Effect;
use wharf_ec2_sim::body::{Birth, Bodies, Body, Doing, Rule};
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Switch, World as _, bearable};

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
    let seen = process(&bench).observe(&parsed, Look::States, &bench.call("ls")).await.unwrap();
    assert!(seen.iter().all(|one| one.state == Some(State::Running)), "{seen:?}");
    let calls = bench.world.simulator.calls().split_off(before);
    assert_eq!(calls, ["GetCallerIdentity", "DescribeInstances"]);
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn a_hundred_at_once_stay_below_every_limit() {
    // What a busy computer delays arrives in bunches, and the faster a world is, the larger they look there.
    let bench = Bench::new(Cloud::apart(bearable(2.5), |config| config.throttled = true));
    let wharf = process(&bench);
    let names: Vec<String> = (0..100).map(|number| format!("web{number}")).collect();
    join_all(names.iter().map(|name| create(&bench, &wharf, name, true))).await;
    assert_eq!(bench.world.simulator.born(), 100);
    for once in ["CreateSecurityGroup", "DescribeImages", "DescribeSubnets", "GetParameter"] {
        assert_eq!(bench.world.simulator.count(once), 1, "{once}");
    }
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    assert_eq!(bench.world.remains().await, [""; 0]);
    assert_eq!(bench.world.simulator.throttled(), [""; 0], "calls were too many");
}

/// A machine with an address of its own, by the driver's verbs alone.
async fn made(desk: &Desk<Cloud>) -> Vec<Value> {
    let mut made = Vec::new();
    for step in desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap().steps {
        made.push(desk.driver.perform(&step.action, &made, &desk.cx).await.unwrap());
    }
    made
}

#[tokio::test]
async fn a_lost_store_finds_its_machines_by_their_tags() {
    let desk = Desk::new(Cloud::new().with("aws-elastic-address", &["true"])).await;
    let made = made(&desk).await;
    // Lists show what is new a moment later.
    let mut found = desk.driver.find_owned(&desk.cx).await.unwrap().owned;
    while found.len() < made.len() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        found = desk.driver.find_owned(&desk.cx).await.unwrap().owned;
    }
    for one in &found {
        assert!(made.contains(&one.resource), "{one:?} is none of {made:?}");
        assert_eq!(one.tag.store, desk.spec.owner.store);
        assert!(one.shared || one.tag == desk.spec.owner, "{one:?}");
        assert!(one.lacks.is_empty(), "{one:?}");
    }
    found.sort_by_key(|one| one.stage);
    for one in &found {
        desk.driver.destroy(&one.resource, &desk.cx).await.unwrap();
    }
    assert_eq!(desk.world.remains().await, [""; 0]);
}

/// A body that only talks.
#[derive(Debug)]
struct Talking;

impl Bodies for Talking {
    fn create(&self, _: Birth) -> Doing<'_, Arc<dyn Body>> {
        Box::pin(async { Ok(Arc::new(Self) as Arc<dyn Body>) })
    }
}

impl Body for Talking {
    fn move_to(&self, _: Option<String>) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn start(&self) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn destroy(&self) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn admit(&self, _: Vec<Vec<Rule>>) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn console(&self) -> Doing<'_, String> {
        Box::pin(async { Ok("cloud-init: \u{fc}ber \u{26a0}\n".repeat(40)) })
    }
}

#[tokio::test]
async fn the_console_shows_what_a_machine_says() {
    let desk = Desk::new(Cloud::with_bodies(Arc::new(Talking))).await;
    // Older types show nothing while they run, unless they are asked for what they had shown before.
    let refused = Effect::Refuse { status: 400, code: "UnsupportedOperation".into() };
    desk.world.simulator.add_fault("GetConsoleOutput", refused, 1);
    let made = made(&desk).await;
    let said = desk.driver.console(&made, &desk.cx).await.unwrap().unwrap();
    assert_eq!(said, "cloud-init: \u{fc}ber \u{26a0}\n".repeat(40));
    assert_eq!(desk.world.simulator.count("GetConsoleOutput"), 2);

    let silent = Desk::new(Cloud::new()).await;
    let made = self::made(&silent).await;
    assert_eq!(silent.driver.console(&made, &silent.cx).await.unwrap(), None);
}

#[tokio::test]
async fn another_store_is_found_by_its_tags_and_is_young_by_the_clouds_clock() {
    let bench = Bench::new(Cloud::new());
    create(&bench, &process(&bench), "web1", false).await;
    let bench = bench.elsewhere();
    create(&bench, &process(&bench), "web2", false).await;
    let look = async |store: Option<&StoreId>| {
        let (driver, config) = ("aws".to_owned(), bench.world.config());
        let place = Place { called: "aws".to_owned(), driver, config };
        let found = process(&bench).leftovers(&[place], store, &bench.call("gc")).await.unwrap();
        assert!(found.trouble.is_empty(), "{found:?}");
        found.things
    };
    let others = look(None).await;
    let mut kinds: Vec<&str> = others.iter().map(|one| one.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["instance", "security group"], "web2 is in its journal: {others:?}");
    let lost = others[0].store.clone().map(StoreId);
    let young = look(lost.as_ref()).await;
    assert_eq!(young.len(), 2);
    assert!(young.iter().all(|one| one.fate == Fate::Keep), "{young:?}");
    assert!(young.iter().any(|one| one.kind == "instance" && one.because.contains("hour")), "{young:?}");
}
