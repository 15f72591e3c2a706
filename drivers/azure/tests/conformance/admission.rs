//! Machines that let single clients in: each from where it is, whoever else is let in, and killed in between.

use wharf_core::{Admission, Kind, Life, Look, Wharf};
use wharf_driver::Factory;
use wharf_driver_azure::Azure;
use wharf_sim::Flavour;
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

const ADA: &str = "ada@engine";
const BOB: &str = "bob@desk";
/// Where the hosts see clients at first.
const FIRST: &str = "203.0.113.7";

fn bench(flavour: Flavour) -> Bench<Cloud> {
    Bench::new(Cloud::new(flavour).with("azure-allow-from", &["me"]))
}

fn process(bench: &Bench<Cloud>, client: &str) -> Wharf {
    bench.process(&Switch::default(), |driver| driver).in_session(|session| session.of_client(client))
}

/// What the cloud's rules say of a client.
async fn admission(bench: &Bench<Cloud>, client: &str) -> Admission {
    let inspected = process(bench, ADA).inspect(&bench.request().name).await.unwrap();
    // Its folders last as long as it does.
    let desk = Desk::new(Cloud::new(Flavour::Public)).await;
    let mut cx = desk.cx.clone();
    let session = wharf_driver::Session::new(bench.world.clock());
    cx.session = session.with_environment(bench.world.environment()).of_client(client);
    cx.deadline = bench.world.clock().now() + bench.world.deadline();
    let driver = Factory::of::<Azure>().connect(bench.world.config(), &cx).await.unwrap();
    driver.admission(&inspected.resources, &cx).await.unwrap()
}

fn from(address: &str) -> Admission {
    Admission::From(address.to_owned())
}

#[tokio::test]
async fn whoever_makes_a_machine_is_let_in_from_where_it_sees_them() {
    for flavour in [Flavour::Public, Flavour::Hub2020, Flavour::Hub2019] {
        let bench = bench(flavour);
        bench.ready(&format!("{flavour}")).await;
        assert_eq!(admission(&bench, ADA).await, from(FIRST), "{flavour}");
        assert_eq!(admission(&bench, BOB).await, Admission::Unknown, "{flavour}");
        // Group, network, firewall, address, interface, machine; then SSH is narrowed and the engine's port opens.
        assert_eq!(bench.world.count("PUT "), 8, "{flavour}: {:?}", bench.world.simulator.cloud().counts());
        bench.gone(&format!("{flavour}")).await;
    }
}

#[tokio::test]
async fn clients_come_and_go_and_nobody_else_notices() {
    let bench = bench(Flavour::Public);
    bench.ready("first").await;
    let name = &bench.request().name;
    let call = bench.call("allow");
    bench.hosts.see_clients_at("198.51.100.20");
    assert_eq!(process(&bench, BOB).allow(name, None, &call).await.unwrap(), "198.51.100.20");
    assert_eq!(
        (admission(&bench, ADA).await, admission(&bench, BOB).await),
        (from(FIRST), from("198.51.100.20"))
    );
    bench.hosts.see_clients_at("2001:db8::7");
    assert_eq!(process(&bench, ADA).allow(name, None, &call).await.unwrap(), "2001:db8::7");
    assert_eq!(process(&bench, BOB).allow(name, Some("10.1.0.0/16"), &call).await.unwrap(), "10.1.0.0/16");
    assert_eq!(
        (admission(&bench, ADA).await, admission(&bench, BOB).await),
        (from("2001:db8::7"), from("10.1.0.0/16"))
    );
    // Being let in already costs nothing.
    let before = bench.world.count("PUT ");
    process(&bench, BOB).allow(name, Some("10.1.0.0/16"), &call).await.unwrap();
    process(&bench, ADA).provision(name, &bench.call("provision")).await.unwrap();
    assert_eq!(bench.world.count("PUT "), before);
    process(&bench, BOB).revoke(name, &call).await.unwrap();
    assert_eq!(
        (admission(&bench, ADA).await, admission(&bench, BOB).await),
        (from("2001:db8::7"), Admission::Unknown)
    );
    bench.gone("after clients came and went").await;
}

#[tokio::test]
async fn whoever_is_shut_out_is_told_how_to_mend_it() {
    let bench = bench(Flavour::Public);
    bench.ready("before").await;
    let name = &bench.request().name;
    bench.hosts.fail(Some(Kind::Unreachable));
    for (client, hint) in [(ADA, "in from 203.0.113.7: if"), (BOB, "only after `wharf allow")] {
        let error = process(&bench, client).provision(name, &bench.call("provision")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
        let advice = error.advice().unwrap_or_default();
        assert!(client == BOB || advice.contains(hint), "{client}: {advice}");
        let error = process(&bench, client).check_ssh(name, &bench.call("ssh")).await.unwrap_err();
        assert!(error.advice().unwrap_or_default().contains(hint), "{client}: {error:?}");
        let seen =
            process(&bench, client).observe(&[], Look::Everything, &bench.call("status")).await.unwrap();
        assert!(seen[0].notes.iter().any(|note| note.contains(hint)), "{client}: {:?}", seen[0].notes);
    }
    assert_eq!(admission(&bench, BOB).await, Admission::Unknown, "nothing is left open for him");
    // What could not be mended is as it was, and not open to everybody.
    let failed = process(&bench, ADA).allow(name, None, &bench.call("allow")).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unreachable);
    assert_eq!(admission(&bench, ADA).await, from(FIRST));
    let failed = process(&bench, BOB).allow(name, None, &bench.call("allow")).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unreachable);
    assert_eq!(admission(&bench, BOB).await, Admission::Unknown, "whoever had no rule has none again");
    bench.hosts.fail(None);
    bench.gone("after being shut out").await;
}

#[tokio::test]
async fn a_kill_while_somebody_is_let_in_is_mended() {
    let whole = bench(Flavour::Public);
    let passed = Switch::default();
    whole.create(&passed).await.unwrap().unwrap();
    whole.gone("whole").await;
    let points = passed.passed();
    let last = points.iter().rposition(|point| point.contains("admit")).unwrap();
    let around = |point: &String| point.contains("admit");
    for (index, point) in points.iter().enumerate().take(last + 2).filter(|(_, point)| around(point)) {
        let bench = bench(Flavour::Public);
        assert!(bench.create(&Switch::at(Some(index))).await.is_none(), "{point}: was not passed");
        bench.ready(point).await;
        assert_eq!(admission(&bench, ADA).await, from(FIRST), "{point}");
        let life = process(&bench, ADA).inspect(&bench.request().name).await.unwrap().summary.life;
        assert_eq!(life, Life::Ready, "{point}");
        bench.gone(point).await;
    }
}

#[tokio::test]
async fn where_everybody_may_come_nobody_is_let_in_singly() {
    let bench = Bench::new(Cloud::new(Flavour::Public));
    bench.ready("open").await;
    let refused = process(&bench, ADA).allow(&bench.request().name, None, &bench.call("allow")).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.advice().unwrap_or_default().contains("--azure-allow-from me"), "{refused:?}");
    bench.gone("open").await;
}
