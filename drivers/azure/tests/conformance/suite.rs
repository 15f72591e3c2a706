//! The suite that every driver passes: killed at every event and every call, then created or removed.

use wharf_sim::Flavour;
use wharf_testkit::suite;

use crate::world::Cloud;

#[tokio::test]
async fn survives_faults_in_public_azure() {
    assert!(suite::faults(&|| Cloud::new(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn killed_then_created_in_public_azure() {
    assert!(suite::crash_then_create(&|| Cloud::new(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn killed_then_removed_in_public_azure() {
    assert!(suite::crash_then_remove(&|| Cloud::new(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn killed_then_removed_on_a_stamp() {
    assert!(suite::crash_then_remove(&|| Cloud::new(Flavour::Hub2020)).await > 0);
}

#[tokio::test]
async fn killed_then_created_on_a_stamp() {
    assert!(suite::crash_then_create(&|| Cloud::new(Flavour::Hub2020)).await > 0);
}

#[tokio::test]
async fn killed_while_powering() {
    assert!(suite::crash_while_powering(&|| Cloud::new(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn removal_killed_twice() {
    // Every pair of points would be thousands of machines.
    assert!(suite::crash_while_removing(&|| Cloud::new(Flavour::Public).every(8)).await > 0);
}

#[tokio::test]
async fn killed_beside_a_neighbour() {
    assert!(suite::sharing(&|| Cloud::new(Flavour::Public).every(6)).await > 0);
}
