//! A store on a disk that died: its machine is found from a new one, by its tag, and given back.

use std::time::Duration;

use serde_json::Value;
use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};
use crate::docker::wait_until;
use crate::world::{OVER, text};

/// Everything that `gc` shows from now on.
fn gc(scene: &Scene, arguments: &[&str]) -> Vec<Value> {
    let whole = [&["gc", "--driver", "azure", "-o", "json"], arguments].concat();
    serde_json::from_str(&scene.wharf_ok(&whole)).unwrap()
}

fn fates(things: &[Value]) -> Vec<&str> {
    things.iter().map(|thing| thing["fate"].as_str().unwrap()).collect()
}

#[test]
fn what_a_lost_store_made_is_given_back_once_it_is_named() {
    let scene = Scene::new(Flavour::Hub2020);
    scene.wharf_ok(&["create", "--driver", "azure", "--no-bootstrap", "web1"]);
    assert_eq!(gc(&scene, &[]).len(), 0, "all of it is in the journal");
    std::fs::remove_dir_all(&scene.world.store).unwrap();
    let found = gc(&scene, &["--yes"]);
    assert_eq!(fates(&found), ["keep"; 6], "another store's: {found:?}");
    let lost = found[0]["store"].as_str().unwrap();
    let young = gc(&scene, &["--store-id", lost, "--yes"]);
    assert_eq!(fates(&young), ["keep"; 6], "it may be being made just now: {young:?}");
    // The cloud's clock goes on, and this computer's does not.
    scene.simulator.cloud().clock().advance(Duration::from_secs(4000));
    assert_eq!(fates(&gc(&scene, &["--store-id", lost])), ["remove"; 6]);
    assert_eq!(fates(&gc(&scene, &["--store-id", lost, "--yes"])), ["removed"; 6]);
    scene.nothing_is_left();
}

/// Its end is brought nearer on the machine, as by a clock that goes on; the cloud's goes on beside that.
#[test]
fn a_machine_whose_time_is_over_powers_itself_off_and_gc_removes_it() {
    let scene = Scene::new(Flavour::Public);
    let made = text(&scene.wharf([CREATE.as_slice(), &["--ttl", "4h"]].concat()).output().unwrap());
    assert!(made.contains("still paid for: `wharf gc --yes` ends that"), "{made}");
    scene.runs_containers();
    assert_eq!(gc(&scene, &[]).len(), 0);
    let hosts = || {
        let hosts = scene.world.lab.scratch().parent().unwrap().join("hosts");
        let running = std::process::Command::new("pgrep").arg("-f").arg(hosts).output().unwrap();
        !running.stdout.is_empty()
    };
    assert!(hosts());
    scene.wharf(["ssh", "web1", &format!("sudo sh -c \"{OVER}\"")]).output().unwrap();
    wait_until("the machine has powered itself off", || !hosts());
    scene.simulator.cloud().clock().advance(Duration::from_secs(5 * 3600));
    let over = gc(&scene, &[]);
    assert!(over.len() == 1 && over[0]["expired"] == true && over[0]["name"] == "web1", "{over:?}");
    assert_eq!(fates(&gc(&scene, &["--yes"])), ["removed"]);
    scene.nothing_is_left();
}
