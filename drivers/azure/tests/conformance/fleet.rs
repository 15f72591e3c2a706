//! Machines that share: what later ones write, who removes what they have in common, and what is never touched.

use futures_util::future::join_all;
use wharf_core::{CreateRequest, Look, RemoveOptions, Wharf};
use wharf_driver::{Known, State};
use wharf_sim::{Effect, Fault, Flavour};
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

pub(crate) fn process(bench: &Bench<Cloud>) -> Wharf {
    bench.process(&Switch::default(), |driver| driver)
}

pub(crate) fn request(bench: &Bench<Cloud>, name: &str) -> CreateRequest {
    CreateRequest { name: name.parse().unwrap(), ..bench.request() }
}

async fn create(bench: &Bench<Cloud>, wharf: &Wharf, name: &str) {
    let created = wharf.create(&request(bench, name), &bench.call("create")).await;
    created.unwrap_or_else(|error| panic!("{name}: {error:?}"));
}

async fn remove(bench: &Bench<Cloud>, wharf: &Wharf, name: &str) {
    let removed = wharf.remove(&name.parse().unwrap(), RemoveOptions::default(), &bench.call("rm")).await;
    removed.unwrap_or_else(|error| panic!("{name}: {error:?}"));
}

#[tokio::test]
async fn a_further_machine_takes_three_writes_and_the_last_one_out_removes_what_is_shared() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    create(&bench, &process(&bench), "web1").await;
    let before = bench.world.count("PUT ");
    create(&bench, &process(&bench), "web2").await;
    assert_eq!(bench.world.count("PUT ") - before, 3);
    remove(&bench, &process(&bench), "web1").await;
    let left = bench.world.remains().await;
    assert_eq!(left.iter().filter(|id| id.contains("web1")).count(), 0, "{left:?}");
    assert_eq!(left.len(), 7, "group, network, firewall, and the other machine: {left:?}");
    remove(&bench, &process(&bench), "web2").await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn many_at_once_share_one_network_and_leave_nothing() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    let wharf = process(&bench);
    let names: Vec<String> = (0..10).map(|number| format!("web{number}")).collect();
    join_all(names.iter().map(|name| create(&bench, &wharf, name))).await;
    assert_eq!(bench.world.count("PUT Microsoft.Network/virtualNetworks"), 1);
    assert_eq!(bench.world.count("PUT "), 3 + 3 * 10);
    let of_one = calls_of_ls(&bench, &names[..1]).await;
    let of_all = calls_of_ls(&bench, &names).await;
    assert_eq!(of_all.len(), of_one.len(), "{of_all:?} instead of {of_one:?}");
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

/// What a new process asks the cloud for when it lists these machines.
async fn calls_of_ls(bench: &Bench<Cloud>, names: &[String]) -> Vec<String> {
    bench.world.simulator.cloud().clear_calls();
    let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    let seen = process(bench).observe(&names, Look::States, &bench.call("ls")).await.unwrap();
    assert_eq!(seen.len(), names.len());
    assert!(seen.iter().all(|one| one.state == Some(State::Running)), "{seen:?}");
    let calls = bench.world.simulator.cloud().calls();
    calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect()
}

#[tokio::test]
async fn a_group_for_the_machine_alone_goes_with_it() {
    let bench = Bench::new(Cloud::new(Flavour::Hub2020).with("azure-resource-group-per-machine", &["true"]));
    bench.ready("alone").await;
    assert!(bench.world.remains().await.iter().all(|id| id.contains("trial")));
    bench.gone("alone").await;
}

#[tokio::test]
async fn a_machine_without_a_public_address_is_reached_by_its_private_one() {
    let bench = Bench::new(
        Cloud::new(Flavour::Public)
            .with("azure-no-public-ip", &["true"])
            .with("azure-ssh-jump", &["ada@bastion.example:2222"]),
    );
    let created = bench.create(&Switch::default()).await.unwrap().unwrap();
    assert!(created.connection.engine_host.starts_with("192.168."), "{}", created.connection.engine_host);
    assert_eq!(created.connection.ssh.jumps[0].host, "bastion.example");
    assert_eq!(bench.world.count("PUT Microsoft.Network/publicIPAddresses"), 0);
    bench.gone("private").await;
}

#[tokio::test]
async fn who_lets_in_others_has_another_firewall() {
    let bench = Bench::new(Cloud::new(Flavour::Public).with("azure-allow-from", &["10.1.0.0/16"]));
    create(&bench, &process(&bench), "web1").await;
    let mut wish = request(&bench, "web2");
    wish.config["allowed"] = serde_json::json!(["10.2.0.0/16"]);
    process(&bench).create(&wish, &bench.call("create")).await.unwrap();
    assert_eq!(bench.world.count("PUT Microsoft.Network/networkSecurityGroups"), 2);
    assert_eq!(bench.world.count("PUT Microsoft.Network/virtualNetworks"), 1);
    remove(&bench, &process(&bench), "web2").await;
    remove(&bench, &process(&bench), "web1").await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn a_hundred_at_once_stay_below_every_limit_of_public_azure() {
    a_hundred_at_once(Flavour::Public).await;
}

#[tokio::test]
async fn a_hundred_at_once_stay_below_every_limit_of_a_stamp() {
    a_hundred_at_once(Flavour::Hub2020).await;
}

/// Made and removed inside the published limits, without one 429.
async fn a_hundred_at_once(flavour: Flavour) {
    let bench = Bench::new(Cloud::limited(flavour, 20.0));
    let (wharf, cloud) = (process(&bench), bench.world.simulator.cloud());
    let names: Vec<String> = (0..100).map(|number| format!("web{number}")).collect();
    join_all(names.iter().map(|name| create(&bench, &wharf, name))).await;
    assert_eq!(bench.world.count("PUT "), 3 + 3 * 100);
    no_refusal(&cloud.calls());
    let looked = bench.world.count("GET Microsoft.Compute/locations/publishers");
    assert!(looked < 10, "{looked} times for the image that all have");
    // A hundred machines of a minute or two each, asked about one by one, were thousands.
    let polls = bench.world.count("GET operations");
    assert!(polls < 1000, "{polls} polls: {:?}", cloud.counts());
    cloud.clear_calls();
    join_all(names.iter().map(|name| remove(&bench, &wharf, name))).await;
    no_refusal(&cloud.calls());
    assert_eq!(bench.world.remains().await, [""; 0]);
}

fn no_refusal(calls: &[wharf_sim::Entry]) {
    let refused: Vec<_> = calls.iter().filter(|call| call.status == 429).collect();
    assert!(refused.is_empty(), "{} of {} calls: {:?}", refused.len(), calls.len(), refused[0]);
}

#[tokio::test]
async fn twenty_at_once_outlast_a_fifth_of_all_calls_going_wrong() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    let busy = Effect::Refuse {
        status: 503,
        code: "ServiceUnavailable".into(),
        message: "busy".into(),
        retry_after: None,
    };
    for (method, effect) in [
        ("PUT", busy.clone()),
        ("GET", busy),
        ("PUT", Effect::CutAfter),
        ("DELETE", Effect::CutAfter),
        ("GET", Effect::CutBefore),
        ("PUT", Effect::CutLate { seconds: 10.0 }),
    ] {
        // Half of each method's calls in all would be too much to expect.
        let fault = Fault { probability: 0.07, ..Fault::new(method, "/subscriptions/", effect) };
        bench.world.simulator.cloud().add_fault(fault);
    }
    let names: Vec<String> = (0..20).map(|number| format!("web{number}")).collect();
    let wharf = process(&bench);
    join_all(names.iter().map(|name| {
        persist(async || {
            let created = wharf.create(&request(&bench, name), &bench.call("create")).await;
            created.map(drop)
        })
    }))
    .await;
    let holds = bench.world.remains().await;
    assert_eq!(holds.iter().filter(|id| id.contains("/virtualMachines/")).count(), 20, "{holds:?}");
    join_all(names.iter().map(|name| {
        persist(async || {
            let removed =
                wharf.remove(&name.parse().unwrap(), RemoveOptions::default(), &bench.call("rm")).await;
            removed.map(drop)
        })
    }))
    .await;
    assert_eq!(bench.world.remains().await, [""; 0]);
}

/// Some commands give up in such weather; the person runs them again.
async fn persist(verb: impl AsyncFn() -> wharf_core::Result<()>) {
    for _ in 0..10 {
        match verb().await {
            Ok(()) => return,
            Err(error) if error.kind() == wharf_core::Kind::NoSuchMachine => return,
            Err(_) => {}
        }
    }
    panic!("ten attempts were not enough");
}

#[tokio::test]
async fn a_lost_store_finds_its_machines_by_their_tags() {
    let desk = Desk::new(Cloud::new(Flavour::Public)).await;
    let mut made = Vec::new();
    for step in desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap().steps {
        made.push(desk.driver.perform(&step.action, &made, &desk.cx).await.unwrap());
    }
    let mut found = desk.driver.find_owned(&desk.cx).await.unwrap().owned;
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found.iter().all(|one| one.tag == desk.spec.owner));
    assert!(found.iter().any(|one| one.resource == made[5]), "{found:?}");
    found.sort_by_key(|one| one.stage);
    for one in &found {
        desk.driver.destroy(&one.resource, &desk.cx).await.unwrap();
    }
    assert_eq!(desk.world.remains().await, [""; 0]);
}

#[tokio::test]
async fn many_machines_are_looked_at_by_one_list() {
    let desk = Desk::new(Cloud::new(Flavour::Public)).await;
    let mut made = Vec::new();
    for step in desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap().steps {
        made.push(desk.driver.perform(&step.action, &made, &desk.cx).await.unwrap());
    }
    desk.world.simulator.cloud().clear_calls();
    let counted = || {
        let counts = desk.world.simulator.cloud().counts();
        desk.world.simulator.cloud().clear_calls();
        (counts.values().sum::<u64>(), counts)
    };
    let reads = [(None, 2, true), (Some(State::Running), 1, false), (Some(State::Stopped), 2, true)];
    for (state, calls, addresses) in reads {
        let machines = [Known { made: made.as_slice(), state }; 20];
        let seen = desk.driver.observe(&machines, &desk.cx).await.unwrap();
        assert!(seen.iter().all(|one| one.state == State::Running), "{seen:?}");
        assert!(seen.iter().all(|one| one.reach.is_some() == addresses), "{seen:?}");
        let (count, counts) = counted();
        assert_eq!(count, calls, "{state:?}: {counts:?}");
    }
    // Of those that are where they should be, none is asked after for another's sake.
    let mut machines = [Known { made: made.as_slice(), state: Some(State::Running) }; 20];
    machines[3].state = Some(State::Stopped);
    let seen = desk.driver.observe(&machines, &desk.cx).await.unwrap();
    let with_address: Vec<usize> = (0..20).filter(|&at| seen[at].reach.is_some()).collect();
    assert_eq!((with_address, counted().0), (vec![3], 2));
}
