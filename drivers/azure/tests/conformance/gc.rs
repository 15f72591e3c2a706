//! What is left in a subscription and belongs to no journal: found by its tags, judged by the cloud's clock.

use std::time::Duration;

use serde_json::json;
use wharf_core::{Call, CreateRequest, Deed, End, Fate, Leftovers, Place, StoreId};
use wharf_sim::Flavour;
use wharf_testkit::suite::Bench;
use wharf_testkit::{Switch, World as _};

use crate::fleet::process;
use crate::operator::{FIREWALLS, GROUPS, INTERFACES, MACHINES, Operator};
use crate::world::Cloud;

const HOURS: Duration = Duration::from_secs(2 * 3600);

fn call(bench: &Bench<Cloud>) -> Call {
    Call { lock_wait: Duration::ZERO, ..bench.call("gc") }
}

async fn look(bench: &Bench<Cloud>, store: Option<&StoreId>) -> Leftovers {
    let (driver, config) = ("azure".to_owned(), bench.world.config());
    let place = Place { called: "azure".to_owned(), driver, config };
    let found = process(bench).leftovers(&[place], store, &call(bench)).await.unwrap();
    assert!(found.trouble.is_empty(), "{found:?}");
    found
}

/// Removes what goes, and says how much that was.
async fn collect(bench: &Bench<Cloud>, found: &Leftovers) -> usize {
    let ends = process(bench).collect(&found.things, &call(bench)).await;
    assert!(ends.iter().all(|(_, end)| matches!(end, End::Removed)), "{ends:?}");
    ends.len()
}

fn kinds(found: &Leftovers, fate: Fate) -> Vec<&str> {
    found.things.iter().filter(|one| one.fate == fate).map(|one| one.kind.as_str()).collect()
}

const ALL: [&str; 6] = [
    "virtual machine",
    "network interface",
    "public address",
    "network security group",
    "virtual network",
    "resource group",
];

async fn a_lost_store_is_given_back(flavour: Flavour) {
    let bench = Bench::new(Cloud::new(flavour));
    bench.create(&Switch::default()).await.unwrap().unwrap();
    let bench = bench.elsewhere();
    bench.create(&Switch::default()).await.unwrap().unwrap();
    let both = bench.world.remains().await.len();
    bench.world.simulator.cloud().clock().advance(HOURS);
    let found = look(&bench, None).await;
    assert_eq!(found.things.len(), 6, "this store's own are in their journal: {found:?}");
    assert_eq!(kinds(&found, Fate::Keep).len(), 6, "another store's are only listed: {found:?}");
    let lost = StoreId(found.things[0].store.clone().unwrap());
    assert_eq!(collect(&bench, &found).await, 0);
    let found = look(&bench, Some(&lost)).await;
    assert_eq!(kinds(&found, Fate::Remove), ALL);
    assert_eq!(collect(&bench, &found).await, 6);
    let left = bench.world.remains().await;
    assert_eq!(left.len() * 2, both, "this store's machine and the disk of it: {left:?}");
    bench.gone("a lost store").await;
}

#[tokio::test]
async fn a_lost_store_is_given_back_by_public_azure() {
    a_lost_store_is_given_back(Flavour::Public).await;
}

#[tokio::test]
async fn a_lost_store_is_given_back_by_a_stamp() {
    a_lost_store_is_given_back(Flavour::Hub2020).await;
}

/// A create that is killed wherever it makes something, and whose journal is lost.
#[tokio::test]
async fn what_a_killed_create_left_goes_after_an_hour_and_not_before() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    let all = Switch::default();
    bench.create(&all).await.unwrap().unwrap();
    bench.gone("a whole life").await;
    let passed = all.passed();
    let points = passed.iter().enumerate().filter(|(_, point)| point.contains("during perform"));
    let points: Vec<usize> = points.map(|(at, _)| at).collect();
    assert_eq!(points.len(), 6, "{passed:?}");
    for at in points {
        // A group has no time of its own but its tag's: this computer's clock must not be behind a cloud that moved on.
        let bench = Bench::new(Cloud::new(Flavour::Public));
        assert!(bench.create(&Switch::at(Some(at))).await.is_none(), "{} was not reached", passed[at]);
        bench.lose_journals();
        // What was cut is finished by the cloud.
        let cloud = bench.world.simulator.cloud();
        let young = look(&bench, None).await;
        assert_eq!(kinds(&young, Fate::Remove), [""; 0], "{}: {young:?}", passed[at]);
        cloud.clock().advance(HOURS);
        let found = look(&bench, None).await;
        assert_eq!(collect(&bench, &found).await, found.things.len(), "{}: {found:?}", passed[at]);
        assert_eq!(bench.world.remains().await, [""; 0], "{}", passed[at]);
    }
}

#[tokio::test]
async fn what_docker_machine_left_is_listed_and_nothing_else() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    bench.create(&Switch::default()).await.unwrap().unwrap();
    let operator = Operator::of(&bench.world).await;
    let location = "westus";
    for group in ["docker-machine", "prod"] {
        operator.make(group, GROUPS, group, json!({ "location": location })).await;
        operator.make(group, FIREWALLS, "old1-firewall", json!({ "location": location })).await;
        operator.make(group, FIREWALLS, "web", json!({ "location": location })).await;
    }
    bench.world.simulator.cloud().clock().advance(HOURS);
    let found = look(&bench, None).await;
    let mut names: Vec<&str> = found.things.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["old1-firewall", "old1-firewall", "web"], "{found:?}");
    assert!(found.things.iter().all(|one| one.fate == Fate::Keep && one.store.is_none()), "{found:?}");
    let before = bench.world.remains().await;
    assert_eq!(collect(&bench, &found).await, 0);
    assert_eq!(bench.world.remains().await, before);
}

/// Somebody else removes the same at the same time, or did before.
#[tokio::test]
async fn several_may_collect_at_once() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    bench.create(&Switch::default()).await.unwrap().unwrap();
    let bench = bench.elsewhere();
    bench.world.simulator.cloud().clock().advance(HOURS);
    let lost = look(&bench, None).await.things[0].store.clone().map(StoreId);
    let found = look(&bench, lost.as_ref()).await;
    let (one, two) = (process(&bench), process(&bench));
    let call = call(&bench);
    let ends = tokio::join!(one.collect(&found.things, &call), two.collect(&found.things, &call));
    let failed = |ends: &[(usize, End)]| ends.iter().any(|(_, end)| matches!(end, End::Failed(_)));
    assert!(!failed(&ends.0) && !failed(&ends.1), "{ends:?}");
    assert_eq!(collect(&bench, &found).await, 6, "being gone already is success");
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn a_plan_finds_tags_that_were_taken_off_and_they_are_put_back() {
    let bench = Bench::new(Cloud::new(Flavour::Public).with("azure-tag", &["team=blue"]));
    let wish = CreateRequest { fleet: Some("shop".to_owned()), ..bench.request() };
    process(&bench).create(&wish, &bench.call("create")).await.unwrap();
    bench.world.simulator.cloud().clock().advance(HOURS);
    let plan = async || {
        let seen =
            process(&bench).compare("shop", std::slice::from_ref(&wish), &bench.call("plan")).await.unwrap();
        assert!(seen.trouble.is_empty(), "{seen:?}");
        (seen.changes[0].deeds.clone(), seen.changes[0].because.clone())
    };
    assert_eq!(plan().await, (vec![], vec![]));
    let operator = Operator::of(&bench.world).await;
    let (machine, interface) = (operator.only(MACHINES).await, operator.only(INTERFACES).await);
    let id = |thing: &serde_json::Value| thing["id"].as_str().unwrap().to_owned();
    operator.tag(MACHINES, &id(&machine), json!({ "cost": "42" })).await;
    let mut tags = interface["tags"].clone();
    tags["team"] = json!("red");
    operator.tag(INTERFACES, &id(&interface), tags).await;
    let (deeds, because) = plan().await;
    assert_eq!(deeds, [Deed::Mark]);
    assert!(because.len() == 2 && because[0].ends_with("lacks the tags team"), "{because:?}");
    assert!(because[1].ends_with("-vm does not say whose it is any more"), "{because:?}");
    process(&bench).mark(&wish.name, &bench.call("apply")).await.unwrap();
    assert_eq!(plan().await, (vec![], vec![]));
    let mut all = machine["tags"].clone();
    all["cost"] = json!("42");
    assert_eq!(operator.only(MACHINES).await["tags"], all, "what others put there stays");
    assert_eq!(operator.only(INTERFACES).await["tags"]["team"], "blue");
    bench.gone("a machine that was marked again").await;
}
