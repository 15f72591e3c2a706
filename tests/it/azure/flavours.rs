//! One life of a machine in each kind of cloud, by the same words.

use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};

/// create → docker run → stop → start → docker run → rm.
fn a_life(flavour: Flavour, token: &str) {
    let scene = Scene::new(flavour);
    let created = scene.wharf_ok(&CREATE);
    assert!(created.contains("web1"), "{created}");
    scene.runs_containers();
    let address = scene.wharf_ok(&["ip", "web1"]);

    scene.wharf_ok(&["stop", "web1"]);
    assert_eq!(scene.wharf(["status", "web1"]).output().unwrap().stdout, b"Stopped\n");
    assert!(!scene.world.docker("web1", ["version"]).output().unwrap().status.success(), "it goes on");
    scene.wharf_ok(&["start", "web1"]);
    assert_eq!(scene.wharf_ok(&["ip", "web1"]), address, "a static address stays");
    scene.runs_the_image();

    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
    scene.signed_in_at(token);
}

#[test]
fn a_machine_lives_in_public_azure() {
    a_life(Flavour::Public, "/oauth2/v2.0/token");
}

#[test]
fn a_machine_lives_in_us_gov_whose_versions_lag() {
    a_life(Flavour::UsGov, "/oauth2/v2.0/token");
}

#[test]
fn a_machine_lives_on_a_stamp() {
    a_life(Flavour::Hub2020, "/adfs/oauth2/token");
}

#[test]
fn a_machine_lives_on_an_older_stamp() {
    a_life(Flavour::Hub2019, "/adfs/oauth2/token");
}
