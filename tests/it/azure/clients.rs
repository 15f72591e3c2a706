//! A machine that lets single clients in: the cloud's rules keep everybody else out, and this computer, too, once its
//! address has changed.

use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};
use crate::world::text;

#[test]
fn a_machine_lets_in_who_made_it_and_follows_them() {
    let scene = Scene::new(Flavour::Public);
    scene.world.come_from("10.99.0.1");
    scene.wharf_ok(&[CREATE.as_slice(), &["--azure-allow-from", "me"]].concat());
    scene.runs_containers();
    // Somebody else, on the same network.
    scene.world.come_from("10.99.0.77");
    let address = scene.wharf_ok(&["ip", "web1"]);
    let open = |source: &str, port: u16| scene.world.opens(source, address.trim(), port);
    for port in [22, 2376] {
        assert!(open("10.99.0.1", port) && !open("10.99.0.77", port), "port {port}");
    }

    // This computer, after a change of address.
    let status = text(&scene.wharf(["status", "web1", "--timeout", "3"]).output().unwrap());
    assert!(status.contains("`wharf allow web1` mends that"), "{status}");
    let allowed = text(&scene.wharf(["allow", "web1"]).output().unwrap());
    assert!(allowed.contains("lets this computer in from 10.99.0.77"), "{allowed}");
    scene.runs_the_image();
    for port in [22, 2376] {
        assert!(!open("10.99.0.1", port) && open("10.99.0.77", port), "port {port}");
    }
    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
}
