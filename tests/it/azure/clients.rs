//! A machine that lets single clients in: the cloud's rules keep everybody else out, and this computer, too, once its
//! address has changed.

use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};
use crate::world::text;

/// From now on this computer reaches the machines from `address`.
fn come_from(scene: &Scene, address: &str) {
    let ip = |arguments: &[&str]| {
        let done = scene.world.lab.command("ip").args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", text(&done));
    };
    ip(&["address", "replace", &format!("{address}/24"), "dev", "br0"]);
    ip(&["route", "replace", "10.99.0.0/24", "dev", "br0", "src", address]);
}

/// Whether the machine's port takes connections from `source`.
fn open(scene: &Scene, source: &str, port: u16) -> bool {
    let address = scene.wharf_ok(&["ip", "web1"]);
    let probe =
        "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1, (sys.argv[3], 0))";
    let mut python = scene.world.lab.command("python3");
    python.args(["-c", probe, address.trim(), &port.to_string(), source]);
    python.output().unwrap().status.success()
}

#[test]
fn a_machine_lets_in_who_made_it_and_follows_them() {
    let scene = Scene::new(Flavour::Public);
    come_from(&scene, "10.99.0.1");
    scene.wharf_ok(&[CREATE.as_slice(), &["--azure-allow-from", "me"]].concat());
    scene.runs_containers();
    // Somebody else, on the same network.
    come_from(&scene, "10.99.0.77");
    for port in [22, 2376] {
        assert!(open(&scene, "10.99.0.1", port) && !open(&scene, "10.99.0.77", port), "port {port}");
    }

    // This computer, after a change of address.
    let status = text(&scene.wharf(["status", "web1", "--timeout", "3"]).output().unwrap());
    assert!(status.contains("`wharf allow web1` mends that"), "{status}");
    let allowed = text(&scene.wharf(["allow", "web1"]).output().unwrap());
    assert!(allowed.contains("lets this computer in from 10.99.0.77"), "{allowed}");
    scene.runs_the_image();
    for port in [22, 2376] {
        assert!(!open(&scene, "10.99.0.1", port) && open(&scene, "10.99.0.77", port), "port {port}");
    }
    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
}
