//! The suite that every driver passes: killed at every event and every call, then created or removed.

use wharf_sim::Flavour;
use wharf_testkit::suite;

use crate::world::Cloud;

/// Whoever goes on after a kill waits until the killed verb's time is over.
fn hasty(flavour: Flavour) -> Cloud {
    Cloud::new(flavour).within(60)
}

/// Some of the points, where another test tries each of its own; `tests/soak.sh points` tries all of them.
fn sparse(flavour: Flavour) -> Cloud {
    hasty(flavour).every(suite::sparse(2))
}

/// Each other point, from this one on: where creates are killed at the one half and then created, and at the other and
/// then removed, there is none at which none is killed. `tests/soak.sh points` does both at all of them.
fn half(first: usize) -> Cloud {
    hasty(Flavour::Public).every(suite::sparse(1)).from(first)
}

#[tokio::test]
async fn survives_faults_in_public_azure() {
    assert!(suite::faults(&|| hasty(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn killed_then_created_in_public_azure() {
    assert!(suite::crash_then_create(&|| half(0)).await > 0);
}

#[tokio::test]
async fn killed_then_removed_in_public_azure() {
    assert!(suite::crash_then_remove(&|| half(1)).await > 0);
}

#[tokio::test]
async fn killed_then_removed_on_a_stamp() {
    assert!(suite::crash_then_remove(&|| sparse(Flavour::Hub2020)).await > 0);
}

#[tokio::test]
async fn killed_then_created_on_a_stamp() {
    assert!(suite::crash_then_create(&|| sparse(Flavour::Hub2020)).await > 0);
}

#[tokio::test]
async fn killed_while_powering() {
    assert!(suite::crash_while_powering(&|| sparse(Flavour::Public)).await > 0);
}

#[tokio::test]
async fn removal_killed_twice() {
    // Every pair of points would be thousands of machines.
    assert!(suite::crash_while_removing(&|| hasty(Flavour::Public).every(8)).await > 0);
}

#[tokio::test]
async fn killed_beside_a_neighbour() {
    assert!(suite::sharing(&|| hasty(Flavour::Public).every(6)).await > 0);
}
