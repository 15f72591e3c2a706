//! A machine's life in each cloud: what is written, in which versions, and that nothing is left.

use wharf_driver::Power;
use wharf_sim::Flavour;
use wharf_testkit::suite::{Bench, Desk, contract};
use wharf_testkit::{Switch, World as _};

use crate::world::Cloud;

#[tokio::test]
async fn keeps_the_contract_in_public_azure() {
    contract(&|| Cloud::new(Flavour::Public)).await;
}

#[tokio::test]
async fn keeps_the_contract_in_us_gov() {
    contract(&|| Cloud::new(Flavour::UsGov)).await;
}

#[tokio::test]
async fn keeps_the_contract_on_a_stamp() {
    contract(&|| Cloud::new(Flavour::Hub2020)).await;
}

#[tokio::test]
async fn keeps_the_contract_on_an_older_stamp() {
    contract(&|| Cloud::new(Flavour::Hub2019)).await;
}

#[tokio::test]
async fn a_first_machine_takes_six_writes_and_leaves_nothing() {
    for flavour in [Flavour::Public, Flavour::Hub2020] {
        let bench = Bench::new(Cloud::new(flavour));
        bench.ready(&format!("{flavour}")).await;
        assert_eq!(bench.world.count("PUT "), 6, "{flavour}: {:?}", bench.world.simulator.cloud().counts());
        let refused = bench.world.simulator.cloud().calls();
        // What is not there is asked for before it is made; whose the subscription is, by a call without a token.
        let usual = [200, 201, 202, 204, 401, 404];
        let refused: Vec<_> = refused
            .iter()
            .filter(|call| call.path != "/metadata/endpoints" && !usual.contains(&call.status))
            .collect();
        assert!(refused.is_empty(), "{flavour}: {refused:?}");
        bench.power(Power::Off, &Switch::default()).await.unwrap().unwrap();
        bench.power(Power::On, &Switch::default()).await.unwrap().unwrap();
        bench.gone(&format!("{flavour}")).await;
    }
}

#[tokio::test]
async fn a_plan_names_what_was_found_and_depends_as_it_must() {
    let desk = Desk::new(Cloud::new(Flavour::Public)).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    let after: Vec<_> = plan.steps.iter().map(|step| step.after.clone()).collect();
    assert_eq!(
        after,
        [vec![], vec![0], vec![0], vec![0], vec![1, 2, 3], vec![4]],
        "group, then three at once"
    );
    let machine = &plan.steps[5].summary;
    assert!(machine.contains("Standard_B2s") && machine.contains("24_04-lts:server:24.04"), "{machine}");
    assert!(machine.contains("trusted launch"), "{machine}");
    let desk = Desk::new(Cloud::new(Flavour::Hub2019)).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    let machine = &plan.steps[5].summary;
    assert!(machine.contains("Standard_DS1_v2") && !machine.contains("trusted launch"), "{machine}");
    assert!(plan.steps[3].summary.ends_with("Basic"), "{}", plan.steps[3].summary);
    assert_eq!(desk.world.remains().await, [""; 0]);
}
