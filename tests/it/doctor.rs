//! `wharf doctor` at real hosts: an engine that is down, and a clock that is wrong.

use crate::world::{World, text};

#[test]
fn what_ails_a_host_is_found_and_named() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    world.create("web", &host);
    let look = || {
        let output = world.wharf(["doctor", "-o", "json"]).output().unwrap();
        let found: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
        let ours = found.as_array().unwrap().iter().filter(|one| one["about"] == "web");
        ours.map(|one| format!("{} | {}", one["wrong"], one["mend"])).collect::<Vec<_>>()
    };
    assert_eq!(look(), Vec::<String>::new());

    host.run("printf '#!/bin/sh\\necho 1000000000\\n' >/usr/local/bin/date && chmod 755 /usr/local/bin/date");
    let found = look();
    assert!(found.len() == 1 && found[0].contains("behind this computer's"), "{found:?}");
    host.run("rm /usr/local/bin/date; systemctl stop wharfd");
    let found = look();
    assert!(found.len() == 1 && found[0].contains("does not answer"), "{found:?}");
    assert!(found[0].contains("wharf provision web"), "{found:?}");
    world.wharf_ok(&["provision", "web"]);
    assert_eq!(look(), Vec::<String>::new());
}
