//! The suite that every driver passes: killed at every event and every call, then created or removed.

use wharf_testkit::suite::{self, contract};

use crate::world::Cloud;

/// Whoever goes on after a kill waits until the killed verb's time is over.
fn hasty() -> Cloud {
    Cloud::new().within(20)
}

/// Some of the points, where another test tries each of its own; `tests/soak.sh points` tries all of them.
fn sparse() -> Cloud {
    hasty().every(suite::sparse(2))
}

#[tokio::test]
async fn keeps_the_contract() {
    contract(&Cloud::new).await;
}

#[tokio::test]
async fn survives_faults() {
    assert!(suite::faults(&hasty).await > 0);
}

#[tokio::test]
async fn killed_then_created() {
    assert!(suite::crash_then_create(&hasty).await > 0);
}

#[tokio::test]
async fn killed_then_removed() {
    assert!(suite::crash_then_remove(&hasty).await > 0);
}

#[tokio::test]
async fn killed_then_removed_with_an_address_of_its_own() {
    let fresh = || sparse().with("aws-elastic-address", &["true"]).with("aws-allow-from", &["me"]);
    assert!(suite::crash_then_remove(&fresh).await > 0);
}

#[tokio::test]
async fn killed_while_powering() {
    assert!(suite::crash_while_powering(&sparse).await > 0);
}

#[tokio::test]
async fn removal_killed_twice() {
    // Every pair of points would be thousands of machines.
    assert!(suite::crash_while_removing(&|| hasty().every(6)).await > 0);
}

#[tokio::test]
async fn killed_beside_a_neighbour() {
    assert!(suite::sharing(&|| hasty().every(6)).await > 0);
}
